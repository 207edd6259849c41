/** Rounds of figures, and the tables, ratios and results that are made of them. */
import type { BenchResult } from '../harness.ts';

/** What one proxy did in one shape, a value a round. */
export interface Row {
  readonly group: string;
  readonly shape: string;
  readonly proxy: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** Whether more is better. Default false. */
  readonly more?: boolean;
}

/** What Heapmesh is to reach: its value as a multiple of a peer's, at most (at least, where more is better). */
export interface Target {
  readonly shape: string;
  readonly peer: string;
  readonly ratio: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** The median of the ratios of each round: what slowed one round slowed both. */
export function ratio(row: Row, peer: Row): number {
  return median(row.values.map((value, round) => value / (peer.values[round] ?? Number.NaN)));
}

const OURS = 'heapmesh';

/** A line a shape, a column a proxy; below, each as a multiple of the peer `base`. */
export function tableOf(rows: readonly Row[], base: string): string {
  const proxies = [...new Set(rows.map(({ proxy }) => proxy))];
  const shapes = [...new Set(rows.map(({ shape }) => shape))];
  const find = (shape: string, proxy: string): Row | undefined =>
    rows.find(row => row.shape === shape && row.proxy === proxy);
  const lines = [['', 'unit', ...proxies, `× ${base}:`, ...proxies]];
  for (const shape of shapes) {
    const baseline = find(shape, base);
    const unit = rows.find(row => row.shape === shape)?.unit ?? '';
    const values = proxies.map(proxy => {
      const row = find(shape, proxy);
      return row === undefined ? '-' : short(median(row.values));
    });
    const ratios = proxies.map(proxy => {
      const row = find(shape, proxy);
      return row === undefined || baseline === undefined ? '-' : multiple(ratio(row, baseline));
    });
    lines.push([shape, unit, ...values, '', ...ratios]);
  }
  const widths = (lines[0] as string[]).map((_, column) =>
    Math.max(...lines.map(line => line[column]?.length ?? 0)),
  );
  return lines
    .map(line =>
      line
        .map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join('  '),
    )
    .join('\n');
}

export function results(rows: readonly Row[], targets: readonly Target[]): BenchResult[] {
  const all: BenchResult[] = rows.map(({ group, shape, proxy, unit, values, more }) => ({
    group,
    name: `${shape}, ${proxy}`,
    unit,
    value: median(values),
    best: more === true ? Math.max(...values) : Math.min(...values),
    worst: more === true ? Math.min(...values) : Math.max(...values),
  }));
  for (const row of rows.filter(({ proxy }) => proxy === OURS)) {
    for (const peer of rows.filter(({ shape, proxy }) => shape === row.shape && proxy !== OURS)) {
      const value = ratio(row, peer);
      const target = targets.find(each => each.shape === row.shape && each.peer === peer.proxy)?.ratio;
      const reached = target !== undefined && (row.more === true ? value >= target : value <= target);
      all.push({
        group: `${row.group}: ratio`,
        name: `${row.shape}, ${OURS} / ${peer.proxy}`,
        unit: '×',
        value,
        ...(target === undefined ? {} : { target, reached }),
      });
    }
  }
  return all;
}

/** Growth of nothing has no multiple. */
function multiple(value: number): string {
  return Number.isFinite(value) ? value.toFixed(2) : '-';
}

function short(value: number): string {
  if (Number.isNaN(value)) return '-';
  return Math.abs(value) >= 1_000 ? value.toFixed(0) : value.toPrecision(3);
}
