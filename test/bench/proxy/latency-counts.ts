/** Latencies in buckets of which each is 2 % wider than the one before: what several runs saw can be added up. */

const STEP = Math.log(1.02);

export class LatencyCounts {
  /** By bucket; bucket 0 has all up to 1 µs. */
  readonly counts: number[] = [];

  add(us: number, count = 1): void {
    this.addTo(us <= 1 ? 0 : Math.ceil(Math.log(us) / STEP), count);
  }

  /** Those of another run. */
  merge(counts: readonly number[]): void {
    for (const [bucket, count] of counts.entries()) if (count > 0) this.addTo(bucket, count);
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Upper end of the bucket that a share of all lies below, µs. */
  quantile(share: number): number {
    let left = share * this.total;
    for (const [bucket, count] of this.counts.entries()) {
      left -= count;
      if (left <= 0) return Math.exp(bucket * STEP);
    }
    return Number.NaN;
  }

  private addTo(bucket: number, count: number): void {
    while (this.counts.length <= bucket) this.counts.push(0);
    this.counts[bucket] = (this.counts[bucket] as number) + count;
  }
}
