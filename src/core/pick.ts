/** Choices of a pool other than its root: by a wish, or where all are at their warm-up cap. */
import { PickFailure } from './core.ts';
import { PanicLevel } from './panic.ts';
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

const NOBODY: readonly number[] = [];

/**
 * The member for a call with a wish, or the reason why there is none (< 0). The order is not touched.
 * Warming servers at their cap come in where nobody else is left: a cap never leaves a pool without a pick.
 */
export function choose(pool: Pool, want: PickWant): number {
  const keyed = want.hashKey !== undefined && want.hashKey !== '';
  for (const capped of [false, true]) {
    let member = keyed ? chooseHashed(pool, want, capped) : -1;
    if (member < 0) member = chooseWanted(pool, want, capped);
    if (member >= 0) return member;
  }
  const failure = failureOf(pool);
  if (failure !== PickFailure.ALL_FULL) return failure;
  for (const slot of want.exclude ?? NOBODY) {
    const member = pool.memberAt(slot);
    if (member >= 0 && !pool.isOut(member) && pool.hasRoom(member)) return PickFailure.EXCLUDED;
  }
  return failure;
}

/** Nobody is in any order: the best of those at their cap, or the reason why there is none (< 0). */
export function chooseCapped(pool: Pool): number {
  const member = chooseWanted(pool, {}, true);
  return member >= 0 ? member : failureOf(pool);
}

function failureOf(pool: Pool): PickFailure {
  if (pool.size === 0) return PickFailure.EMPTY;
  return pool.eligible === 0 && pool.panicLevel === PanicLevel.CALM
    ? PickFailure.NONE_HEALTHY
    : PickFailure.ALL_FULL;
}

/**
 * The best member that the wish allows, −1 where there is none. The caller's zone comes first until its
 * best is clearly worse than the pool's best.
 * @param capped look among the warming servers at their cap
 */
function chooseWanted(pool: Pool, want: PickWant, capped: boolean): number {
  const exclude = want.exclude ?? NOBODY;
  const { zones } = pool;
  let best = -1;
  let from: Zone | undefined;
  for (let i = 0; i < zones.length; i++) {
    const zone = zones[i] as Zone;
    const member = firstAllowed(pool, zone, exclude, capped);
    if (member < 0) continue;
    if (from === undefined || zone.heap(capped).precedes(member, from.heap(capped), best)) {
      best = member;
      from = zone;
    }
  }
  if (best < 0 || want.zone === undefined || want.zone === '') return best;
  const own = pool.zoneNamed(want.zone);
  const local = own === undefined ? -1 : firstAllowed(pool, own, exclude, capped);
  if (local < 0) return best;
  // Scores, not keys: a newcomer at another zone's root is no reason to leave one's own.
  return pool.keyOf(local) <= pool.keyOf(best) * pool.zoneFactor ? local : best;
}

/**
 * The member on which a key hashes highest among those within their bounded load; −1 where none is.
 * Costs one hash a member.
 * @param capped take warming servers at their cap as well
 */
function chooseHashed(pool: Pool, want: PickWant, capped: boolean): number {
  const exclude = want.exclude ?? NOBODY;
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
    if (height <= rank || exclude.includes(slots[member] as number)) continue;
    // One that is full is in no order and is passed over.
    const zone = pool.zoneAt(member);
    if (!zone.order.has(member) && !(capped && zone.capped.has(member))) continue;
    if (pool.inFlight(member) + 1 > boundedLoad(total, weight, weights)) continue;
    best = member;
    rank = height;
  }
  return best;
}

function firstAllowed(pool: Pool, zone: Zone, exclude: readonly number[], capped: boolean): number {
  const heap = zone.heap(capped);
  let member = heap.first();
  while (member >= 0 && exclude.includes(pool.slots[member] as number)) member = heap.next();
  return member;
}
