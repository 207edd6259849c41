/** One member after the other, in the order of their numbers; those that cannot be picked now are passed over. */
import type { Candidates } from './candidates.ts';
import type { Policy } from './policy.ts';

export class RoundRobin implements Policy {
  private last: number;

  /** @param random where to begin: balancers of one pool must not walk in step (gRPC's rule for round_robin) */
  constructor(random: () => number) {
    this.last = Math.floor(random() * 0x7fff_ffff);
  }

  choose(candidates: Candidates): number {
    const numbers = candidates.pool.slots.length;
    this.last %= numbers;
    for (let looked = 0; looked < numbers; looked++) {
      this.last = this.last + 1 === numbers ? 0 : this.last + 1;
      if (candidates.has(this.last)) return this.last;
    }
    return -1;
  }
}
