/** What rules look at: how things stand, and figures of the last minute. */
import type { ServerState } from '../../core/core.ts';
import type { BackendSeries, InstanceSeries, PoolSeries } from '../history/series.ts';

/** Figures of the last minute; those that are not known are left out. */
export interface Figures<Name extends string> {
  /** In how many points it is known. */
  known(name: Name): number;
  /** NaN where it is not known. */
  mean(name: Name): number;
  max(name: Name): number;
  last(name: Name): number;
  /** Share of the points that it holds in; 0 where it is not known. */
  share(name: Name, holds: (value: number) => boolean): number;
}

export interface BackendEvidence {
  readonly id: string;
  readonly state: ServerState;
  readonly cause: string;
  readonly zone: string;
  readonly weight: number;
  /** 0 is no limit. */
  readonly maxConcurrency: number;
  /** It may be picked, by its state. */
  readonly isEligible: boolean;
  readonly figures: Figures<BackendSeries>;
}

export interface PoolEvidence {
  readonly service: string;
  readonly policy: string;
  readonly backends: readonly BackendEvidence[];
  readonly figures: Figures<PoolSeries>;
}

/** How the log of changes stands. */
export interface LogEvidence {
  readonly kind: 'memory' | 'file' | 'kafka';
  readonly state: 'healthy' | 'behind' | 'read-only';
  /** What is wrong; empty where it is healthy. */
  readonly why: string;
  /** Changes that wait. */
  readonly pending: number;
}

export interface Evidence {
  readonly pools: readonly PoolEvidence[];
  readonly backends: readonly BackendEvidence[];
  readonly instance: Figures<InstanceSeries>;
  readonly log: LogEvidence;
  /** What the figures are of, s. */
  readonly seconds: number;
}

/** Points that something must be known in before a rule says anything. */
const LEAST_POINTS = 3;
/** Share of them that a state must be so in to count as one that lasts. */
const LASTING = 0.8;

/** Whether something is so, and has been for most of the time. */
export function lasts<Name extends string>(
  figures: Figures<Name>,
  name: Name,
  holds: (value: number) => boolean,
): boolean {
  return (
    figures.known(name) >= LEAST_POINTS && holds(figures.last(name)) && figures.share(name, holds) >= LASTING
  );
}

export function eligible(pool: PoolEvidence): BackendEvidence[] {
  return pool.backends.filter(backend => backend.isEligible);
}

/** NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter(value => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** For each of the values, the median of the others; sorts once, however many there are. */
export function mediansOfOthers(values: readonly number[]): number[] {
  const sorted = values.filter(value => !Number.isNaN(value)).sort((a, b) => a - b);
  return values.map(value => {
    const own = Number.isNaN(value) ? sorted.length : placeOf(sorted, value);
    const size = own < sorted.length ? sorted.length - 1 : sorted.length;
    if (size === 0) return Number.NaN;
    const at = (n: number): number => sorted[n < own ? n : n + 1] as number;
    return size % 2 === 1 ? at(size >> 1) : (at((size >> 1) - 1) + at(size >> 1)) / 2;
  });
}

/** Of a value that is in it. */
function placeOf(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + (Number.isNaN(value) ? 0 : value), 0);
}
