/**
 * Finagle's and linkerd's peak EWMA: of two at random the one with the lower cost × (calls in flight + 1).
 * The cost follows a higher latency at once and a lower one over 10 s.
 */
import type { Outcome } from '../../core/core.ts';
import type { PolicyUnderTest, World } from '../balancer.ts';
import type { Random } from '../random.ts';
import { ListBalancer } from './list.ts';

const DECAY_MS = 10_000;
/** What a server without a latency is taken to cost while it has calls in flight, ms. */
const PENALTY_MS = 1e12;

class PeakEwma extends ListBalancer {
  private readonly cost: Float64Array;
  private readonly stamp: Float64Array;

  constructor(world: World, random: Random) {
    super(world, random);
    this.cost = new Float64Array(this.own.length);
    this.stamp = new Float64Array(this.own.length);
  }

  override ended(call: number, server: number, now: number, outcome: Outcome, latencyMs: number): void {
    super.ended(call, server, now, outcome, latencyMs);
    const cost = this.cost[server] as number;
    if (latencyMs > cost) this.cost[server] = latencyMs;
    else {
      const keep = Math.exp(-(now - (this.stamp[server] as number)) / DECAY_MS);
      this.cost[server] = cost * keep + latencyMs * (1 - keep);
    }
    this.stamp[server] = now;
  }

  protected choose(now: number): number {
    const first = this.any();
    const second = this.second(first);
    return second >= 0 && this.load(second, now) < this.load(first, now) ? second : first;
  }

  private load(server: number, now: number): number {
    const own = this.own[server] as number;
    const keep = Math.exp(-(now - (this.stamp[server] as number)) / DECAY_MS);
    const cost = (this.cost[server] as number) * keep;
    this.cost[server] = cost;
    this.stamp[server] = now;
    return cost === 0 && own > 0 ? PENALTY_MS + own : cost * (own + 1);
  }
}

export const PEAK_EWMA: PolicyUnderTest = {
  name: 'peak-ewma',
  about: 'the one of two with the lower peak latency × calls in flight (finagle, linkerd)',
  kind: 'peer',
  create: (world, _index, random) => new PeakEwma(world, random),
};
