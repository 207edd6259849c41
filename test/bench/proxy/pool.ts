/** What a call costs with more and more backends in the pool, apart from what it costs that more of them are busy. */
import type { RunningProxy } from '../../support/proxy-under-test.ts';
import type { BenchResult } from '../harness.ts';
import { type Row, ratio } from './figures.ts';
import { CPU, type Options, perCall, within } from './groups.ts';
import { backends, type Cleanup, generate, start } from './rig.ts';

const OURS = 'heapmesh';
/** The peers are shown with less: it is us that it is to be flat for. */
const COUNTS = [10, 1_000, 10_000];
const PEERS_MOST = 1_000;
/** How much more a call may cost than with the least backends, where as many are busy. */
const FLAT = 1.15;
const CALLS = 20_000;

/**
 * Two ways to spread 200 calls in flight. `few`: ten of the backends weigh a hundred times as much as the others and get
 * nearly all calls, so that the pool alone grows. `all`: all are alike and have their turn, so that with the pool
 * grows the number of connections in use, and fewer calls share a read and a write: any proxy pays for that.
 */
const WAYS = {
  few: { heavy: 10, name: (count: number) => `10 busy of ${count}` },
  all: { heavy: undefined, name: (count: number) => `${count} alike, all used` },
} as const;

interface Case {
  readonly shape: string;
  readonly proxy: RunningProxy;
  readonly values: number[];
}

/** All sizes take turns in one run, as the proxies do: their processes all stand, one has the load. */
export async function pool(options: Options): Promise<Row[]> {
  const rows: Row[] = [];
  for (const way of [WAYS.few, WAYS.all]) {
    const cases = await within(async cleanup => {
      const cases = await startAll(cleanup, options, way);
      // The rounds before those that count: each backend of the largest pool has its first call in them.
      for (let round = -2; round < options.rounds; round++) {
        for (const { proxy, shape, values } of [...cases]) {
          try {
            const cost = await generate(proxy, { connections: 50, streams: 4, calls: CALLS });
            if (round >= 0) values.push(perCall(cost));
          } catch (error) {
            options.say(`${shape}: ${String(error instanceof Error ? error.message : error).split('\n')[0]}`);
            cases.splice(
              cases.findIndex(each => each.values === values),
              1,
            );
          }
        }
      }
      return cases;
    });
    for (const { shape, proxy, values } of cases) {
      rows.push({ group: 'backends in the pool', shape, proxy: proxy.name, unit: CPU, values });
    }
  }
  return rows;
}

async function startAll(
  cleanup: Cleanup,
  { proxies }: Options,
  { heavy, name }: (typeof WAYS)[keyof typeof WAYS],
): Promise<Case[]> {
  // Any address of 127.0.0.0/8 is this machine, so each backend has one of its own.
  const ports = (await backends(cleanup, 2, 95, '0.0.0.0')).map(address => address.split(':')[1]);
  const cases: Case[] = [];
  for (const count of COUNTS) {
    const addresses = Array.from({ length: count }, (_, n) => `127.1.${n >> 8}.${n & 255}:${ports[n % 2]}`);
    const some = count > PEERS_MOST ? proxies.filter(one => one.name === OURS) : proxies;
    const limits = { maxConnections: 10_500, ...(heavy === undefined ? {} : { heavy }) };
    for (const proxy of await start(cleanup, some, addresses, limits)) {
      cases.push({ shape: name(count), proxy, values: [] });
    }
  }
  return cases;
}

/** Whether a call costs the same whatever the size of the pool, where the same number of backends is busy. */
export function flatness(rows: readonly Row[]): BenchResult[] {
  const of = (count: number): Row | undefined =>
    rows.find(({ shape, proxy }) => shape === WAYS.few.name(count) && proxy === OURS);
  const least = of(COUNTS[0] as number);
  return COUNTS.slice(1).flatMap(count => {
    const row = of(count);
    if (least === undefined || row === undefined) return [];
    const value = ratio(row, least);
    const name = `${row.shape}, ${OURS} / ${least.shape}, ${OURS}`;
    return [{ group: `${row.group}: ratio`, name, unit: '×', value, target: FLAT, reached: value <= FLAT }];
  });
}
