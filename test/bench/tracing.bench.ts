/**
 * What traces cost the proxy: CPU of its process for a call without them, with 1 % of the calls sampled, and with all,
 * exported to a real Jaeger on the core of the load. All take turns in one run.
 *
 * `make bench ARGS='tracing'`; behind `--`: `--rounds N`, `--scale X` (of the number of calls).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureTools } from '../../scripts/tools/install.ts';
import { startJaeger } from '../support/jaeger.ts';
import { heapmesh } from '../support/proxies/heapmesh.ts';
import type { RunningProxy } from '../support/proxy-under-test.ts';
import { BenchSuite } from './harness.ts';
import { median, type Row, results, tableOf } from './proxy/figures.ts';
import { backends, Cleanup, generate, h2load, LOAD_CORE, PROXY_CORE } from './proxy/rig.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '9' },
    scale: { type: 'string', default: '1' },
  },
});
const rounds = Number(values.rounds);
const scale = Number(values.scale);
await ensureTools(['jaeger', 'h2load', 'nghttpd']);

/** How much of what callers have not decided is sampled; they decide as much of what they have. */
const RATIOS: Readonly<Record<string, number | undefined>> = { plain: undefined, '1 %': 0.01, '100 %': 1 };
const TARGET = 1.05;

const cleanup = new Cleanup();
const suite = new BenchSuite('tracing', values.json === undefined ? [] : ['--json', values.json]);
try {
  const jaeger = await startJaeger({ cpu: LOAD_CORE });
  cleanup.add(() => jaeger.stop());
  const servers = await backends(cleanup, 2, 95);
  const running: RunningProxy[] = [];
  for (const [name, ratio] of Object.entries(RATIOS)) {
    const env: Record<string, string> =
      ratio === undefined
        ? { OTEL_SDK_DISABLED: 'true' }
        : {
            OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.grpc,
            OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
            OTEL_TRACES_SAMPLER_ARG: String(ratio),
          };
    const one = await heapmesh.start(servers, { cpu: PROXY_CORE, env });
    cleanup.add(() => one.stop());
    running.push({ ...one, name });
  }
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-body-'));
  cleanup.add(() => rmSync(folder, { recursive: true }));
  const body = join(folder, 'body');
  writeFileSync(body, Buffer.alloc(5));
  const calls = (count: number): number => Math.round(count * scale);
  const unary = (connections: number, streams: number, count: number) => (proxy: RunningProxy) =>
    h2load(proxy, { calls: calls(count), connections, streams, body }).perCallUs;
  let warming = true;
  const realistic = async (proxy: RunningProxy): Promise<number> => {
    const job = {
      connections: 50,
      streams: 4,
      messageBytes: 1_019,
      answerBytes: 100,
      traced: true,
      constant: 12,
    };
    // A process that has run for some minutes has compiled what makes and encodes spans, at 1 % too.
    const sampled = warming ? 1 : (RATIOS[proxy.name] ?? 0);
    return (await generate(proxy, { ...job, calls: calls(15_000), sampled })).perCallUs;
  };
  const shapes: Record<string, (proxy: RunningProxy) => number | Promise<number>> = {
    'no context, 4 × 50': unary(4, 50, 40_000),
    'no context, 50 × 1': unary(50, 1, 15_000),
    "the caller's context, 50 × 4": realistic,
  };
  const rows = Object.keys(shapes).flatMap(shape =>
    running.map(({ name }) => ({
      group: 'tracing',
      shape,
      proxy: name,
      unit: 'µs/call',
      values: [] as number[],
    })),
  );
  for (let round = -2; round < rounds; round++) {
    warming = round < 0;
    for (const [shape, run] of Object.entries(shapes)) {
      for (const proxy of running) {
        const value = await run(proxy);
        if (round >= 0) rows.find(row => row.shape === shape && row.proxy === proxy.name)?.values.push(value);
      }
    }
  }
  console.log(`\ntracing: CPU of the proxy for a call\n${tableOf(rows as Row[], 'plain')}`);
  suite.results.push(...results(rows, []));
  for (const shape of Object.keys(shapes)) {
    const of = (name: string) => rows.find(row => row.shape === shape && row.proxy === name)?.values ?? [];
    // The median of the ratios of each round: what slowed one round slowed both.
    const value = median(of('1 %').map((each, round) => each / (of('plain')[round] ?? Number.NaN)));
    const more = median(of('100 %').map((each, round) => each - (of('plain')[round] ?? Number.NaN)));
    console.log(`${shape}: 100 % costs ${more.toFixed(1)} µs more a call`);
    const reached = value <= TARGET;
    suite.results.push({
      group: 'tracing',
      name: `${shape}, 1 % / plain`,
      unit: '×',
      value,
      target: TARGET,
      reached,
    });
    console.log(
      `${reached ? 'reached' : 'MISSED '}  ${shape}: 1 % is ${value.toFixed(3)} × plain, to reach ${TARGET}`,
    );
  }
} finally {
  await cleanup.run();
}
suite.finish();
