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
  let best = -1;
  let bestKey = Number.POSITIVE_INFINITY;
  for (const { order } of pool.zones) {
    let other = order.first();
    if (other === member) other = order.next();
    if (other < 0) continue;
    const key = pool.keyOf(other);
    if (best >= 0 && key >= bestKey) continue;
    best = other;
    bestKey = key;
  }
  return {
    score: pool.scores.seconds(pool.keyBefore(member)),
    runnerUp: best < 0 ? -1 : (pool.slots[best] as number),
    runnerUpScore: best < 0 ? Number.NaN : pool.scores.seconds(bestKey),
  };
}
