/**
 * All of it on at once: 10,000 servers that report, traces of 1 %, a scrape each 5 s, a console that is open, a
 * reload each minute, and realistic calls at half of the peak rate; beside the same calls with all of that off,
 * without a proxy, and through Envoy. `--seconds N` (behind `--`) is the time in all; default 120.
 */
import { parseArgs } from 'node:util';
import { ensureTools } from '../../../scripts/tools/install.ts';
import { proxyUnderTest } from '../../support/proxy-under-test.ts';
import { BenchSuite } from '../harness.ts';
import { start as startModule } from '../processes.ts';
import { median } from '../proxy/figures.ts';
import { backends, Cleanup, generate, start } from '../proxy/rig.ts';
import { disturb, startBalancer, startSink } from './balancer.ts';

const REPORTERS = 10_000;
const TURN_S = 5;
const REALISTIC = {
  connections: 50,
  messageBytes: 1_019,
  answerBytes: 4_096,
  traced: true,
  constant: 12,
} as const;

const { values } = parseArgs({
  options: { json: { type: 'string' }, seconds: { type: 'string', default: '120' } },
});
const rounds = Math.max(2, Math.round(Number(values.seconds) / (4 * TURN_S)));
const suite = new BenchSuite('everything', values.json === undefined ? [] : ['--json', values.json]);
await ensureTools(['nghttpd', 'envoy']);
const cleanup = new Cleanup();
try {
  const servers = await backends(cleanup, 2, 4_091);
  const off = await startBalancer(cleanup, servers, undefined);
  const on = await startBalancer(cleanup, servers, await startSink(cleanup));
  const [envoy] = await start(cleanup, [proxyUnderTest('envoy')], servers);
  const direct = { ...off.proxy, name: 'no proxy', address: servers[0] as string };
  const ways = [off.proxy, on.proxy, direct, ...(envoy === undefined ? [] : [envoy])];

  const peaks: number[] = [];
  for (let n = 0; n < 4; n++) {
    const { callsPerSecond } = await generate(off.proxy, { ...REALISTIC, streams: 4, calls: 20_000 });
    if (n > 0) peaks.push(callsPerSecond);
  }
  const rate = Math.round(median(peaks) / 2);
  console.log(`everything: ${rate} calls a second, half of what the balancer with all off does`);

  // Any address of 127.0.0.0/8 is this machine, so that each has one of its own, which health checks reach.
  const [reported = ''] = await backends(cleanup, 1, 95, '0.0.0.0');
  const port = reported.split(':')[1] as string;
  const reporters = await startModule<{ open: number }>('./report-load.ts', [
    on.control,
    String(REPORTERS),
    String(Number(values.seconds) * 4 + 120),
    port,
  ]);
  cleanup.add(() => reporters.stop());
  const scrapes = disturb(cleanup, on);

  const latencies = new Map<string, { p99: number[]; p999: number[] }>();
  // The first round does not count: code that is compiled as it runs.
  for (let round = -1; round < rounds; round++) {
    for (const way of ways) {
      const job = { ...REALISTIC, streams: 100, rate, calls: rate * TURN_S, seconds: 4 * TURN_S };
      const { latencyUs } = await generate(way, job);
      if (round < 0) {
        scrapes.stalls.length = 0;
        continue;
      }
      if (latencyUs === undefined) continue;
      const own = latencies.get(way.name) ?? { p99: [], p999: [] };
      own.p99.push(latencyUs.p99);
      own.p999.push(latencyUs.p999);
      latencies.set(way.name, own);
    }
  }
  const of = (name: string): { p99: number[]; p999: number[] } =>
    latencies.get(name) ?? { p99: [], p999: [] };
  for (const [name, { p99, p999 }] of latencies) {
    suite.record({
      group: `latency at ${rate} calls/s`,
      name: `p99, ${name}`,
      unit: 'µs',
      value: median(p99),
    });
    suite.record({
      group: `latency at ${rate} calls/s`,
      name: `p99.9, ${name}`,
      unit: 'µs',
      value: median(p999),
    });
  }
  const more = median(
    of('everything on').p99.map((p99, n) => p99 / (of('everything off').p99[n] ?? Number.NaN)),
  );
  const group = `${REPORTERS} reporting servers, traces, scrapes, console, reloads`;
  suite.record({ group, name: 'p99 on / off', unit: '×', value: more, target: 1.2, reached: more <= 1.2 });
  for (const name of ['everything on', 'everything off', 'envoy']) {
    const added = median(of(name).p999) - median(of('no proxy').p999);
    suite.record({ group, name: `p99.9 over the direct path, ${name}`, unit: 'µs', value: added });
  }
  const stall = Math.max(...scrapes.stalls) * 1_000;
  suite.record({
    group,
    name: 'longest stall of the event loop',
    unit: 'ms',
    value: stall,
    target: 10,
    reached: stall <= 10,
  });
  const note = `${scrapes.tookMs.length} scrapes, ${scrapes.failed} failed`;
  suite.record({ group, name: 'a scrape', unit: 'ms', value: median(scrapes.tookMs), note });
} finally {
  await cleanup.run();
}
suite.finish();
