/** 10,000 backends on as many connections, each reporting once a second: CPU and memory of the balancer. */
import { BenchSuite } from './harness.ts';
import { cpuNanoseconds, residentBytes, start } from './processes.ts';

const BACKENDS = 10_000;
const SECONDS = 10;
const group = `${BACKENDS} backends report once a second`;
const suite = new BenchSuite('control API');

if (suite.wants(group)) {
  const server = await start<{ address: string }>('./control-server.ts', ['serve']);
  const pid = server.process.pid as number;
  const empty = residentBytes(pid);
  const begun = performance.now();
  const load = await start<{ open: number }>('./report-load.ts', [
    server.hello.address,
    String(BACKENDS),
    '120',
  ]);
  const opened = (performance.now() - begun) / 1000;
  // Registrations are still being taken, and the optimizer has its work.
  await new Promise(resolve => setTimeout(resolve, 5000));
  const before = await server.ask<{ reports: number }>();
  const [cpu, time] = [cpuNanoseconds(pid), performance.now()];
  await new Promise(resolve => setTimeout(resolve, SECONDS * 1000));
  const share = (cpuNanoseconds(pid) - cpu) / 1e6 / (performance.now() - time);
  const seconds = (performance.now() - time) / 1000;
  const after = await server.ask<{ reports: number; reporters: number; known: number; heapUsed: number }>();
  const { closed } = await load.ask<{ sent: number; closed: number }>();
  const rate = (after.reports - before.reports) / seconds;
  const resident = residentBytes(pid);
  await load.stop();
  await server.stop();
  const intact = after.reporters === BACKENDS && after.known === BACKENDS && closed === 0;
  suite.record({
    group,
    name: 'CPU of the balancer',
    unit: 'of a core',
    value: share,
    target: 0.6,
    reached: share <= 0.6 && intact && rate > BACKENDS * 0.9,
    note: `${rate.toFixed(0)} reports/s, ${((share / rate) * 1e6).toFixed(1)} µs each; ${after.reporters} streams, opened in ${opened.toFixed(1)} s`,
  });
  suite.record({
    group,
    name: 'resident memory',
    unit: 'MiB',
    value: resident / 2 ** 20,
    target: 1024,
    reached: resident <= 2 ** 30,
    note: `${((resident - empty) / BACKENDS / 1024).toFixed(1)} KiB a connection; ${(after.heapUsed / 2 ** 20).toFixed(0)} MiB of it V8's heap`,
  });
}
suite.finish();
