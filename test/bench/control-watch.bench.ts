/** 1,000 watchers of 1,000 backends that report once a second: CPU, bytes a second, delays. */
import { BenchSuite } from './harness.ts';
import { cpuNanoseconds, residentBytes, start } from './processes.ts';

const WATCHERS = 1000;
const BACKENDS = 1000;
const SECONDS = 10;
const group = `${WATCHERS} watchers of ${BACKENDS} backends`;
const suite = new BenchSuite('control API');

interface Told {
  readonly bytes: number;
  readonly ages: number[];
  /** Arrivals of each weight that was set. */
  readonly seen: [number, number[]][];
}

const quantile = (values: number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;

if (suite.wants(group)) {
  const server = await start<{ address: string }>('./control-server.ts', ['report', String(BACKENDS)]);
  const pid = server.process.pid as number;
  const load = await start<{ open: number }>('./watch-load.ts', [server.hello.address, String(WATCHERS)]);
  await new Promise(resolve => setTimeout(resolve, 4000));
  const before = await load.ask<Told>();
  const [cpu, time] = [cpuNanoseconds(pid), performance.now()];
  const sent = new Map<number, number>();
  for (let i = 0; i < SECONDS * 2; i++) {
    await new Promise(resolve => setTimeout(resolve, 500));
    sent.set(i + 2, Date.now());
    server.process.send({ weight: i + 2 });
  }
  await new Promise(resolve => setTimeout(resolve, 500));
  const seconds = (performance.now() - time) / 1000;
  const share = (cpuNanoseconds(pid) - cpu) / 1e9 / seconds;
  const told = await load.ask<Told>();
  const { watches, watchSkips } = await server.ask<{ watches: number; watchSkips: number }>();
  const resident = residentBytes(pid);
  await load.stop();
  await server.stop();
  const delays = told.seen.flatMap(([weight, times]) =>
    times.map(at => at - (sent.get(weight) ?? Number.NaN)),
  );
  const record = (name: string, value: number, unit: string, note: string) =>
    suite.record({ group, name, value, unit, note });
  record('CPU of the balancer', share, 'of a core', `${watches} watches; ${watchSkips} rounds skipped`);
  const rate = (told.bytes - before.bytes) / seconds / 1e6;
  const each = (told.bytes - before.bytes) / seconds / WATCHERS / BACKENDS;
  record('sent', rate, 'MB/s', `${each.toFixed(0)} bytes a backend, watcher and second`);
  record(
    'change to watcher, p99',
    quantile(delays, 0.99),
    'ms',
    `${delays.length} arrivals; median ${quantile(delays, 0.5)} ms`,
  );
  record(
    'age of a load when sent, p99',
    quantile(told.ages, 0.99),
    'ms',
    'loads go out once a second, so that up to 1,000 ms are its own',
  );
  record('resident memory', resident / 2 ** 20, 'MiB', '');
}
suite.finish();
