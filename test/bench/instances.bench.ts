/**
 * Picking with only a share of the traffic in view: the same calls to the same backends through 1, 2 and 4
 * instances, as real processes. Each instance relays its share and sees of the rest what backends report;
 * how much of p99 that costs is the figure. Backends have slots and exponential service times, calls arrive
 * as a Poisson process at 0.8 of the capacity, and the latency counts from when a call was due.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DemoBackend, DemoCallers } from '../../src/cli/demo/processes.ts';
import { Ending, type Instance, startInstance, until } from '../instances/fleet.ts';
import { freePort } from '../support/program.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '10' },
  },
});
const ROUNDS = Number(values.rounds);
const SECONDS = Number(values.seconds);
const BACKENDS = 8;
const COUNTS = [1, 2, 4] as const;
const KINDS = [
  { name: 'four slots', slots: 4, serviceMs: 120, bound: 1.1 },
  { name: 'single-slot', slots: 1, serviceMs: 60, bound: 1.25 },
] as const;
/** Warm-up of backends, instances and callers, which does not count, ms. */
const SETTLE_MS = 12_000;

interface Figure {
  readonly kind: string;
  readonly instances: number;
  readonly round: number;
  readonly calls: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
}

async function run(kind: (typeof KINDS)[number], count: number, round: number): Promise<Figure> {
  const ending = new Ending();
  try {
    const controls = await Promise.all(
      Array.from({ length: count }, async () => `127.0.0.1:${await freePort()}`),
    );
    const peers = count > 1 ? `, peers: [${controls.map(one => `'${one}'`).join(', ')}]` : '';
    const instances: Instance[] = await Promise.all(
      controls.map(async (control, i) => {
        const config = `instance: { id: lb-${i + 1}${peers} }\ntelemetry: { logs: { level: error } }\n`;
        return ending.add(await startInstance(`lb-${i + 1}`, config, { control }), one => one.stop());
      }),
    );
    const backends = Array.from({ length: BACKENDS }, (_, i) => {
      const { slots, serviceMs } = kind;
      const settings = { id: `b${i}`, balancer: controls[0] as string, slots, serviceMs, standby: false };
      return ending.add(new DemoBackend(settings, () => {}), one => one.stop('SIGKILL'));
    });
    await Promise.all(backends.map(one => one.start()));
    for (const one of instances) {
      await until('it knows all', async () => (await one.ready()).detail.servers === BACKENDS);
    }
    let latencies: number[] = [];
    let failed = 0;
    const rate = (0.8 * BACKENDS * kind.slots * 1_000) / kind.serviceMs;
    for (const one of instances) {
      const callers = new DemoCallers(report => {
        for (const ms of report.latencies) latencies.push(ms);
        for (const times of Object.values(report.failed)) failed += times;
      });
      ending.add(callers, each => each.stop());
      await callers.start();
      callers.route({ via: 'proxy', address: one.proxy });
      callers.rate(rate / count);
    }
    await new Promise(resolve => setTimeout(resolve, SETTLE_MS));
    latencies = [];
    failed = 0;
    await new Promise(resolve => setTimeout(resolve, SECONDS * 1_000));
    const sorted = latencies.toSorted((a, b) => a - b);
    const at = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
    const mean = sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length;
    return {
      kind: kind.name,
      instances: count,
      round,
      calls: sorted.length,
      failed,
      p50: at(0.5),
      p99: at(0.99),
      mean,
    };
  } finally {
    await ending.all();
  }
}

const figures: Figure[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  for (const kind of KINDS) {
    for (const count of COUNTS) figures.push(await run(kind, count, round));
  }
}

const mean = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0) / list.length;
console.log(
  `instances: p99 of the same calls through 1, 2 and 4 instances, ${ROUNDS} rounds of ${SECONDS} s, means`,
);
console.log('backends      instances   calls  failed   p50 ms   p99 ms  of one  bound');
for (const kind of KINDS) {
  const of = (count: number) => figures.filter(one => one.kind === kind.name && one.instances === count);
  const alone = mean(of(1).map(one => one.p99));
  for (const count of COUNTS) {
    const rows = of(count);
    const p99 = mean(rows.map(one => one.p99));
    const cells = [
      kind.name.padEnd(12),
      String(count).padStart(10),
      String(rows.reduce((sum, one) => sum + one.calls, 0)).padStart(7),
      String(rows.reduce((sum, one) => sum + one.failed, 0)).padStart(7),
      mean(rows.map(one => one.p50))
        .toFixed(1)
        .padStart(8),
      p99.toFixed(1).padStart(8),
      (p99 / alone).toFixed(2).padStart(7),
      count === 4 ? kind.bound.toFixed(2).padStart(6) : '',
    ];
    console.log(cells.join(' '));
  }
}
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ suite: 'instances', figures }, null, 2)}\n`);
process.exit(0);
