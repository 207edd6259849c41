/** Programs of other authors as child processes: started when they listen, ended with their test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it wrote to stdout and stderr, the last 64 KiB. */
  printed(): string;
  /** Resolves when it has ended, with its exit code or signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** SIGTERM, and SIGKILL after `graceMs` (default 5,000). */
  stop(graceMs?: number): Promise<number | NodeJS.Signals>;
}

export interface ProgramOptions {
  /** Core to run on (taskset); any where it is left out. */
  readonly cpu?: number | undefined;
  /** Open files that it may need: its limit is raised to them, or as far as this machine lets it. */
  readonly openFiles?: number | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly onLine?: (line: string) => void;
  /** Nothing is kept of its output; for programs that write a line for every call. */
  readonly quiet?: boolean;
}

const PRINTED_KEPT = 64 * 1024;
const LISTENS_WITHIN_MS = 15_000;

/** Also where a test throws: no process outlives the one that started it. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program. Rejects where it cannot be started. */
export async function startProgram(
  file: string,
  args: readonly string[],
  { cpu, openFiles, env, onLine, quiet = false }: ProgramOptions = {},
): Promise<Program> {
  // Both replace themselves by the program, so the pid is the program's.
  const pinned = cpu === undefined ? [] : ['taskset', '--cpu-list', String(cpu)];
  const limited =
    openFiles === undefined ? [] : ['prlimit', `--nofile=${Math.min(openFiles, mostOpenFiles())}:`];
  const [command = file, ...all] = [...pinned, ...limited, file, ...args];
  const child = spawn(command, all, {
    env: { ...process.env, ...env },
    stdio: ['ignore', quiet ? 'ignore' : 'pipe', quiet ? 'ignore' : 'pipe'],
  });
  await once(child, 'spawn');
  running.add(child);
  let printed = '';
  let rest = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      printed = (printed + chunk).slice(-PRINTED_KEPT);
      if (onLine === undefined || stream !== child.stdout) return;
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(onLine);
    });
  }
  const ended = once(child, 'exit').then(([code, signal]) => {
    running.delete(child);
    return (code ?? signal) as number | NodeJS.Signals;
  });
  return {
    child,
    pid: child.pid as number,
    printed: () => printed,
    ended,
    async stop(graceMs = 5_000) {
      child.kill('SIGTERM');
      // A process that a test has frozen takes no other signal before it runs again.
      child.kill('SIGCONT');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      const end = await ended;
      clearTimeout(timer);
      return end;
    },
  };
}

/** The hard limit, beyond which an ordinary process cannot raise its own. */
export function mostOpenFiles(): number {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
}

/** Starts a program and resolves when it takes connections on `port`. Its output is in the error where it does not. */
export async function startListening(
  file: string,
  args: readonly string[],
  port: number,
  options: ProgramOptions = {},
): Promise<Program> {
  const program = await startProgram(file, args, options);
  let over: number | NodeJS.Signals | undefined;
  void program.ended.then(end => {
    over = end;
  });
  for (const start = Date.now(); ; await sleep(20)) {
    if (over !== undefined) throw new Error(`${file} ended (${over}):\n${program.printed()}`);
    if (await accepts(port)) return program;
    if (Date.now() - start > LISTENS_WITHIN_MS) {
      await program.stop(0);
      throw new Error(`${file} does not listen on ${port}:\n${program.printed()}`);
    }
  }
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/**
 * A port that nothing listens on, for programs that cannot choose one and tell. It lies below the range
 * from which the kernel takes ports for outgoing connections, so that nobody gets it by chance meanwhile.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return port;
    } catch {
      // Taken: another one.
    } finally {
      server.close();
    }
  }
}
