/**
 * Of two members at random the one with the lower score (Mitzenmacher, "The Power of Two Choices", TPDS
 * 2001). It forgives a wrong score where the heap's root would draw every balancer to one server.
 */
import type { Candidates } from './candidates.ts';
import type { Policy } from './policy.ts';

export class PowerOfTwo implements Policy {
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  choose(candidates: Candidates): number {
    const index = candidates.draw(this.random);
    const first = candidates.at(index);
    const second = candidates.at(candidates.drawOther(index, this.random));
    return candidates.pool.keyOf(second) < candidates.pool.keyOf(first) ? second : first;
  }
}
