/**
 * A pick with all that it was made from, for looking back. Only picks that are drawn for it are looked at
 * so; the others cost one look at whether anybody wants it.
 */
import { DECISION_LIMITS } from './limits.ts';
import type { PickWant } from './pick.ts';
import type { Pool } from './pool.ts';

export interface Candidate {
  readonly id: string;
  /** Seconds of expected wait. */
  readonly score: number;
  /** At the root by rule, whatever its score. */
  readonly newcomer: boolean;
  /** What the score is made of; see `heapmesh heap`. */
  readonly terms: Readonly<Record<string, number>>;
}

export interface Decision {
  /** Wall clock, ms since 1970. */
  readonly time: number;
  readonly service: string;
  /** Handle of the lease; negative: why there is none (`PickFailure`). */
  readonly lease: number;
  /** Who was picked; empty where nobody was. */
  readonly serverId: string;
  readonly policy: string;
  /** What the caller wanted of it: a zone, a key, servers that were tried already. */
  readonly want: string;
  /** Servers of the pool, and those of them that could be picked at all. */
  readonly members: number;
  readonly eligible: number;
  /** The best in order, as they stood before the pick. */
  readonly best: readonly Candidate[];
  /** W3C trace id of the call that it was made for, 32 digits; empty where that has none. */
  readonly traceId: string;
}

/** Who is told of picks. */
export interface PickWitness {
  readonly idOf: (slot: number) => string;
  /** Draws whether the next pick is looked at. */
  wants(asker: object | undefined): boolean;
  /** @param asker what the pick was made for, as `Pool.pick` was given it */
  witness(
    decision: Omit<Decision, 'time' | 'serverId' | 'traceId'>,
    slot: number,
    asker: object | undefined,
  ): void;
}

export function wantInWords(want: PickWant | undefined): string {
  const { zone = '', hashKey = '', exclude = [] } = want ?? {};
  return [
    ...(zone === '' ? [] : [`zone ${zone}`]),
    ...(hashKey === '' ? [] : ['a key']),
    ...(exclude.length === 0 ? [] : [`not one of ${exclude.length} that were tried`]),
  ].join(', ');
}

/** The best of a pool in order, with what their scores are made of. */
export function bestOf(pool: Pool, now: number, idOf: (slot: number) => string): Candidate[] {
  const found: Candidate[] = [];
  const members: number[] = [];
  for (const { order } of pool.zones) {
    const count = order.best(DECISION_LIMITS.candidates, members);
    for (let i = 0; i < count; i++) {
      const member = members[i] as number;
      const slot = pool.slots[member] as number;
      found.push({
        id: idOf(slot),
        score: pool.scoreOf(slot),
        newcomer: order.isRootByRule(member),
        terms: pool.scores.terms(member, slot, now),
      });
    }
  }
  found.sort((a, b) => Number(b.newcomer) - Number(a.newcomer) || a.score - b.score);
  return found.slice(0, DECISION_LIMITS.candidates);
}
