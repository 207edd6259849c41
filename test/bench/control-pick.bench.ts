/**
 * CPU time of PickServer against that of a bare grpc-js unary call that returns as many bytes: two
 * processes that take turns, h2load in front, the kernel's clock. Needs `h2load`.
 */
import { PickServerRequest } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { BenchSuite } from './harness.ts';
import { cpuNanoseconds, h2load, type Started, start } from './processes.ts';

const PATH = '/heapmesh.v1.LookasideService/PickServer';
const ROUNDS = 15;
const TARGET = 1.1;
/** h2load's `-c` and `-m`, and calls a round. */
const SHAPES = [
  [4, 50, 10_000],
  [50, 1, 6_000],
] as const;

/**
 * The same young generation for both, MB. Left to itself, V8 sizes the heap of each process by how its
 * start went, and then one of them compacts ten times as often as the other: a third of the cost, by luck.
 */
const YOUNG = ['--min-semi-space-size=64', '--max-semi-space-size=64'];

const suite = new BenchSuite('control API');
const message = PickServerRequest.encode(
  PickServerRequest.fromPartial({ service: 'echo.v1.EchoService', method: 'Echo' }),
).finish();

/** CPU time of a process without calls, ns a ms of wall clock. */
async function idleRate({ process }: Started<unknown>): Promise<number> {
  const before = cpuNanoseconds(process.pid as number);
  const start = performance.now();
  await new Promise(resolve => setTimeout(resolve, 1000));
  return (cpuNanoseconds(process.pid as number) - before) / (performance.now() - start);
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

for (const backends of ['100', '10000']) {
  const group = `PickServer, ${backends} backends`;
  if (!suite.wants(group)) continue;
  const pick = await start<{ address: string }>('./control-server.ts', ['pick', backends], YOUNG);
  const bare = await start<{ address: string }>('./control-server.ts', ['bare'], YOUNG);
  try {
    for (const [connections, streams, calls] of SHAPES) {
      const costs = { pick: [] as number[], bare: [] as number[], ratio: [] as number[] };
      const cost = async (
        { process, hello }: Started<{ address: string }>,
        idle: number,
      ): Promise<number> => {
        const before = cpuNanoseconds(process.pid as number);
        const start = performance.now();
        await h2load(hello.address, PATH, message, calls, connections, streams);
        // What the process does by itself is no cost of a call; a busy machine would make it one.
        const background = idle * (performance.now() - start);
        return (cpuNanoseconds(process.pid as number) - before - background) / calls / 1000;
      };
      const idle = { pick: await idleRate(pick), bare: await idleRate(bare) };
      for (let round = -2; round < ROUNDS; round++) {
        const pickFirst = round % 2 === 0;
        const first = pickFirst ? await cost(pick, idle.pick) : await cost(bare, idle.bare);
        const second = pickFirst ? await cost(bare, idle.bare) : await cost(pick, idle.pick);
        const [a, b] = pickFirst ? [first, second] : [second, first];
        if (round < 0) continue;
        costs.pick.push(a);
        costs.bare.push(b);
        costs.ratio.push(a / b);
      }
      const ratio = median(costs.ratio);
      suite.record({
        group,
        name: `${connections} × ${streams}: CPU over a bare call's`,
        unit: 'ratio',
        value: ratio,
        target: TARGET,
        reached: ratio <= TARGET,
        best: Math.min(...costs.pick) / Math.min(...costs.bare),
        note: `${median(costs.pick).toFixed(1)} µs against ${median(costs.bare).toFixed(1)} µs a call, ${(idle.pick / 1e4).toFixed(1)} % of a core besides`,
      });
    }
  } finally {
    await pick.stop();
    await bare.stop();
  }
}
suite.finish();
