/**
 * What Prequal asks of servers: calls in flight, and how long calls take at about that many. A server
 * remembers the last latencies by the number that was in flight when the call came, and answers with
 * their median (Wydrowski et al., "Load is not what you should balance", NSDI 2024, section 4).
 */
import { widened } from './queue.ts';

/** Latencies remembered for one number in flight. */
const KEPT = 31;
/** Numbers in flight above this share one row. */
const MOST = 255;

export class LatencyBook {
  private readonly last = new Float64Array((MOST + 1) * KEPT);
  private readonly counts = new Int32Array(MOST + 1);
  private readonly medians = new Float64Array(MOST + 1).fill(Number.NaN);
  private readonly sorted = new Float64Array(KEPT);

  /** A call that met so many in flight took so long. */
  add(inFlight: number, latencyMs: number): void {
    const row = Math.min(MOST, inFlight);
    const count = this.counts[row] as number;
    this.last[row * KEPT + (count % KEPT)] = latencyMs;
    this.counts[row] = count + 1;
    this.medians[row] = Number.NaN;
  }

  /** The median at the number in flight that is nearest to this one; 0 where nothing is known. */
  at(inFlight: number): number {
    const row = Math.min(MOST, inFlight);
    for (let off = 0; off <= MOST; off++) {
      if (row - off >= 0 && (this.counts[row - off] as number) > 0) return this.median(row - off);
      if (row + off <= MOST && (this.counts[row + off] as number) > 0) return this.median(row + off);
    }
    return 0;
  }

  private median(row: number): number {
    const known = this.medians[row] as number;
    if (!Number.isNaN(known)) return known;
    const count = Math.min(KEPT, this.counts[row] as number);
    const sorted = this.sorted.subarray(0, count);
    for (let n = 0; n < count; n++) sorted[n] = this.last[row * KEPT + n] as number;
    sorted.sort();
    const median = sorted[count >> 1] as number;
    this.medians[row] = median;
    return median;
  }
}

/** Probes on their way. */
export class ProbeTable {
  balancer = new Int32Array(64);
  server = new Int32Array(64);
  inFlight = new Float64Array(64);
  latency = new Float64Array(64);
  private free = new Int32Array(64);
  private freeCount = 0;
  private top = 0;

  begin(balancer: number, server: number): number {
    if (this.freeCount === 0 && this.top === this.server.length) this.grow();
    const probe = this.freeCount > 0 ? (this.free[--this.freeCount] as number) : this.top++;
    this.balancer[probe] = balancer;
    this.server[probe] = server;
    return probe;
  }

  end(probe: number): void {
    this.free[this.freeCount++] = probe;
  }

  private grow(): void {
    const size = this.server.length * 2;
    this.balancer = widened(this.balancer, new Int32Array(size));
    this.server = widened(this.server, new Int32Array(size));
    this.inFlight = widened(this.inFlight, new Float64Array(size));
    this.latency = widened(this.latency, new Float64Array(size));
    this.free = widened(this.free, new Int32Array(size));
  }
}
