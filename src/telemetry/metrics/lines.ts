/** Lines of the exposition: Prometheus text format 0.0.4, and OpenMetrics 1.0. */
import type { Exemplar } from './exemplars.ts';
import type { Family } from './family.ts';
import { labels as labelsOf } from './labels.ts';
import { BOUNDS, type Latencies } from './latency.ts';

export type Format = 'prometheus' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** `le="..."` of every told bucket and of the last, which has all. */
const ENDS: readonly string[] = [...BOUNDS.map(bound => `le="${bound}"} `), 'le="+Inf"} '];

export class Lines {
  /** What is written and not taken yet. */
  text = '';
  private readonly format: Format;
  private family: Family | undefined;
  private name = '';
  private readonly told = new Float64Array(BOUNDS.length + 1);

  constructor(format: Format) {
    this.format = format;
  }

  /** The lines that follow are of this family. */
  begin(family: Family): void {
    const { name, type, help } = family;
    this.family = family;
    this.name = name;
    // OpenMetrics: the name of a counter's family is that of its samples without `_total`.
    const told = this.format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name;
    this.text += `# HELP ${told} ${help}\n# TYPE ${told} ${type}\n`;
  }

  end(): void {
    if (this.format === 'openmetrics') this.text += '# EOF\n';
  }

  take(): string {
    const { text } = this;
    this.text = '';
    return text;
  }

  /** A sample with the family's labels in their order; what is NaN is not known, and not told. */
  add(value: number, ...values: string[]): void {
    const pairs = (this.family?.labels ?? []).map((label, n) => [label, values[n] ?? '']);
    this.sample(labelsOf(Object.fromEntries(pairs)), value);
  }

  /** The same with labels as `labels()` makes them, once. */
  sample(labels: string, value: number): void {
    if (Number.isNaN(value)) return;
    const number = value === Number.POSITIVE_INFINITY ? '+Inf' : value;
    this.text += labels === '' ? `${this.name} ${number}\n` : `${this.name}{${labels}} ${number}\n`;
  }

  /** A histogram of a row of durations. */
  durations(
    labels: string,
    from: Latencies,
    row: number,
    exemplars?: readonly (Exemplar | undefined)[],
  ): void {
    const { told, name } = this;
    from.told(row, told);
    const head = labels === '' ? `${name}_bucket{` : `${name}_bucket{${labels},`;
    let lines = '';
    for (let bucket = 0; bucket < ENDS.length; bucket++) {
      lines += `${head}${ENDS[bucket] as string}${told[bucket] as number}`;
      const exemplar = exemplars?.[bucket];
      lines += exemplar === undefined || this.format === 'prometheus' ? '\n' : `${shown(exemplar)}\n`;
    }
    this.text += lines;
    this.total(labels, told[BOUNDS.length] as number, (from.sums[row] as number) / 1000);
  }

  /** A histogram of counts that are not added up yet. @param bounds upper ends; one count more than there are bounds */
  histogram(labels: string, bounds: readonly number[], counts: ArrayLike<number>, sum: number): void {
    const head = labels === '' ? `${this.name}_bucket{` : `${this.name}_bucket{${labels},`;
    let total = 0;
    for (const [at, bound] of bounds.entries()) {
      total += counts[at] as number;
      this.text += `${head}le="${bound}"} ${total}\n`;
    }
    for (let at = bounds.length; at < counts.length; at++) total += counts[at] as number;
    this.text += `${head}le="+Inf"} ${total}\n`;
    this.total(labels, total, sum);
  }

  private total(labels: string, count: number, sum: number): void {
    const braces = labels === '' ? '' : `{${labels}}`;
    this.text += `${this.name}_sum${braces} ${sum}\n${this.name}_count${braces} ${count}\n`;
  }
}

function shown({ traceId, seconds, wall }: Exemplar): string {
  return ` # {trace_id="${traceId}"} ${seconds} ${wall / 1000}`;
}
