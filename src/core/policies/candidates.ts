/**
 * The members that a call may go to now: all that stand in an order, of every zone or of the caller's.
 * Looking at it costs no copy, whatever the size of the pool.
 */
import type { LoadTable } from '../load-table.ts';
import type { HashedMembers } from '../rendezvous.ts';
import type { Zone } from '../zone.ts';

/** What candidates are taken from: a pool. */
interface CandidatePool extends HashedMembers {
  readonly zones: readonly Zone[];
  readonly loads: LoadTable;
  keyOf(member: number): number;
}

export class Candidates {
  readonly pool: CandidatePool;
  size = 0;
  /** The only zone whose members count; undefined: all do. */
  zone: Zone | undefined;

  constructor(pool: CandidatePool) {
    this.pool = pool;
  }

  /** Looks at the pool as it is now. */
  of(zone: Zone | undefined): void {
    const { zones } = this.pool;
    this.zone = zone ?? (zones.length === 1 ? zones[0] : undefined);
    this.size = 0;
    if (this.zone !== undefined) this.size = this.zone.order.size;
    else for (let n = 0; n < zones.length; n++) this.size += (zones[n] as Zone).order.size;
  }

  /** One of them, in no order; `index` is below `size`. */
  at(index: number): number {
    if (this.zone !== undefined) return this.zone.order.itemAt(index);
    const { zones } = this.pool;
    let left = index;
    for (let n = 0; n < zones.length; n++) {
      const { order } = zones[n] as Zone;
      if (left < order.size) return order.itemAt(left);
      left -= order.size;
    }
    return -1;
  }

  has(member: number): boolean {
    const { pool } = this;
    if (member < 0 || (pool.slots[member] ?? -1) < 0) return false;
    const zone = pool.zoneAt(member);
    return (this.zone === undefined || zone === this.zone) && zone.order.has(member);
  }

  /** Own calls in flight there. */
  own(member: number): number {
    return this.pool.loads.own(this.slotOf(member));
  }

  slotOf(member: number): number {
    return this.pool.slots[member] as number;
  }

  /** A whole number below `size`. */
  draw(random: () => number): number {
    return Math.min(this.size - 1, Math.floor(random() * this.size));
  }

  /** Two that differ where there are two: the second for a first one at `index`. */
  drawOther(index: number, random: () => number): number {
    if (this.size < 2) return index;
    const other = Math.min(this.size - 2, Math.floor(random() * (this.size - 1)));
    return other >= index ? other + 1 : other;
  }
}
