/** How long a backend took for its answers in the minute before: a histogram, and the p99 of it. */

/** Buckets grow by an eighth of a power of two: 9 % wide; 160 of them reach from 1 ms to 17 minutes. */
const PER_DOUBLING = 8;
const BUCKETS = 160;
/** Two halves, so that what is older than a minute is gone and at least half a minute is there. */
const HALF_MS = 30_000;

export class Latencies {
  private now = new Uint32Array(BUCKETS);
  private before = new Uint32Array(BUCKETS);
  private until = 0;

  /** @param at monotonic clock, ms */
  add(ms: number, at: number): void {
    this.turn(at);
    const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log2(ms) * PER_DOUBLING));
    (this.now[bucket] as number)++;
  }

  /** The upper end of the bucket that the p99 is in, ms; 0 where nothing was answered. */
  p99(at: number): number {
    this.turn(at);
    let total = 0;
    for (let i = 0; i < BUCKETS; i++) total += (this.now[i] as number) + (this.before[i] as number);
    let above = Math.floor(total / 100);
    if (total === 0) return 0;
    let bucket = BUCKETS - 1;
    for (; bucket > 0; bucket--) {
      above -= (this.now[bucket] as number) + (this.before[bucket] as number);
      if (above < 0) break;
    }
    return 2 ** ((bucket + 1) / PER_DOUBLING);
  }

  private turn(at: number): void {
    if (at < this.until) return;
    // Half a minute without an answer leaves the older half empty as well.
    const spare = this.before;
    this.before = this.now;
    this.now = spare;
    this.now.fill(0);
    if (at >= this.until + HALF_MS) this.before.fill(0);
    this.until = at + HALF_MS;
  }
}
