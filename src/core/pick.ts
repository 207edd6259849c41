/** Picks with a wish: servers to leave out, a key to stick to, a zone to prefer. */

import type { Pool } from './pool.ts';
import { boundedLoad, hashString, rendezvousRank } from './rendezvous.ts';
import type { Zone } from './zone.ts';

export interface PickWant {
  /** Slots already tried. */
  readonly exclude?: readonly number[];
  /** Same key, same server, as long as its load is within bounds. */
  readonly hashKey?: string;
  /** The caller's zone. */
  readonly zone?: string;
}

/**
 * The best member that the wish allows, −1 where there is none; the order is not touched. The caller's
 * zone comes first until its best is clearly worse than the pool's best.
 * @param capped look among the warming servers at their cap
 */
export function chooseWanted(pool: Pool, want: PickWant, capped: boolean): number {
  const exclude = want.exclude ?? [];
  const own = want.zone === undefined || want.zone === '' ? undefined : pool.zoneNamed(want.zone);
  let best = -1;
  let bestKey = Number.POSITIVE_INFINITY;
  for (const zone of pool.zones) {
    const member = firstAllowed(pool, zone, exclude, capped);
    if (member < 0) continue;
    const key = (capped ? zone.capped : zone.order).keyOf(member);
    if (best < 0 || key < bestKey) {
      best = member;
      bestKey = key;
    }
  }
  if (own === undefined || best < 0) return best;
  const local = firstAllowed(pool, own, exclude, capped);
  if (local < 0) return best;
  // Scores, not keys: a newcomer at another zone's root is no reason to leave one's own.
  const here = pool.scoreOf(pool.slots[local] as number);
  const there = pool.scoreOf(pool.slots[best] as number);
  return here <= there * pool.zoneFactor ? local : best;
}

/**
 * The member on which a key hashes highest among those within their bounded load; −1 where none is.
 * Costs one hash a member.
 */
export function chooseHashed(pool: Pool, want: PickWant): number {
  const exclude = want.exclude ?? [];
  let total = 0;
  let weights = 0;
  // By member, not by slot: this is on the path of a pick, and a look-up a member is dear.
  const { slots } = pool;
  for (let member = 0; member < slots.length; member++) {
    if (pool.isOut(member)) continue;
    total += pool.inFlight(member);
    weights += pool.weightOf(member);
  }
  const key = hashString(want.hashKey ?? '');
  let best = -1;
  let rank = Number.NEGATIVE_INFINITY;
  for (let member = 0; member < slots.length; member++) {
    if (pool.isOut(member)) continue;
    const weight = pool.weightOf(member);
    const height = rendezvousRank(key, pool.hashes[member] as number, weight);
    // A warming server at its cap, or one that is full, is in no order and is passed over.
    if (height <= rank || !pool.isPlaced(member) || exclude.includes(slots[member] as number)) continue;
    if (pool.inFlight(member) + 1 > boundedLoad(total, weight, weights)) continue;
    best = member;
    rank = height;
  }
  return best;
}

function firstAllowed(pool: Pool, zone: Zone, exclude: readonly number[], capped: boolean): number {
  const heap = capped ? zone.capped : zone.order;
  let member = heap.first();
  while (member >= 0 && exclude.includes(pool.slots[member] as number)) member = heap.next();
  return member;
}
