/**
 * Runs test files, each as a process of its own, so that one that hangs or leaves something open is
 * ended with all that it started, and fails.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { pinnedEnv, ROOT } from '../lib/project.ts';
import type { Counts, Line } from './reporter.ts';

export interface FileOptions {
  /** What hangs is ended after this time. Default 300,000: ten times what the slowest file may take. */
  readonly timeoutMs?: number;
  readonly say: (text: string) => void;
}

const TIMEOUT_MS = 300_000;

/** Most that is shown of what a failing file printed, in characters from its end. */
const PRINTED_SHOWN = 20_000;

/** Files under way; they are groups of their own, so a terminal's interrupt does not reach them. */
const running = new Set<ChildProcess>();

/** Runs the files, as many at once as there are cores, and adds up their tests. */
export async function runFiles(files: readonly string[], options: FileOptions): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const queue = [...files];
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const counts = await runFile(file, options);
      total.passed += counts.passed;
      total.failed += counts.failed;
      total.skipped += counts.skipped;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return total;
}

/** Ends what runs; for an interrupted run. */
export function endFiles(): void {
  for (const child of running) endGroup(child);
}

async function runFile(file: string, { timeoutMs = TIMEOUT_MS, say }: FileOptions): Promise<Counts> {
  const scratch = mkdtempSync(join(tmpdir(), 'heapmesh-test-'));
  const report = join(scratch, 'report.jsonl');
  const started = performance.now();
  try {
    const { code, printed, timedOut } = await run(file, report, timeoutMs);
    const lines = readLines(report);
    const told = lines.find(line => line.kind === 'counts')?.counts;
    const failures = lines.filter(line => line.kind === 'failed');
    const counts = told ?? { passed: 0, failed: failures.length, skipped: 0 };
    const problem = endedBadly(code, timedOut ? timeoutMs : undefined, told);
    if (problem !== undefined) counts.failed++;
    const text = [headline(file, counts, (performance.now() - started) / 1000)];
    for (const line of lines) {
      if (line.kind === 'skipped') text.push(`    skipped ${line.test} (${line.place}): ${line.why}`);
    }
    for (const line of failures) {
      text.push(`    ${styleText('red', 'FAIL')} ${line.test} (${line.place})`, indent(line.why));
    }
    if (problem !== undefined) text.push(`    ${styleText('red', 'FAIL')} ${problem}`);
    // Seeds are in what a file printed.
    if (counts.failed > 0 && printed !== '') text.push('    what it printed:', indent(printed));
    say(text.join('\n'));
    return counts;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What is wrong with the end of the file beside its failed tests. */
function endedBadly(
  code: number | null,
  timedOutMs: number | undefined,
  told: Counts | undefined,
): string | undefined {
  if (timedOutMs !== undefined) {
    return `the file did not end within ${timedOutMs / 1000} s: a test hangs, or a socket, timer or process is left`;
  }
  if (told === undefined) return `the file ended with exit code ${code} before its tests did`;
  if (code !== 0 && told.failed === 0) return `its tests passed, but the file ended with exit code ${code}`;
  if (told.passed + told.failed + told.skipped === 0) return 'the file has no tests';
  return undefined;
}

interface End {
  readonly code: number | null;
  readonly printed: string;
  readonly timedOut: boolean;
}

function run(file: string, report: string, timeoutMs: number): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  const reporter = join(ROOT, 'scripts/testing/reporter.ts');
  const child = spawn(
    'node',
    [
      '--conditions=heapmesh-source',
      '--enable-source-maps',
      `--test-reporter=${reporter}`,
      `--test-reporter-destination=${report}`,
      file,
    ],
    { cwd: ROOT, env: pinnedEnv(), stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  running.add(child);
  let printed = '';
  let timedOut = false;
  const keep = (chunk: string): void => {
    printed = (printed + chunk).slice(-PRINTED_SHOWN);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup(child);
  }, timeoutMs);
  child.on('error', error => keep(`${error.message}\n`));
  child.on('close', code => {
    clearTimeout(timer);
    // Whatever the file has started and left goes with it.
    endGroup(child);
    running.delete(child);
    resolve({ code, printed, timedOut });
  });
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

function readLines(report: string): Line[] {
  try {
    const lines = readFileSync(report, 'utf8').split('\n').slice(0, -1);
    return lines.map(line => JSON.parse(line) as Line);
  } catch {
    return [];
  }
}

function headline(file: string, counts: Counts, seconds: number): string {
  const parts = [`${counts.passed} passed`];
  if (counts.failed > 0) parts.push(`${counts.failed} failed`);
  if (counts.skipped > 0) parts.push(`${counts.skipped} skipped`);
  const mark = counts.failed === 0 ? styleText('green', 'ok  ') : styleText('red', 'FAIL');
  return `  ${mark} ${file}: ${parts.join(', ')} (${seconds.toFixed(1)} s)`;
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '      ');
}
