/** Means over seeds, and how sure they are. */

/** Two-sided 95 % quantiles of Student's t by degrees of freedom, from 1. */
const T95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Beyond the table its first two terms by degrees of freedom, good to 0.002. */
function t95(freedom: number): number {
  return T95[freedom - 1] ?? 1.96 + 2.4 / freedom;
}

/** A mean with its 95 % interval; without one, low and high are NaN. */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, low: Number.NaN, high: Number.NaN };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = t95(n - 1) * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}

/**
 * Ratio of pairs: both of a pair met the same calls, so that what one seed has harder than another
 * falls out. The interval is of the logarithms, since a ratio and its inverse must tell the same.
 */
export function pairedRatio(values: readonly number[], others: readonly number[]): Estimate {
  const logs = values.map((value, n) => Math.log(value / (others[n] as number)));
  if (logs.some(log => !Number.isFinite(log))) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN };
  const { mean, low, high } = estimate(logs);
  return { mean: Math.exp(mean), low: Math.exp(low), high: Math.exp(high) };
}
