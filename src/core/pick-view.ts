/** Why a pick went where it went, for people: the score it was compared by, and who would have been next. */
import type { Pool } from './pool.ts';

export interface PickView {
  /** As it was before the pick; seconds of expected wait. */
  readonly score: number;
  /** Slot of the best of the others; −1: there is none that takes calls. */
  readonly runnerUp: number;
  readonly runnerUpScore: number;
}

/** To be asked right after the pick, whose call counts already. Undefined where the server is not in the pool. */
export function viewPick(pool: Pool, slot: number): PickView | undefined {
  const member = pool.memberAt(slot);
  if (member < 0) return undefined;
  // Those at their warm-up cap come in where nobody else is left, as in the pick itself.
  let best = bestBut(pool, member, false);
  if (best < 0) best = bestBut(pool, member, true);
  return {
    score: pool.scores.seconds(pool.keyBefore(member)),
    runnerUp: best < 0 ? -1 : (pool.slots[best] as number),
    runnerUpScore: best < 0 ? Number.NaN : pool.scores.seconds(pool.keyOf(best)),
  };
}

/** The member that stands first among the others, in the order or among those at their cap; −1: there is none. */
function bestBut(pool: Pool, member: number, capped: boolean): number {
  let best = -1;
  for (const zone of pool.zones) {
    const heap = zone.heap(capped);
    let other = heap.first();
    if (other === member) other = heap.next();
    if (other >= 0 && (best < 0 || pool.keyOf(other) < pool.keyOf(best))) best = other;
  }
  return best;
}
