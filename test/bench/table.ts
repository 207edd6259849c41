/** Results of a benchmark as a table for people. */
import type { BenchResult } from './harness.ts';

const COLUMNS: readonly { head: string; of: (result: BenchResult) => string }[] = [
  { head: '', of: result => result.name },
  { head: 'value', of: result => `${short(result.value)} ${result.unit}` },
  {
    head: 'worst..best',
    of: ({ worst, best }) =>
      worst === undefined || best === undefined ? '' : `${short(worst)}..${short(best)}`,
  },
  { head: 'ns', of: ({ nanoseconds }) => (nanoseconds === undefined ? '' : nanoseconds.toPrecision(3)) },
  { head: 'ratio', of: ({ ratioToReference: ratio }) => (ratio === undefined ? '' : ratio.toPrecision(3)) },
  {
    head: 'bytes',
    of: ({ bytesPerOperation: bytes }) =>
      bytes === undefined ? '' : bytes >= 10 ? bytes.toFixed(0) : bytes.toFixed(3),
  },
  {
    head: 'target',
    of: ({ target, reached }) =>
      target === undefined ? '' : `${short(target)} ${reached ? 'reached' : 'MISSED'}`,
  },
  { head: 'note', of: ({ note }) => note ?? '' },
];

export function table(results: readonly BenchResult[]): string {
  const columns = COLUMNS.filter(({ of }) => results.some(result => of(result) !== ''));
  const cells = [
    columns.map(({ head }) => head),
    ...results.map(result => columns.map(({ of }) => of(result))),
  ];
  const widths = columns.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)));
  return cells
    .map(row =>
      row
        .map((cell, column) => align(cell, widths[column] as number, column))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const align = (cell: string, width: number, column: number): string =>
  column === 0 ? cell.padEnd(width) : cell.padStart(width);

function short(value: number): string {
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return value.toPrecision(4);
}
