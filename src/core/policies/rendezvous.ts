/**
 * Rendezvous hashing with bounded loads. Calls with a hash key go by it under every policy; under this one
 * a call without a key goes to where a random key would: weights hold exactly, and load is bounded.
 */
import { chooseHashed } from '../rendezvous.ts';
import type { Candidates } from './candidates.ts';
import type { Policy } from './policy.ts';

const NOBODY: readonly number[] = [];

export class Rendezvous implements Policy {
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  choose(candidates: Candidates): number {
    const key = Math.floor(this.random() * 2 ** 32) >>> 0;
    const member = chooseHashed(candidates.pool, key, NOBODY, false, candidates.zone);
    return member >= 0 ? member : candidates.at(candidates.draw(this.random));
  }
}
