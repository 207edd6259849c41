/**
 * What it costs to check many servers, each every five seconds: CPU share and memory of the process that checks,
 * beside a grpc-js client a server, which is what one would write without the frame engine.
 *
 * The servers are one process that answers grpc.health.v1 on many ports; the checker is another, so that its CPU and
 * memory are its own. What the figures are at the time is printed; `--servers N` and `--seconds N` change them.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { BenchSuite } from './harness.ts';
import type { CheckerResult } from './health-checker.ts';

const OWN = ['--servers', '--seconds'];
const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '15' },
  },
  // The suite reads its own.
  strict: false,
});
const count = Number(values.servers);
const seconds = Number(values.seconds);
const rest = process.argv
  .slice(2)
  .filter((arg, at, all) => !OWN.includes(arg) && !OWN.includes(all[at - 1] ?? ''));
const suite = new BenchSuite('health', rest);

async function told<T>(file: string, args: readonly string[]): Promise<{ message: T; end: () => void }> {
  const child = fork(new URL(file, import.meta.url), args, {
    execArgv: ['--expose-gc', '--conditions=heapmesh-source'],
  });
  const [message] = (await once(child, 'message')) as [T];
  return { message, end: () => child.kill('SIGKILL') };
}

const servers = await told<{ ports: number[] }>('./health-servers.ts', []);
const results: CheckerResult[] = [];
try {
  const ports = servers.message.ports.join(',');
  // A client of grpc-js each costs too much for all of them: a tenth shows what one costs.
  for (const [kind, many] of [
    ['heapmesh', count],
    ['grpc-js', Math.ceil(count / 10)],
  ] as const) {
    const checker = await told<CheckerResult>('./health-checker.ts', [kind, ports, `${many}`, `${seconds}`]);
    results.push(checker.message);
    checker.end();
  }
} finally {
  servers.end();
}

for (const {
  kind,
  servers: many,
  checksPerSecond,
  cpuShare,
  microsecondsPerCheck,
  bytesPerServer,
  failed,
} of results) {
  const group = `${many.toLocaleString('en')} servers, each checked every 5 s, by ${kind}`;
  const record = (name: string, value: number, unit: string, note = '') =>
    suite.record({ group, name, value, unit, note });
  record('CPU', cpuShare, 'of a core', `${checksPerSecond.toFixed(0)} checks/s, ${failed} failed`);
  record('CPU a check', microsecondsPerCheck, 'µs');
  record('memory a server', bytesPerServer / 1024, 'KiB');
}
suite.finish();
