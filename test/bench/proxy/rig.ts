/** Proxies on core 0, load and backends on core 1, and what a run of load costs a proxy. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { toolPath } from '../../../scripts/tools/install.ts';
import { NGHTTPD_PATH, nghttpdFolder } from '../../conformance/harness.ts';
import { freePort, type Program, startListening, startProgram } from '../../support/program.ts';
import type { ProxyOptions, ProxyUnderTest, RunningProxy } from '../../support/proxy-under-test.ts';
import { cpuNanoseconds } from '../../support/usage.ts';
import type { Job, Report } from './generator.ts';

export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

/** What is to be ended, the last first. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];
  add(step: () => unknown): void {
    this.#steps.push(step);
  }
  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step();
  }
}

/** `nghttpd`s that answer with a message of so many bytes; their addresses. */
export async function backends(
  cleanup: Cleanup,
  count: number,
  answerBytes: number,
  host = '127.0.0.1',
): Promise<string[]> {
  const { args, remove } = nghttpdFolder(answerBytes);
  cleanup.add(remove);
  const addresses: string[] = [];
  for (let n = 0; n < count; n++) {
    const port = await freePort();
    const all = [...args, '-w', '24', '-W', '24', '-a', host, String(port)];
    const server = await startListening(toolPath('nghttpd'), all, port, {
      cpu: LOAD_CORE,
      quiet: true,
      openFiles: 21_000,
    });
    cleanup.add(() => server.stop(500));
    addresses.push(`127.0.0.1:${port}`);
  }
  return addresses;
}

export async function echoBackends(cleanup: Cleanup, count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const { program, line } = await startNode('./echo-backend.ts', []);
      cleanup.add(() => program.stop(500));
      return line;
    }),
  );
}

/** All of them, each in front of the same backends. */
export async function start(
  cleanup: Cleanup,
  proxies: readonly ProxyUnderTest[],
  addresses: readonly string[],
  options: ProxyOptions = {},
): Promise<RunningProxy[]> {
  const running: RunningProxy[] = [];
  for (const proxy of proxies) {
    const one = await proxy.start(addresses, { cpu: PROXY_CORE, ...options });
    cleanup.add(() => one.stop());
    running.push(one);
  }
  return running;
}

/** A program of this folder on the core of the load; resolves with its first line. */
export async function startNode(
  file: string,
  args: readonly string[],
): Promise<{ program: Program; line: string }> {
  const first = Promise.withResolvers<string>();
  const script = fileURLToPath(new URL(file, import.meta.url));
  const program = await startProgram(process.execPath, ['--conditions=heapmesh-source', script, ...args], {
    cpu: LOAD_CORE,
    openFiles: 21_000,
    env: { NODE_NO_WARNINGS: '1' },
    onLine: line => first.resolve(line),
  });
  void program.ended.then(end => first.reject(new Error(`${file} ended (${end}): ${program.printed()}`)));
  return { program, line: await first.promise };
}

export const JOB: Job = {
  address: '',
  path: NGHTTPD_PATH,
  connections: 50,
  streams: 4,
  mode: 'unary',
  calls: 20_000,
  seconds: 30,
  rate: 0,
  messageBytes: 0,
  answerBytes: -1,
  constant: 0,
  varying: 0,
  traced: false,
  sampled: 1,
};

export interface Cost {
  /** Microseconds of CPU of the proxy for one call. */
  readonly perCallUs: number;
  readonly callsPerSecond: number;
  readonly latencyUs: Report['latencyUs'] | undefined;
  /** Of all calls, as `LatencyCounts`. */
  readonly counts: readonly number[];
  /** Calls that failed, and why the first did. */
  readonly failed: number;
  readonly why: string;
}

/** Runs the generator. Throws where a call failed and none may: a figure of failed calls is none. */
export async function generate(proxy: RunningProxy, job: Partial<Job>, mayFail = false): Promise<Cost> {
  const before = cpuNanoseconds(proxy.pid);
  const whole: Job = { ...JOB, ...job, address: proxy.address };
  const { program, line } = await startNode('./generator.ts', [JSON.stringify(whole)]);
  await program.ended;
  const report = JSON.parse(line) as Report;
  if (report.failed > 0 && !mayFail)
    throw new Error(`${proxy.name}: ${report.failed} of ${report.calls} calls failed: ${report.why}`);
  return {
    perCallUs: (cpuNanoseconds(proxy.pid) - before) / 1e3 / report.calls,
    callsPerSecond: report.calls / report.seconds,
    latencyUs: report.latencyUs,
    counts: report.counts,
    failed: report.failed,
    why: report.why,
  };
}

export interface H2loadRun {
  readonly calls: number;
  readonly connections: number;
  readonly streams: number;
  /** File whose content is the request's body. */
  readonly body: string;
}

/** Runs h2load with gRPC calls. Throws where a call failed. */
export function h2load(proxy: RunningProxy, { calls, connections, streams, body }: H2loadRun): Cost {
  const before = cpuNanoseconds(proxy.pid);
  const load = [
    '-n',
    String(calls),
    '-c',
    String(connections),
    '-m',
    String(streams),
    '-w',
    '24',
    '-W',
    '24',
  ];
  const fields = [':method: POST', 'content-type: application/grpc', 'te: trailers'].flatMap(field => [
    '-H',
    field,
  ]);
  const url = `http://${proxy.address}${NGHTTPD_PATH}`;
  const pinned = ['--cpu-list', String(LOAD_CORE), toolPath('h2load'), ...load, ...fields, '-d', body, url];
  const { stdout } = spawnSync('taskset', pinned, { encoding: 'utf8', maxBuffer: 2 ** 26, timeout: 120_000 });
  const succeeded = Number(/(\d+) succeeded/.exec(stdout)?.[1]);
  if (succeeded !== calls)
    throw new Error(`${proxy.name}: ${succeeded} of ${calls} calls succeeded\n${stdout}`);
  return {
    perCallUs: (cpuNanoseconds(proxy.pid) - before) / 1e3 / calls,
    callsPerSecond: Number(/([\d.]+) req\/s/.exec(stdout)?.[1]),
    latencyUs: undefined,
    counts: [],
    failed: 0,
    why: '',
  };
}
