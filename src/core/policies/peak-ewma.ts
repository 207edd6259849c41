/**
 * Of two members at random the one with the lower cost × (own calls in flight + 1). The cost follows a
 * higher latency at once and a lower one over 10 s (finagle's and linkerd's peak EWMA). Not for long
 * streams: their latency is their length.
 */
import { Outcome } from '../core.ts';
import type { Candidates } from './candidates.ts';
import type { Policy } from './policy.ts';

/** τ: over this time a peak is forgotten, ms. */
const DECAY_MS = 10_000;
/** What a server that was never measured costs while calls are in flight there, ms: one call finds out. */
const UNKNOWN_MS = 1e9;

export class PeakEwma implements Policy {
  private readonly random: () => number;
  /** By member: cost, ms, as it was at a time; 0 is unknown. */
  private cost = new Float64Array(16);
  private stamp = new Float64Array(16);

  constructor(random: () => number) {
    this.random = random;
  }

  entered(member: number, _slot: number, now: number): void {
    if (member >= this.cost.length) this.grow(member);
    this.cost[member] = 0;
    this.stamp[member] = now;
  }

  ended(member: number, now: number, outcome: Outcome, latencyMs: number): void {
    if (outcome === Outcome.NEUTRAL || !(latencyMs >= 0)) return;
    const cost = this.cost[member] as number;
    if (latencyMs > cost) this.cost[member] = latencyMs;
    else {
      const keep = Math.exp(-Math.max(0, now - (this.stamp[member] as number)) / DECAY_MS);
      this.cost[member] = cost * keep + latencyMs * (1 - keep);
    }
    this.stamp[member] = now;
  }

  choose(candidates: Candidates, now: number): number {
    const index = candidates.draw(this.random);
    const first = candidates.at(index);
    const second = candidates.at(candidates.drawOther(index, this.random));
    return this.load(candidates, second, now) < this.load(candidates, first, now) ? second : first;
  }

  private load(candidates: Candidates, member: number, now: number): number {
    const own = candidates.own(member);
    const cost = this.cost[member] as number;
    if (cost === 0) return own === 0 ? 0 : UNKNOWN_MS + own;
    const keep = Math.exp(-Math.max(0, now - (this.stamp[member] as number)) / DECAY_MS);
    return cost * keep * (own + 1);
  }

  private grow(member: number): void {
    const size = Math.max(member + 1, this.cost.length * 2);
    const cost = new Float64Array(size);
    cost.set(this.cost);
    this.cost = cost;
    const stamp = new Float64Array(size);
    stamp.set(this.stamp);
    this.stamp = stamp;
  }
}
