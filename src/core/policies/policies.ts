/** Policies by the names that `pools[].policy` takes. */
import type { LoadTable } from '../load-table.ts';
import { PowerOfTwo } from './p2c.ts';
import { PeakEwma } from './peak-ewma.ts';
import type { Policy } from './policy.ts';
import { HotCold } from './prequal.ts';
import { RandomChoice } from './random.ts';
import { Rendezvous } from './rendezvous.ts';
import { RoundRobin } from './round-robin.ts';
import { WeightedRoundRobin } from './weighted-round-robin.ts';

/** Each with one line for people. */
export const POLICIES = {
  'least-load': 'the backend with the least expected wait, kept in a min-heap',
  'round-robin': 'one backend after the other',
  random: 'any backend',
  p2c: 'of two at random the one with the lower score',
  'peak-ewma': 'of two at random the one with the lower peak latency times calls in flight',
  'weighted-round-robin': 'in proportion to calls over utilization, as reported (gRFC A58)',
  prequal: 'the lowest latency among those with few calls in flight',
  rendezvous: 'by hash, with bounded load; a call without a key goes by a random one',
} as const;
export type PolicyName = keyof typeof POLICIES;

/** A policy with nothing learned; undefined where the heap's root is what is wanted. */
export function makePolicy(name: PolicyName, loads: LoadTable, random: () => number): Policy | undefined {
  switch (name) {
    case 'round-robin':
      return new RoundRobin(random);
    case 'random':
      return new RandomChoice(random);
    case 'p2c':
      return new PowerOfTwo(random);
    case 'peak-ewma':
      return new PeakEwma(random);
    case 'weighted-round-robin':
      return new WeightedRoundRobin(loads, random);
    case 'prequal':
      return new HotCold(random);
    case 'rendezvous':
      return new Rendezvous(random);
    default:
      return undefined;
  }
}
