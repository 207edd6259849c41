/**
 * Picking with only a share of the traffic in view: the same calls to the same backends through 1, 2 and 4
 * instances, as real processes. Each instance relays its share and sees of the rest what backends report;
 * how much of p99 that costs is the figure. Backends have slots and exponential service times, calls arrive
 * as a Poisson process at 0.8 of the capacity, and the latency counts from when a call was due.
 *
 * The arrivals of a round are the same for every count, each to an instance by chance: near 0.8 one call in fifty more
 * is a tenth more of p99, as much as what is to be measured.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { DemoBackend } from '../../src/cli/demo/processes.ts';
import { EchoRequest } from '../../src/gen/echo/v1/echo.ts';
import { randomOf } from '../core/rig.ts';
import { Ending, type Instance, startInstance, until } from '../instances/fleet.ts';
import { freePort } from '../support/program.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '10' },
    /** `four slots` or `single-slot`; both by default. */
    only: { type: 'string', default: '' },
    counts: { type: 'string', default: '1,2,4' },
  },
});
const ROUNDS = Number(values.rounds);
const SECONDS = Number(values.seconds);
const BACKENDS = 8;
const COUNTS = values.counts.split(',').map(Number);
const ALL_KINDS = [
  { name: 'four slots', slots: 4, serviceMs: 120, bound: 1.1 },
  { name: 'single-slot', slots: 1, serviceMs: 60, bound: 1.25 },
] as const;
const KINDS = ALL_KINDS.filter(kind => kind.name.includes(values.only));
const METHOD = '/echo.v1.EchoService/Echo';
const DEADLINE_MS = 5_000;
const same = (bytes: Buffer): Buffer => bytes;
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

async function run(kind: (typeof ALL_KINDS)[number], count: number, round: number): Promise<Figure> {
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
    const rate = (0.8 * BACKENDS * kind.slots * 1_000) / kind.serviceMs;
    const clients = instances.map(one =>
      ending.add(new grpc.Client(one.proxy, grpc.credentials.createInsecure()), each => each.close()),
    );
    const { latencies, failed } = await arrivals(clients, rate, round);
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

/** Calls of `SETTLE_MS`, which do not count, and of `SECONDS` behind; resolves when all have ended. */
async function arrivals(clients: readonly grpc.Client[], rate: number, seed: number) {
  const random = randomOf(seed * 7919);
  const body = Buffer.from(EchoRequest.encode({ message: 'hello' }).finish());
  const latencies: number[] = [];
  let failed = 0;
  let open = 0;
  const began = performance.now();
  const counts = (due: number) => due - began >= SETTLE_MS;
  const call = (due: number, client: grpc.Client) => {
    open++;
    const options = { deadline: Date.now() + DEADLINE_MS };
    client.makeUnaryRequest(METHOD, same, same, body, new grpc.Metadata(), options, error => {
      open--;
      if (!counts(due)) return;
      if (error === null) latencies.push(performance.now() - due);
      else failed++;
    });
  };
  const until = began + SETTLE_MS + SECONDS * 1_000;
  for (let due = began; due < until; ) {
    while (due <= performance.now() && due < until) {
      call(due, clients[Math.floor(random() * clients.length)] as grpc.Client);
      due += (-Math.log(1 - random()) * 1_000) / rate;
    }
    await sleep(2);
  }
  while (open > 0) await sleep(10);
  return { latencies, failed };
}

const figures: Figure[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  for (const kind of KINDS) {
    for (const count of COUNTS) figures.push(await run(kind, count, round));
  }
}

const mean = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0) / list.length;
console.log(
  `instances: p99 of the same calls through ${COUNTS.join(', ')} instances, ${ROUNDS} rounds of ${SECONDS} s, means`,
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
