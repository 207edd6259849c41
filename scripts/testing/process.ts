/** Child processes that end in time, with all that they started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { pinnedEnv, ROOT } from '../lib/project.ts';

export interface End {
  /** 1 for a command that could not be started; null for one that was ended by a signal. */
  readonly code: number | null;
  readonly timedOut: boolean;
}

/** Under way; they are groups of their own, so a terminal's interrupt does not reach them. */
const running = new Set<ChildProcess>();

/** Ends what runs; for an interrupted run. */
export function endAll(): void {
  for (const child of running) endGroup(child);
}

/**
 * Runs a command in the root of the checkout, with the pinned Node; `onOutput` gets what it prints. Never
 * rejects. Whatever the command has started and left in its group goes with it.
 */
export function runToEnd(
  [file = '', ...args]: readonly string[],
  timeoutMs: number,
  onOutput: (text: string) => void,
  env: Readonly<Record<string, string>> = {},
): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  const child = spawn(file, args, {
    cwd: ROOT,
    env: { ...pinnedEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup(child);
  }, timeoutMs);
  const end = (code: number | null): void => {
    clearTimeout(timer);
    endGroup(child);
    running.delete(child);
    resolve({ code, timedOut });
  };
  child.stdout.setEncoding('utf8').on('data', onOutput);
  child.stderr.setEncoding('utf8').on('data', onOutput);
  child.on('error', error => {
    onOutput(`${error.message}\n`);
    end(1);
  });
  child.on('close', end);
  return promise;
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group has ended.
  }
}
