/**
 * Durations of many rows as counts in buckets: four a doubling, so that a quantile is known within a fifth, and
 * their upper ends are powers of two of a millisecond, so that whole doublings can be told as `le` buckets.
 */

/** Durations are counted in units of 1/1024 ms; those up to 2^LEAST of them are in the first bucket. */
const LEAST = 5;
const MOST = 27;
const PER_DOUBLING = 4;
export const BUCKETS = 2 + (MOST - LEAST) * PER_DOUBLING;
const UNITS = 1024;

/** Upper ends of the buckets that are told, seconds: 0.5 ms to 33 s. */
const TOLD_FROM = 9;
const TOLD_TO = 25;
export const BOUNDS: readonly number[] = Array.from(
  { length: TOLD_TO - TOLD_FROM + 1 },
  (_, n) => 2 ** (TOLD_FROM + n) / UNITS / 1000,
);

/** The bucket of a duration. A bucket holds its upper end, as `le` says, and not its lower one. */
function bucketOf(ms: number): number {
  if (!(ms > 2 ** LEAST / UNITS)) return 0;
  if (ms > 2 ** MOST / UNITS) return BUCKETS - 1;
  const units = Math.ceil(ms * UNITS) - 1;
  const power = 31 - Math.clz32(units);
  return 1 + (power - LEAST) * PER_DOUBLING + ((units >>> (power - 2)) & (PER_DOUBLING - 1));
}

/** Upper end of a bucket, ms. */
function endOf(bucket: number): number {
  if (bucket === 0) return 2 ** LEAST / UNITS;
  const power = LEAST + Math.floor((bucket - 1) / PER_DOUBLING);
  return (2 ** power * (1 + (((bucket - 1) % PER_DOUBLING) + 1) / PER_DOUBLING)) / UNITS;
}
const ENDS: readonly number[] = Array.from({ length: BUCKETS }, (_, bucket) => endOf(bucket));

/** The told bucket that a duration is in; `BOUNDS.length` for what is above the last. */
export function toldBucketOf(ms: number): number {
  const bucket = bucketOf(ms);
  const told = Math.ceil(bucket / PER_DOUBLING) - (TOLD_FROM - LEAST);
  return Math.min(BOUNDS.length, Math.max(0, told));
}

export class Latencies {
  counts = new Float64Array(0);
  /** Σ of durations, ms. */
  sums = new Float64Array(0);

  grow(rows: number): void {
    const counts = new Float64Array(rows * BUCKETS);
    counts.set(this.counts);
    this.counts = counts;
    const sums = new Float64Array(rows);
    sums.set(this.sums);
    this.sums = sums;
  }

  add(row: number, ms: number): void {
    const { counts, sums } = this;
    const at = row * BUCKETS + bucketOf(ms);
    counts[at] = (counts[at] as number) + 1;
    sums[row] = (sums[row] as number) + ms;
  }

  clear(row: number): void {
    this.counts.fill(0, row * BUCKETS, (row + 1) * BUCKETS);
    this.sums[row] = 0;
  }

  /** Counts up to each of `BOUNDS`, and of all at last, into `told`. */
  told(row: number, told: Float64Array): void {
    const { counts } = this;
    let at = row * BUCKETS;
    let sum = counts[at++] as number;
    for (let power = LEAST; power < TOLD_FROM - 1; power++) {
      for (let part = 0; part < PER_DOUBLING; part++) sum += counts[at++] as number;
    }
    for (let bound = 0; bound < BOUNDS.length; bound++) {
      for (let part = 0; part < PER_DOUBLING; part++) sum += counts[at++] as number;
      told[bound] = sum;
    }
    for (const end = (row + 1) * BUCKETS; at < end; at++) sum += counts[at] as number;
    told[BOUNDS.length] = sum;
  }
}

/** Adds what a row has counted since `before`, and brings that up to date. Returns how many. */
export function takeSince(from: Latencies, row: number, before: Latencies, into: Float64Array): number {
  let sum = 0;
  const start = row * BUCKETS;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = from.counts[start + bucket] as number;
    const fresh = count - (before.counts[start + bucket] as number);
    if (fresh === 0) continue;
    before.counts[start + bucket] = count;
    // The row has begun anew, for another thing.
    if (fresh < 0) continue;
    into[bucket] = (into[bucket] as number) + fresh;
    sum += fresh;
  }
  return sum;
}

/** A quantile of counts in buckets, ms; NaN where there are none. */
export function quantile(counts: Float64Array, q: number): number {
  let total = 0;
  for (const count of counts) total += count;
  if (total === 0) return Number.NaN;
  const rank = q * total;
  let below = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = counts[bucket] as number;
    if (count > 0 && below + count >= rank) {
      const start = bucket === 0 ? 0 : (ENDS[bucket - 1] as number);
      return start + ((ENDS[bucket] as number) - start) * Math.max(0, (rank - below) / count);
    }
    below += count;
  }
  return ENDS[BUCKETS - 1] as number;
}
