/**
 * What traces cost the proxy: CPU of its process for a call without them, with 1 % of the calls sampled, and with all,
 * exported to a real Jaeger on the core of the load. One process is switched between the three, in an order that turns
 * from round to round: two processes of the same settings differ by more than 1 % of the calls can cost. The rounds are
 * spread over several processes, and a figure is the median of the ratios of each round, with its quartiles.
 *
 * `make bench ARGS='tracing'`; behind `--`: `--rounds N` of each process, `--processes N`, `--scale X` (of the number of
 * calls).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureTools } from '../../../scripts/tools/install.ts';
import { startJaeger } from '../../support/jaeger.ts';
import { startProgram } from '../../support/program.ts';
import type { RunningProxy } from '../../support/proxy-under-test.ts';
import { BenchSuite } from '../harness.ts';
import { median, type Row, results, tableOf } from '../proxy/figures.ts';
import { backends, Cleanup, generate, h2load, LOAD_CORE, PROXY_CORE } from '../proxy/rig.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '6' },
    processes: { type: 'string', default: '2' },
    scale: { type: 'string', default: '1' },
  },
});
const rounds = Number(values.rounds);
const scale = Number(values.scale);
await ensureTools(['jaeger', 'h2load', 'nghttpd']);

/** How much of what callers have not decided is sampled; they decide as much of what they have. */
const MODES = [
  { name: 'plain', ratio: null },
  { name: '1 %', ratio: 0.01 },
  { name: '100 %', ratio: 1 },
] as const;
type Mode = (typeof MODES)[number];
const TARGET = 1.05;
/** What waits for the collector is sent meanwhile, and is not counted for the next mode. */
const FLUSHED_MS = 1_200;

const cleanup = new Cleanup();
const suite = new BenchSuite('tracing', values.json === undefined ? [] : ['--json', values.json]);

/** A balancer that is switched to a mode. */
async function startSwitched(servers: readonly string[], endpoint: string) {
  const any = { listen: '127.0.0.1:0' };
  const config = JSON.stringify({
    proxy: any,
    control: any,
    admin: any,
    health: { check: 'none', orca: false },
    servers: servers.map((address, n) => ({ id: `s${n}`, address, services: ['*'] })),
    telemetry: { traces: { endpoint } },
  });
  let said = Promise.withResolvers<string>();
  const script = fileURLToPath(new URL('./balancer.ts', import.meta.url));
  const args = ['--conditions=heapmesh-source', '--no-warnings', '--max-semi-space-size=4'];
  const program = await startProgram(process.execPath, [...args, script, config, JSON.stringify(MODES)], {
    cpu: PROXY_CORE,
    openFiles: 21_000,
    onLine: line => said.resolve(line),
  });
  void program.ended.then(end => said.reject(new Error(`it ended (${end}): ${program.printed()}`)));
  let now = JSON.parse(await said.promise) as { mode: string; proxy: string };
  return {
    async become(mode: Mode): Promise<RunningProxy> {
      while (now.mode !== mode.name) {
        said = Promise.withResolvers();
        program.child.kill('SIGUSR2');
        now = JSON.parse(await said.promise) as typeof now;
      }
      const { pid, ended, printed } = program;
      return {
        name: mode.name,
        address: now.proxy,
        pid,
        ended,
        printed,
        drain() {},
        stop: async () => {},
      };
    },
    stop: () => program.stop(),
  };
}

try {
  const jaeger = await startJaeger({ cpu: LOAD_CORE });
  cleanup.add(() => jaeger.stop());
  const servers = await backends(cleanup, 2, 95);
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-body-'));
  cleanup.add(() => rmSync(folder, { recursive: true }));
  const body = join(folder, 'body');
  writeFileSync(body, Buffer.alloc(5));
  const calls = (count: number): number => Math.round(count * scale);
  const unary = (connections: number, streams: number, count: number) => async (proxy: RunningProxy) =>
    h2load(proxy, { calls: calls(count), connections, streams, body }).perCallUs;
  const realistic = async (proxy: RunningProxy, { ratio }: Mode): Promise<number> => {
    const job = {
      connections: 50,
      streams: 4,
      messageBytes: 1_019,
      answerBytes: 100,
      traced: true,
      constant: 12,
    };
    return (await generate(proxy, { ...job, calls: calls(15_000), sampled: ratio ?? 0 })).perCallUs;
  };
  const shapes: Record<string, (proxy: RunningProxy, mode: Mode) => Promise<number>> = {
    'no context, 4 × 50': unary(4, 50, 40_000),
    'no context, 50 × 1': unary(50, 1, 15_000),
    "the caller's context, 50 × 4": realistic,
  };
  const rows = Object.keys(shapes).flatMap(shape =>
    MODES.map(({ name }) => ({
      group: 'tracing',
      shape,
      proxy: name,
      unit: 'µs/call',
      values: [] as number[],
    })),
  );
  for (let one = 0; one < Number(values.processes); one++) {
    const balancer = await startSwitched(servers, jaeger.grpc);
    // A process that has run for some minutes has compiled what makes and encodes spans.
    for (let round = -2; round < rounds; round++) {
      for (const [shape, run] of Object.entries(shapes)) {
        const turned = MODES.map((_, at) => MODES[(at + round + MODES.length) % MODES.length] as Mode);
        for (const mode of turned) {
          const value = await run(await balancer.become(mode), mode);
          if (mode.ratio === 1) await sleep(FLUSHED_MS);
          if (round >= 0) {
            rows.find(row => row.shape === shape && row.proxy === mode.name)?.values.push(value);
          }
        }
      }
      console.log(`process ${one + 1}, round ${round < 0 ? 'of warm-up' : `${round + 1} of ${rounds}`}`);
    }
    await balancer.stop();
  }
  console.log(`\ntracing: CPU of the proxy for a call\n${tableOf(rows as Row[], 'plain')}`);
  suite.results.push(...results(rows, []));
  for (const shape of Object.keys(shapes)) {
    const of = (name: string) => rows.find(row => row.shape === shape && row.proxy === name)?.values ?? [];
    // What slowed one round slowed all of it.
    const over = (name: string) =>
      of(name)
        .map((each, round) => each / (of('plain')[round] ?? Number.NaN))
        .sort((a, b) => a - b);
    const ratios = over('1 %');
    const value = median(ratios);
    const quartile = (share: number): number => ratios[Math.floor(share * (ratios.length - 1))] as number;
    const more = median(of('100 %').map((each, round) => each - (of('plain')[round] ?? Number.NaN)));
    console.log(
      `${shape}: 100 % is ${median(over('100 %')).toFixed(2)} × plain, ${more.toFixed(1)} µs more a call`,
    );
    const reached = value <= TARGET;
    const spread = `half of the rounds ${quartile(0.25).toFixed(3)} to ${quartile(0.75).toFixed(3)}`;
    suite.results.push({
      group: 'tracing',
      name: `${shape}, 1 % / plain`,
      unit: '×',
      value,
      target: TARGET,
      reached,
      note: spread,
    });
    console.log(
      `${reached ? 'reached' : 'MISSED '}  ${shape}: 1 % is ${value.toFixed(3)} × plain (${spread}), to reach ${TARGET}`,
    );
  }
} finally {
  await cleanup.run();
}
suite.finish();
