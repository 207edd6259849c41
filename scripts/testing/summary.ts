/** The end of a test run, for people and for programs. */
import type { Result } from './run.ts';

/** A row for each suite. */
export function summaryTable(results: readonly Result[]): string {
  const rows = [
    ['suite', 'passed', 'failed', 'skipped', 'seconds', ''],
    ...results.map(({ suite, passed, failed, skipped, seconds, note }) => [
      suite,
      String(passed),
      String(failed),
      String(skipped),
      seconds.toFixed(1),
      note,
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? [];
  return rows
    .map(row =>
      row
        .map((cell, column) => {
          const isNumber = column >= 1 && column <= 4;
          return isNumber ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The last line, in a form that programs read: totals of tests over all suites. */
export function closingLine(results: readonly Result[]): string {
  const sum = (of: (result: Result) => number): number =>
    results.reduce((total, each) => total + of(each), 0);
  return `${sum(r => r.passed)} passed, ${sum(r => r.failed)} failed, ${sum(r => r.skipped)} skipped`;
}
