/** Calls that have begun and not ended, as columns. An index is used again; its life tells two calls of it apart. */
import { widened } from './queue.ts';

/** Where a call is. */
export const Stage = {
  FREE: 0,
  WAITING: 1,
  ON_ITS_WAY: 2,
  AT_SERVER: 3,
  COMING_BACK: 4,
  GIVEN_UP: 5,
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

/** Lives count up to this, then begin anew: what still names a call of so many lives ago would mean another. */
const LIFE_MASK = 0x3ff;

export class CallTable {
  begun = new Float64Array(256);
  /** When its server was picked. */
  picked = new Float64Array(256);
  /** Work at speed 1, ms. */
  work = new Float64Array(256);
  /** The same, as it was before its server failed it. */
  demand = new Float64Array(256);
  /** When it came to its server, and how many it met there. */
  arrived = new Float64Array(256);
  met = new Int32Array(256);
  server = new Int32Array(256);
  balancer = new Int32Array(256);
  lives = new Int32Array(256);
  stage = new Uint8Array(256);
  failed = new Uint8Array(256);
  measured = new Uint8Array(256);
  open = 0;

  private free = new Int32Array(256);
  private freeCount = 0;
  private top = 0;

  begin(): number {
    this.open++;
    if (this.freeCount > 0) return this.free[--this.freeCount] as number;
    if (this.top === this.begun.length) this.grow();
    return this.top++;
  }

  end(call: number): void {
    this.open--;
    this.lives[call] = ((this.lives[call] as number) + 1) & LIFE_MASK;
    this.stage[call] = Stage.FREE;
    this.free[this.freeCount++] = call;
  }

  /** Calls that are open and measured, for those that never end. */
  *unfinished(): Generator<number> {
    for (let call = 0; call < this.top; call++) {
      if (this.stage[call] !== Stage.FREE && this.measured[call] === 1) yield call;
    }
  }

  private grow(): void {
    const size = this.begun.length * 2;
    this.begun = widened(this.begun, new Float64Array(size));
    this.picked = widened(this.picked, new Float64Array(size));
    this.work = widened(this.work, new Float64Array(size));
    this.demand = widened(this.demand, new Float64Array(size));
    this.arrived = widened(this.arrived, new Float64Array(size));
    this.met = widened(this.met, new Int32Array(size));
    this.server = widened(this.server, new Int32Array(size));
    this.balancer = widened(this.balancer, new Int32Array(size));
    this.lives = widened(this.lives, new Int32Array(size));
    this.free = widened(this.free, new Int32Array(size));
    this.stage = widened(this.stage, new Uint8Array(size));
    this.failed = widened(this.failed, new Uint8Array(size));
    this.measured = widened(this.measured, new Uint8Array(size));
  }
}
