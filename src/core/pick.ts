/** Choices of a pool other than its root: by a wish, or where all are at their warm-up cap. */
import { PickFailure } from './core.ts';
import { PanicLevel } from './panic.ts';
import type { Pool } from './pool.ts';
import { chooseHashed, hashString } from './rendezvous.ts';
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
/** How often a policy is asked for one that is not excluded; then the best score of those left decides. */
const POLICY_DRAWS = 16;

/**
 * The member for a call with a wish, or the reason why there is none (< 0). The order is not touched.
 * Warming servers at their cap come in where nobody else is left: a cap never leaves a pool without a pick.
 */
export function choose(pool: Pool, want: PickWant, now: number): number {
  const keyed = want.hashKey !== undefined && want.hashKey !== '';
  const key = keyed ? hashString(want.hashKey ?? '') : 0;
  for (const capped of [false, true]) {
    let member = keyed ? chooseHashed(pool, key, want.exclude ?? NOBODY, capped) : -1;
    if (member < 0 && !capped) member = chooseByPolicy(pool, want, now);
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

/** What the pool's policy chooses, −1 where it has none or nobody is left to choose from. */
function chooseByPolicy(pool: Pool, want: PickWant, now: number): number {
  const { policy, candidates } = pool;
  if (policy === undefined) return -1;
  const exclude = want.exclude ?? NOBODY;
  candidates.of(localZone(pool, want.zone));
  if (candidates.size === 0) return -1;
  for (let draws = 0; draws < POLICY_DRAWS; draws++) {
    const member = policy.choose(candidates, now);
    if (member < 0) return -1;
    if (exclude.length === 0 || !exclude.includes(pool.slots[member] as number)) return member;
  }
  return -1;
}

/** The caller's zone, as long as its best is not clearly worse than the pool's best. */
function localZone(pool: Pool, name: string | undefined): Zone | undefined {
  if (name === undefined || name === '' || pool.zones.length < 2) return undefined;
  const zone = pool.zoneNamed(name);
  const best = pool.bestZone();
  if (zone === undefined || best === undefined || zone.order.size === 0) return undefined;
  const { order } = best;
  return pool.keyOf(zone.order.peek()) <= pool.keyOf(order.peek()) * pool.zoneFactor ? zone : undefined;
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

function firstAllowed(pool: Pool, zone: Zone, exclude: readonly number[], capped: boolean): number {
  const heap = zone.heap(capped);
  let member = heap.first();
  while (member >= 0 && exclude.includes(pool.slots[member] as number)) member = heap.next();
  return member;
}
