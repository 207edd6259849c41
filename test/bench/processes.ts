/** Processes that a benchmark starts and measures, and the CPU time of a process from the kernel. */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Started<Hello> {
  readonly process: ChildProcess;
  /** The first message of the process. */
  readonly hello: Hello;
  /** Asks for a report and resolves with it. */
  ask<Report>(): Promise<Report>;
  stop(): Promise<void>;
}

/** Starts a module of this folder, with `flags` of V8, on one core or on any, and waits for its first message. */
export async function start<Hello>(
  module: string,
  args: readonly string[],
  flags: readonly string[] = [],
  cpu?: number,
): Promise<Started<Hello>> {
  const execArgv = ['--conditions=heapmesh-source', ...flags];
  const pinned = { execPath: 'taskset', execArgv: ['--cpu-list', `${cpu}`, process.execPath, ...execArgv] };
  const child = fork(new URL(module, import.meta.url), args, cpu === undefined ? { execArgv } : pinned);
  const [hello] = (await once(child, 'message')) as [Hello];
  return {
    process: child,
    hello,
    async ask() {
      const answer = once(child, 'message');
      child.send('report');
      return (await answer)[0];
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** CPU time of a process, ns, all threads, living ones only: `schedstat` counts in ns where `stat` has 10 ms ticks. */
export function cpuNanoseconds(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ', 1)[0]);
  }
  return sum;
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(line?.[1]) * 1024;
}

/** Calls of one unary method by h2load. Rejects where one failed. */
export async function h2load(
  address: string,
  path: string,
  message: Uint8Array,
  calls: number,
  connections: number,
  streams: number,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-bench-'));
  try {
    const body = Buffer.alloc(5 + message.length);
    body.writeUInt32BE(message.length, 1);
    body.set(message, 5);
    const file = join(folder, 'body');
    writeFileSync(file, body);
    const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
    const load = [
      '-n',
      String(calls),
      '-c',
      String(connections),
      '-m',
      String(streams),
      '-t',
      '1',
      '-d',
      file,
    ];
    const output = await new Promise<string>((resolve, reject) => {
      execFile('h2load', [...load, ...headers, `http://${address}${path}`], (error, stdout) =>
        error ? reject(error) : resolve(stdout),
      );
    });
    const status = /status codes: (\d+) 2xx/.exec(output);
    if (Number(status?.[1]) !== calls) throw new Error(`h2load: not all calls were answered\n${output}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
