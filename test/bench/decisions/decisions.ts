/**
 * Picks on real processes: servers of unequal speed, one that slows down, one that fails, behind Heapmesh (proxy and
 * `heapmesh://`) and behind what people use instead, at the same rate, in turns.
 *
 * `make bench-decisions`; ARGS: `--only NAME` (of a scenario, several times), `--rounds N`, `--seconds S` (of the
 * measured part of a run), `--ways NAME,NAME`, `--json FILE`, `--plot FILE`.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureTools } from '../../../scripts/tools/install.ts';
import { proxyUnderTest } from '../../support/proxy-under-test.ts';
import { median, type Row, ratio, tableOf } from '../proxy/figures.ts';
import { barChart } from '../proxy/plot.ts';
import { Cleanup } from '../proxy/rig.ts';
import type { CallerReport, Route } from './messages.ts';
import { type Backend, putBack, startBackend, startCaller, startHeapmesh } from './processes.ts';
import { capacityOf, SCENARIOS, type Scenario } from './scenarios.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '6' },
    ways: { type: 'string' },
    json: { type: 'string' },
    plot: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const measureMs = Number(values.seconds) * 1_000;
/** Queues of the run before are gone, and rates are what they will be. */
const WARM_MS = 1_500;
/** Before the first round: registration, and some reports. */
const SETTLE_MS = 3_000;
const PEERS = ['envoy', 'haproxy', 'nginx'] as const;

interface Way {
  readonly name: string;
  readonly route: Route;
}

/** One figure of a report; less is better. */
const FIGURES: readonly { name: string; unit: string; of: (report: CallerReport) => number }[] = [
  { name: 'p50', unit: 'ms', of: ({ latencies }) => quantile(latencies, 0.5) },
  { name: 'p99', unit: 'ms', of: ({ latencies }) => quantile(latencies, 0.99) },
  { name: 'p99.9', unit: 'ms', of: ({ latencies }) => quantile(latencies, 0.999) },
  { name: 'failed', unit: '%', of: report => failedShare(report, 0) },
  // What finding it out costs is the same in a run of any length; this is what goes on.
  { name: 'failed later', unit: '%', of: report => failedShare(report, measureMs / 2) },
];

/** Percent of the calls that were due from then on. */
function failedShare({ latencies, failedAt }: CallerReport, fromMs: number): number {
  const failed = failedAt.filter(at => at >= fromMs).length;
  return (100 * failed) / ((failedAt.length + latencies.length) * (1 - fromMs / measureMs));
}

function quantile(latencies: readonly number[], q: number): number {
  const sorted = latencies.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

async function run(scenario: Scenario): Promise<Row[]> {
  const cleanup = new Cleanup();
  try {
    // One each way: what one has found out about a server, the other must not know.
    const heapmesh = await startHeapmesh(cleanup);
    const lookaside = await startHeapmesh(cleanup);
    const backends: Backend[] = [];
    for (const [n, { slots, serviceMs }] of scenario.backends.entries()) {
      const settings = { id: `s${n}`, slots, serviceMs, balancers: [heapmesh.control, lookaside.control] };
      backends.push(await startBackend(settings, cleanup));
    }
    const addresses = backends.map(({ address }) => address);
    const ways: Way[] = [
      { name: 'heapmesh', route: { kind: 'proxy', address: heapmesh.proxy } },
      { name: 'heapmesh lookaside', route: { kind: 'heapmesh', control: lookaside.control } },
    ];
    for (const name of PEERS) {
      if (!wanted(name)) continue;
      const peer = await proxyUnderTest(name).start(addresses);
      cleanup.add(() => peer.stop());
      ways.push({ name, route: { kind: 'proxy', address: peer.address } });
    }
    ways.push(
      { name: 'grpc-js wrr', route: { kind: 'weighted-round-robin', addresses } },
      { name: 'no balancer', route: { kind: 'none', addresses } },
    );
    const caller = await startCaller(cleanup);
    await sleep(SETTLE_MS);
    const rate = scenario.load * capacityOf(scenario);
    console.log(`\n${scenario.name}: ${scenario.what}; ${rate.toFixed(0)} calls/s`);

    const turn = async (way: Way): Promise<CallerReport> => {
      const job = { name: way.name, route: way.route, rate, warmMs: WARM_MS, measureMs };
      const victim = backends[0] as Backend;
      const timers: NodeJS.Timeout[] = [];
      const report = await caller.run(job, () => {
        const { event } = scenario;
        if (event === undefined) return;
        timers.push(
          setTimeout(() => victim.tell(event.begin), measureMs / 4),
          setTimeout(() => victim.tell(event.end), measureMs),
        );
      });
      for (const timer of timers) clearTimeout(timer);
      if (scenario.event !== undefined) victim.tell(scenario.event.end);
      // An ejection would last into the next turn of the same way, which would then have nothing to find out.
      for (const { control } of [heapmesh, lookaside]) await putBack(control, victim.id);
      return report;
    };
    const reports = new Map<string, CallerReport[]>();
    const taking = ways.filter(({ name }) => wanted(name));
    // The first round does not count: connections, and code that is compiled as it runs.
    for (let round = -1; round < rounds; round++) {
      for (let n = 0; n < taking.length; n++) {
        // Who comes first changes, so that none always follows the same one.
        const way = taking[(n + round + taking.length) % taking.length] as Way;
        const report = await turn(way);
        if (round < 0) continue;
        reports.set(way.name, [...(reports.get(way.name) ?? []), report]);
        if (process.stdout.isTTY)
          process.stdout.write(`\r  round ${round + 1} of ${rounds}, ${way.name.padEnd(20)}`);
      }
    }
    process.stdout.write('\r');
    shares(reports, backends);
    return FIGURES.flatMap(({ name, unit, of }) =>
      taking.map(way => ({
        group: scenario.name,
        shape: name,
        proxy: way.name,
        unit,
        values: (reports.get(way.name) ?? []).map(of),
      })),
    );
  } finally {
    await cleanup.run();
  }
}

function wanted(way: string): boolean {
  return values.ways === undefined || values.ways.split(',').includes(way);
}

/** Who got the calls, in percent of those that were served. */
function shares(reports: ReadonlyMap<string, readonly CallerReport[]>, backends: readonly Backend[]): void {
  for (const [way, all] of reports) {
    const served = backends.map(({ id }) => all.reduce((sum, report) => sum + (report.served[id] ?? 0), 0));
    const sum = served.reduce((a, b) => a + b, 0);
    const parts = served.map(each => ((100 * each) / sum).toFixed(0).padStart(3));
    console.log(`  ${way.padEnd(20)} served % by server: ${parts.join(' ')}`);
  }
}

// Programs end with this process, but not where a signal ends it before they could be told.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** Whether a scenario is named by how a word of its name and those after it begin: `equal` is not `unequal`. */
function isNamed({ name }: Scenario, by: string): boolean {
  return name.startsWith(by) || name.includes(` ${by}`);
}

const unknown = values.only.filter(name => !SCENARIOS.some(scenario => isNamed(scenario, name)));
if (unknown.length > 0 || !(rounds >= 1) || !(measureMs > 0)) {
  console.error(`decisions: scenarios are ${SCENARIOS.map(({ name }) => `'${name}'`).join(', ')}`);
  process.exit(2);
}
await ensureTools(PEERS.filter(wanted));
console.log(
  PEERS.filter(wanted)
    .map(name => proxyUnderTest(name).version())
    .join('; '),
);
const all: Row[] = [];
for (const scenario of SCENARIOS) {
  if (values.only.length > 0 && !values.only.some(name => isNamed(scenario, name))) continue;
  const rows = await run(scenario);
  all.push(...rows);
  console.log(tableOf(rows, 'heapmesh'));
  const p99 = (name: string): Row | undefined =>
    rows.find(({ shape, proxy }) => shape === 'p99' && proxy === name);
  const ours = p99('heapmesh');
  if (ours === undefined) continue;
  const ratios = rows
    .filter(({ shape, proxy }) => shape === 'p99' && !proxy.startsWith('heapmesh'))
    .map(row => `${ratio(ours, row).toFixed(2)} × ${row.proxy}`);
  console.log(`  p99 of heapmesh, medians of the ratios of each round: ${ratios.join(', ')}`);
}
if (values.json !== undefined) {
  const figures = all.map(row => ({ ...row, median: median(row.values) }));
  writeFileSync(
    values.json,
    `${JSON.stringify({ rounds, measureMs, time: new Date().toISOString(), figures }, null, 2)}\n`,
  );
}
if (values.plot !== undefined) {
  const rows = all.filter(({ shape }) => shape === 'p99').map(row => ({ ...row, shape: row.group }));
  writeFileSync(values.plot, barChart('99th percentile of latency, ms; less is better', rows));
}
