/**
 * Prequal's hot-cold lexicographic rule without its probes, over what reports and own calls tell already:
 * a member is hot where it has more calls in flight than the 0.84 quantile of those looked at. Of cold ones
 * the lowest latency wins; where all are hot the fewest in flight (Wydrowski et al., "Load is not what you
 * should balance", NSDI 2024). Looks at 16 at random, as many as Prequal's pool holds.
 */
import type { Candidates } from './candidates.ts';
import type { Policy } from './policy.ts';

const LOOKS = 16;
const HOT_QUANTILE = 0.84;

export class HotCold implements Policy {
  private readonly random: () => number;
  private readonly members = new Int32Array(LOOKS);
  private readonly inFlight = new Float64Array(LOOKS);
  private readonly sorted = new Float64Array(LOOKS);

  constructor(random: () => number) {
    this.random = random;
  }

  choose(candidates: Candidates): number {
    const count = this.look(candidates);
    const hot = this.hotAbove(count);
    const { loads } = candidates.pool;
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    let bestHot = true;
    let ties = 0;
    for (let n = 0; n < count; n++) {
      const isHot = (this.inFlight[n] as number) > hot;
      if (isHot && !bestHot) continue;
      const member = this.members[n] as number;
      const latency = loads.latencyOf(candidates.slotOf(member));
      // One that was never measured is tried before all others.
      const cost = isHot ? (this.inFlight[n] as number) : Number.isNaN(latency) ? 0 : latency;
      if (isHot === bestHot && cost > least) continue;
      ties = isHot === bestHot && cost === least ? ties + 1 : 1;
      if (ties > 1 && this.random() * ties >= 1) continue;
      best = member;
      least = cost;
      bestHot = isHot;
    }
    return best;
  }

  /** Takes all, or so many drawn one by one: those next to each other in a heap's array are alike. */
  private look(candidates: Candidates): number {
    const { size } = candidates;
    const count = Math.min(LOOKS, size);
    for (let n = 0; n < count; n++) {
      const index = size <= LOOKS ? n : candidates.draw(this.random);
      const member = candidates.at(index);
      this.members[n] = member;
      this.inFlight[n] = candidates.pool.inFlight(member);
    }
    return count;
  }

  private hotAbove(count: number): number {
    const { sorted } = this;
    for (let n = 0; n < count; n++) {
      const value = this.inFlight[n] as number;
      let at = n;
      for (; at > 0 && (sorted[at - 1] as number) > value; at--) sorted[at] = sorted[at - 1] as number;
      sorted[at] = value;
    }
    return sorted[Math.floor(HOT_QUANTILE * (count - 1))] as number;
  }
}
