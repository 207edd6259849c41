/** Runs the real command as a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../scripts/lib/project.ts';
import type { Ran } from './harness.ts';

/** The command's source. */
export const MAIN = join(ROOT, 'src/cli/main.ts');

/** Also where a test throws: no process outlives the one that started it. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** `within` goes before the command, such as `ip netns exec NAME`. */
export function start(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  within: readonly string[] = [],
): ChildProcess {
  const whole = [...within, process.execPath, '--conditions=heapmesh-source', MAIN, ...args];
  const [program, ...rest] = whole as [string, ...string[]];
  const child = spawn(program, rest, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Runs to the end. */
export async function command(
  args: readonly string[],
  options: { stdin?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  const child = start(args, options.env);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', chunk => (stdout += chunk));
  child.stderr?.on('data', chunk => (stderr += chunk));
  child.stdin?.end(options.stdin ?? '');
  const [code] = await once(child, 'close');
  return { code: code ?? -1, stdout, stderr };
}

export interface Served {
  readonly proxy: string;
  readonly control: string;
  readonly admin: string;
  readonly child: ChildProcess;
  /** Resolves with the first line of the log, past or to come, that matches. */
  logged(pattern: RegExp): Promise<string>;
  /** Ends it; its exit code. */
  stop(): Promise<number | null>;
}

/** Starts `heapmesh serve` on free ports; resolves when it is ready. */
export async function serve(args: readonly string[] = [], within: readonly string[] = []): Promise<Served> {
  const free = ['--proxy', '--control', '--admin'].flatMap(flag => [flag, '127.0.0.1:0']);
  const child = start(['serve', ...free, '-o', 'json', ...args], {}, within);
  const log: string[] = [];
  const waiting = new Set<() => void>();
  if (child.stderr === null || child.stdout === null) throw new Error('no pipes');
  createInterface(child.stderr).on('line', line => {
    log.push(line);
    for (const look of waiting) look();
  });
  const ended = once(child, 'exit');
  const ready = once(createInterface(child.stdout), 'line');
  const first = await Promise.race([ready, ended.then(() => undefined)]);
  if (first === undefined) throw new Error(`serve ended: ${log.join('\n')}`);
  const { proxy, control, admin } = JSON.parse(String(first[0]));
  return {
    proxy,
    control,
    admin,
    child,
    logged: pattern =>
      new Promise(resolve => {
        const look = () => {
          const line = log.find(each => pattern.test(each));
          if (line === undefined) return;
          waiting.delete(look);
          resolve(line);
        };
        waiting.add(look);
        look();
      }),
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      return code;
    },
  };
}
