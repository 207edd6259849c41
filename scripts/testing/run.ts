/** Runs one suite and counts. */
import { ToolchainMissing } from '../tools/kinds.ts';
import type { ToolName } from '../tools/table.ts';
import { runFiles } from './files.ts';
import { runToEnd } from './process.ts';
import type { Counts } from './reporter.ts';
import type { Suite, Variant } from './suites.ts';

export interface Result extends Counts {
  readonly suite: string;
  readonly seconds: number;
  /** Why it was not run, where it was not. */
  readonly note: string;
}

export interface Surroundings {
  /** On a CI machine nothing may be skipped for want of a tool. */
  readonly ci: boolean;
  /** Installs tools; throws ToolchainMissing where that cannot be done here. */
  readonly ensureTools: (names: readonly ToolName[]) => Promise<void>;
  readonly say: (line: string) => void;
}

/** A command that hangs is ended after this time; the slowest takes a twentieth of it. */
const COMMAND_TIMEOUT_MS = 300_000;

const AS_IT_IS: Variant = { name: '', env: {} };

/** Runs a suite's commands or files, after its tools. Never throws for what the suite does. */
export async function runSuite(
  suite: Suite,
  files: readonly string[],
  around: Surroundings,
): Promise<Result> {
  const started = performance.now();
  const result = (counts: Counts, note = ''): Result => ({
    ...counts,
    suite: suite.name,
    seconds: (performance.now() - started) / 1000,
    note,
  });
  try {
    await around.ensureTools(suite.needs ?? []);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    // Each file that does not run counts; a suite is at least one test.
    const size = Math.max(1, files.length);
    if (error instanceof ToolchainMissing && !around.ci) {
      around.say(`  SKIPPED, ${size} test file(s) not run: ${why}`);
      return result({ passed: 0, failed: 0, skipped: size }, why);
    }
    around.say(`  FAIL: ${why}`);
    return result({ passed: 0, failed: size, skipped: 0 }, why);
  }
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const command of suite.commands ?? []) {
    const { code, timedOut } = await runToEnd(command, COMMAND_TIMEOUT_MS, text =>
      process.stdout.write(text),
    );
    const ok = code === 0 && !timedOut;
    counts[ok ? 'passed' : 'failed']++;
    around.say(`  ${ok ? 'ok  ' : 'FAIL'} ${command.join(' ')}`);
  }
  for (const { name, env } of files.length === 0 ? [] : (suite.variants ?? [AS_IT_IS])) {
    if (name !== '') around.say(`  ${name}:`);
    const of = await runFiles(files, { say: around.say, env });
    counts.passed += of.passed;
    counts.failed += of.failed;
    counts.skipped += of.skipped;
  }
  return result(counts);
}
