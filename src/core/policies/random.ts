/** Any member, each with the same probability. */
import type { Candidates } from './candidates.ts';
import type { Policy } from './policy.ts';

export class RandomChoice implements Policy {
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  choose(candidates: Candidates): number {
    return candidates.at(candidates.draw(this.random));
  }
}
