/**
 * All of it on at once: 10,000 servers that report, traces of 1 %, a scrape each 5 s, a console that is open, a
 * reload each minute, and realistic calls at half of the peak rate; beside the same calls with all of that off,
 * without a proxy, and through Envoy. `--seconds N` (behind `--`) is the time with all of it on; default 120. What it
 * is compared with is measured before and after, while nothing else runs, and takes five minutes more at most.  `--profile` says
 * where the time of each stall went, and `--only` leaves the comparison out. `--rate N` is calls a second, in the place
 * of half of what the balancer can do with all of it off.
 */
import { parseArgs } from 'node:util';
import { ensureTools } from '../../../scripts/tools/install.ts';
import { startJaeger } from '../../support/jaeger.ts';
import { mostOpenFiles } from '../../support/program.ts';
import { proxyUnderTest, type RunningProxy } from '../../support/proxy-under-test.ts';
import { cpuNanoseconds } from '../../support/usage.ts';
import { type BenchResult, BenchSuite } from '../harness.ts';
import { start as startModule } from '../processes.ts';
import { median } from '../proxy/figures.ts';
import { LatencyCounts } from '../proxy/latency-counts.ts';
import { backends, Cleanup, generate, LOAD_CORE, start } from '../proxy/rig.ts';
import { table } from '../table.ts';
import { type Balancer, disturb, startBalancer } from './balancer.ts';
import type { Explained, Stall } from './stalls.ts';

const REPORTERS = 10_000;
const TURN_S = 10;
/** Longest stall that is to be reached, ms. */
const STALL_MS = 10;
/** Servers that have just come warm up for ten seconds, and are checked for the first time. */
const SETTLE_S = 30;
const REALISTIC = {
  connections: 50,
  messageBytes: 1_019,
  answerBytes: 4_096,
  traced: true,
  sampled: 0.01,
  constant: 12,
} as const;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    seconds: { type: 'string', default: '120' },
    reporters: { type: 'string', default: String(REPORTERS) },
    profile: { type: 'boolean', default: false },
    only: { type: 'boolean', default: false },
    rate: { type: 'string' },
  },
});
const seconds = Number(values.seconds);
const reporters = Number(values.reporters);
const suite = new BenchSuite('everything', values.json === undefined ? [] : ['--json', values.json]);
await ensureTools(['nghttpd', 'envoy', 'jaeger']);
const cleanup = new Cleanup();
const seen = new Map<string, { counts: LatencyCounts; p99: number[]; cores: number[]; failed: number }>();
const begun = performance.now();
const say = (text: string): void =>
  console.log(`${((performance.now() - begun) / 1_000).toFixed(0).padStart(4)} s  ${text}`);
const us = (value: number): string => `${(value / 1_000).toFixed(2)} ms`;

const percent = (share = Number.NaN): string => `${(100 * share).toFixed(0)} %`;

/** As fast as they end: what is compiled as it runs is compiled then. */
async function warmUp(proxy: RunningProxy): Promise<void> {
  await generate(proxy, { ...REALISTIC, streams: 4, calls: 60_000, seconds: 20 }, true);
}

/** Calls at the rate for a while, counted under a name. */
async function turn(name: string, proxy: RunningProxy, rate: number): Promise<void> {
  const own = seen.get(name) ?? { counts: new LatencyCounts(), p99: [], cores: [], failed: 0 };
  seen.set(name, own);
  const job = { ...REALISTIC, streams: 20, rate, calls: rate * TURN_S, seconds: 2 * TURN_S };
  const cpuBefore = cpuNanoseconds(proxy.pid);
  const { latencyUs, counts, failed, why } = await generate(proxy, job, true);
  own.cores.push((cpuNanoseconds(proxy.pid) - cpuBefore) / 1e9 / TURN_S);
  own.counts.merge(counts);
  own.failed += failed;
  if (latencyUs === undefined) return;
  own.p99.push(latencyUs.p99);
  say(
    `${name}: p50 ${us(latencyUs.p50)}, p99 ${us(latencyUs.p99)}, p99.9 ${us(latencyUs.p999)}; ${percent(own.cores.at(-1))} of its core`,
  );
  if (failed > 0) say(`      ${failed} calls FAILED: ${why}\n${proxy.printed().slice(-600)}`);
}

const longest = (stalls: readonly Stall[], of: (stall: Stall) => number): number =>
  stalls.reduce((most, stall) => Math.max(most, of(stall)), 0);
const own = ({ ownMs }: Stall): number => ownMs;
const whole = ({ ms }: Stall): number => ms;
/** Before which the process had its core. */
const AWAY_MS = 1;
const undisturbed = (stalls: readonly Stall[]): Stall[] => stalls.filter(({ awayMs }) => awayMs < AWAY_MS);
const shown = ({ ms, ownMs, mainMs, gcMs, awayMs }: Stall): string =>
  `${ms.toFixed(1)} ms, ${ownMs.toFixed(1)} at work, ${mainMs.toFixed(1)} of it in the main thread, ${gcMs.toFixed(1)} collecting, ${awayMs.toFixed(1)} away`;

function tell(results: readonly BenchResult[]): void {
  suite.results.push(...results);
  console.log(`\n${results[0]?.group}\n${table(results)}`);
}

function tellStalls(group: string, on: Balancer, since: number): void {
  const all = on.stalls(since);
  const mine = undisturbed(all);
  const over = (stalls: readonly Stall[], of: (stall: Stall) => number): string =>
    `${stalls.filter(stall => of(stall) > 5).length} of more than 5 ms, ${stalls.filter(stall => of(stall) > STALL_MS).length} of more than ${STALL_MS} ms`;
  const most = longest(mine, own);
  const target = { target: STALL_MS, reached: most <= STALL_MS };
  const results: BenchResult[] = [];
  const record = (name: string, value: number, note: string, more = {}): void =>
    void results.push({ group, name, unit: 'ms', value, note, ...more });
  record('longest stall, its own work', most, over(mine, own), target);
  const others = all.filter(({ awayMs }) => awayMs >= AWAY_MS);
  record('its work after it was off its core', longest(others, own), over(others, own));
  record('longest, with what the kernel gave to others', longest(all, whole), over(all, whole));
  tell(results);
  for (const stalls of [mine, others]) {
    const worst = stalls.toSorted((a, b) => own(b) - own(a)).slice(0, 8);
    if (worst.length > 0) console.log(`${worst.map(stall => `  ${shown(stall)}`).join('\n')}\n`);
  }
}

try {
  const servers = await backends(cleanup, 2, 4_091);
  const off = await startBalancer(cleanup, servers, {});
  const [envoy] = await start(cleanup, [proxyUnderTest('envoy')], servers);
  const direct = { ...off.proxy, name: 'no proxy', address: servers[0] as string };

  const peaks: number[] = [];
  await warmUp(off.proxy);
  for (let n = 0; n < 3; n++) {
    const { callsPerSecond } = await generate(off.proxy, { ...REALISTIC, streams: 4, calls: 20_000 });
    peaks.push(callsPerSecond);
  }
  const peak = Math.round(median(peaks));
  const rate = values.rate === undefined ? Math.round(peak / 2) : Number(values.rate);
  say(`${rate} calls a second; the balancer with all off does ${peak}`);
  const compared = async (): Promise<void> => {
    if (values.only) return;
    for (let n = 0; n < Math.min(3, Math.max(1, Math.round(seconds / (12 * TURN_S)))); n++) {
      await turn('no proxy', direct, rate);
      await turn('everything off', off.proxy, rate);
      if (envoy !== undefined) await turn('envoy', envoy, rate);
    }
  };
  if (envoy !== undefined) await warmUp(envoy);
  await compared();

  const everything = new Cleanup();
  cleanup.add(() => everything.run());
  const jaeger = await startJaeger({ cpu: LOAD_CORE });
  everything.add(() => jaeger.stop());
  // A check by gRPC keeps its connection: with that of the report two a server, where this machine lets it.
  const check = mostOpenFiles() > 2 * reporters + 1_000 ? 'grpc' : 'tcp';
  if (check === 'tcp') say(`${mostOpenFiles()} open files: the servers that report are checked by TCP`);
  const { profile } = values;
  const on = await startBalancer(everything, servers, { exporter: jaeger.grpc, check, profile });
  await warmUp(on.proxy);
  // Any address of 127.0.0.0/8 is this machine, so that each has one of its own, which health checks reach.
  const [reported = ''] = await backends(everything, 1, 95, '0.0.0.0');
  const coming = Date.now();
  const port = reported.split(':')[1] as string;
  const reporting = await startModule<{ open: number }>(
    './report-load.ts',
    [on.control, String(reporters), String(2 * seconds + 600), port],
    [],
    // Anywhere else it takes the core of the balancer, for seconds at a time.
    LOAD_CORE,
  );
  everything.add(() => reporting.stop());
  say(`${reporting.hello.open} servers report`);
  const scrapes = disturb(everything, on);
  for (let n = 0; n < SETTLE_S / TURN_S; n++) await turn('everything on, while servers come', on.proxy, rate);
  tellStalls(`while ${reporters} servers come`, on, coming);
  const settled = Date.now();
  for (let n = 0; n < Math.max(1, Math.round(seconds / TURN_S)); n++) {
    await turn('everything on', on.proxy, rate);
    const stalls = on.stalls(settled);
    say(
      `      stalls: ${longest(undisturbed(stalls), own).toFixed(1)} ms its own, ${longest(stalls, whole).toFixed(1)} ms in all`,
    );
  }
  tellStalls(`${reporters} reporting servers, traces, scrapes, console, reloads`, on, settled);
  const { closed } = await reporting.ask<{ sent: number; closed: number }>();
  const intact = {
    group: 'everything at once',
    name: 'servers that reported to the end',
    value: reporting.hello.open - closed,
  };
  suite.results.push({ ...intact, unit: '', target: reporters, reached: closed === 0 });
  if (closed > 0)
    say(`${closed} servers LOST their stream of reports: what follows is not with ${reporters}`);
  await turn('no proxy, beside everything on', direct, rate);
  const explained = await on.explained();
  const first = (stalls: readonly Explained[]): void => {
    for (const stall of stalls.toSorted((a, b) => own(b) - own(a)).slice(0, 20)) {
      console.log(`  ${shown(stall)}\n${stall.where.map(line => `      ${line}\n`).join('')}`);
    }
  };
  if (profile) console.log(`while ${reporters} servers came`);
  first(explained.filter(({ at }) => at >= coming && at < settled));
  if (profile) console.log('afterwards');
  first(explained.filter(({ at }) => at >= settled));
  const told = await (await fetch(`http://${on.admin}/metrics`)).text();
  for (const name of ['spans', 'load_reports', 'health_checks']) {
    say((told.match(new RegExp(`^heapmesh_${name}_total.*$`, 'gm')) ?? []).join(', '));
  }
  await everything.run();
  await compared();

  const latency: BenchResult[] = [];
  const group = `latency at ${rate} calls/s`;
  for (const [name, { counts, p99, cores, failed }] of seen) {
    const core = name.startsWith('no proxy') ? '' : `${percent(median(cores))} of a core, `;
    const note = `${core}${counts.total} calls${failed > 0 ? `, ${failed} FAILED` : ''}`;
    const best = Math.min(...p99) / 1_000;
    const worst = Math.max(...p99) / 1_000;
    const ms = { group, unit: 'ms' } as const;
    latency.push({ ...ms, name: `p99, ${name}`, value: counts.quantile(0.99) / 1_000, best, worst, note });
    latency.push({ ...ms, name: `p99.9, ${name}`, value: counts.quantile(0.999) / 1_000 });
  }
  tell(latency);
  const at = (name: string, share: number): number => seen.get(name)?.counts.quantile(share) ?? Number.NaN;
  const more = at('everything on', 0.99) / at('everything off', 0.99);
  const all: BenchResult[] = [];
  const inAll = { group: 'everything at once' } as const;
  all.push({ ...inAll, name: 'p99 on / off', unit: '×', value: more, target: 1.2, reached: more <= 1.2 });
  for (const [name, beside] of [
    ['everything on', 'no proxy, beside everything on'],
    ['everything off', 'no proxy'],
    ['envoy', 'no proxy'],
  ] as const) {
    const value = (at(name, 0.999) - at(beside, 0.999)) / 1_000;
    all.push({ ...inAll, name: `p99.9, ${name}, over ${beside}`, unit: 'ms', value });
  }
  const note = `${scrapes.tookMs.length} scrapes, ${scrapes.failed} failed`;
  all.push({ ...inAll, name: 'a scrape', unit: 'ms', value: median(scrapes.tookMs), note });
  tell(all);
} finally {
  await cleanup.run();
}
suite.finish();
