/**
 * The transparent proxy beside its peers: CPU of the proxy's process for a call, bytes a second per core,
 * latency, memory. All proxies take turns in one run, so the ratios last longer than the figures.
 *
 * `make bench ARGS='proxy'`; behind `--`: `--only GROUP` (several times), `--proxies NAME,NAME`,
 * `--rounds N`, `--scale X` (of the number of calls), `--soak SECONDS`.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureTools } from '../../../scripts/tools/install.ts';
import { proxyUnderTest } from '../../support/proxy-under-test.ts';
import { BenchSuite } from '../harness.ts';
import { type Row, results, type Target, tableOf } from './figures.ts';
import { bulk, latency, memory, type Options, realistic, soak, unary } from './groups.ts';
import { barChart } from './plot.ts';
import { flatness, pool } from './pool.ts';

const GROUPS: Readonly<Record<string, (options: Options) => Promise<Row[]>>> = {
  unary,
  realistic,
  bulk,
  latency,
  memory,
  pool,
  soak,
};

/** To HAProxy 2.6 `mode http` and to Envoy 1.40. */
const TARGETS: readonly Target[] = (
  [
    ['4 × 50', 0.4, 0.12],
    ['50 × 1', 0.7, 0.3],
    ['200 × 4', 0.45, 0.2],
    ['1 × 1', 1, 0.55],
    ['realistic', 0.7, 0.3],
    ['1 MiB down', 1, undefined],
    ['1 MiB up', 1, undefined],
    ['200 streams, 1 KiB there and back', 1, undefined],
    ['p50', 1, undefined],
    ['p99', 1.3, undefined],
    ['10000 idle connections', undefined, 1],
    ['10000 idle connections, whole process', undefined, 1],
    ['10000 open streams', undefined, 1],
    ['10000 open streams, whole process', undefined, 1],
  ] as const
).flatMap(([shape, haproxy, envoy]) => [
  ...(haproxy === undefined ? [] : [{ shape, peer: 'haproxy', ratio: haproxy }]),
  ...(envoy === undefined ? [] : [{ shape, peer: 'envoy', ratio: envoy }]),
]);

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
    proxies: { type: 'string', default: 'heapmesh,haproxy,haproxy-tcp,envoy,nginx' },
    rounds: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    soak: { type: 'string', default: '20' },
  },
});
const unknown = values.only.filter(name => !(name in GROUPS));
if (unknown.length > 0) {
  console.error(`proxy: no group ${unknown.join(', ')}. Groups: ${Object.keys(GROUPS).join(', ')}`);
  process.exit(2);
}
const proxies = values.proxies.split(',').map(proxyUnderTest);
await ensureTools(['h2load', 'nghttpd', ...proxies.flatMap(({ needs }) => needs)]);
if (availableParallelism() < 2) console.log('proxy: one core alone: proxy and load share it');
console.log(proxies.map(({ name, version }) => `${name}: ${version()}`).join('; '));

const options: Options = {
  proxies,
  rounds: Number(values.rounds),
  scale: Number(values.scale),
  soakSeconds: Number(values.soak),
  say: line => console.log(`  ${line}`),
};
const suite = new BenchSuite('proxy', values.json === undefined ? [] : ['--json', values.json]);
const base = proxies.some(({ name }) => name === 'haproxy') ? 'haproxy' : (proxies[0]?.name ?? '');
const rows: Row[] = [];
for (const [name, run] of Object.entries(GROUPS)) {
  if (values.only.length > 0 && !values.only.includes(name)) continue;
  const group = await run(options);
  rows.push(...group);
  console.log(`\nproxy: ${name}\n${tableOf(group, base)}`);
}
suite.results.push(...results(rows, TARGETS), ...flatness(rows));
for (const { name, value, target, reached } of suite.results) {
  if (target === undefined) continue;
  console.log(
    `${reached === true ? 'reached' : 'MISSED '}  ${name}: ${value.toFixed(2)}, to reach ${target}`,
  );
}
suite.finish();
if (values.json !== undefined) {
  const chart = rows.filter(({ unit }) => unit === 'µs/call');
  const file = values.json.replace(/\.json$/, '.svg');
  if (chart.length > 0)
    writeFileSync(file, barChart('CPU time of the proxy for a call: less is better', chart));
}
