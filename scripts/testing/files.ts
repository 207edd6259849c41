/**
 * Runs test files, each as a process of its own, so that one that hangs or leaves something open is
 * ended with all that it started, and fails.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { ROOT } from '../lib/project.ts';
import { runToEnd } from './process.ts';
import type { Counts, Line } from './reporter.ts';

export interface FileOptions {
  /** What hangs is ended after this time. Default 300,000: ten times what the slowest file may take. */
  readonly timeoutMs?: number;
  readonly say: (text: string) => void;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 300_000;

/** The part of it after which a single test fails, so that the one that hangs is named. */
const TEST_SHARE = 0.8;

/** Most that is shown of what a failing file printed, in characters from its end. */
const PRINTED_SHOWN = 20_000;

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

async function runFile(file: string, { timeoutMs = TIMEOUT_MS, say, env }: FileOptions): Promise<Counts> {
  const scratch = mkdtempSync(join(tmpdir(), 'heapmesh-test-'));
  const report = join(scratch, 'report.jsonl');
  const started = performance.now();
  try {
    let printed = '';
    const print = (text: string): void => {
      printed = (printed + text).slice(-PRINTED_SHOWN);
    };
    const { code, timedOut } = await runToEnd(nodeTest(file, report, timeoutMs), timeoutMs, print, env);
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
    for (const [index, line] of failures.entries()) {
      // A hook that fails, fails all tests of its file.
      const again = index > 0 && line.why === failures[index - 1]?.why;
      text.push(
        `    ${styleText('red', 'FAIL')} ${line.test} (${line.place})`,
        indent(again ? 'as above' : line.why),
      );
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

function nodeTest(file: string, report: string, timeoutMs: number): string[] {
  return [
    'node',
    '--conditions=heapmesh-source',
    `--test-timeout=${Math.floor(timeoutMs * TEST_SHARE)}`,
    `--test-reporter=${join(ROOT, 'scripts/testing/reporter.ts')}`,
    `--test-reporter-destination=${report}`,
    file,
  ];
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
