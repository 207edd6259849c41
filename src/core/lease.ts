/**
 * Leases: calls that a pick has placed and that have not ended. A lease is one small integer, the
 * index of a row and some bits of the row's generation, so that picking allocates nothing. It is
 * completed exactly once: by the relay, by a caller's outcome, or by expiry. Anything later is
 * counted and changes nothing.
 */

import { type CallRows, LeaseKind } from './call-rows.ts';
import { Outcome } from './core.ts';
import { LEASE_LIMITS } from './limits.ts';

/** What ends with a lease; called once a lease, while its row is still readable. */
export interface LeaseOwner {
  leaseEnded(lease: number, row: number, now: number, outcome: Outcome, latencyMs: number): void;
}

const INDEX_BITS = 22;
const INDEX_MASK = (1 << INDEX_BITS) - 1;
const GENERATION_MASK = (1 << (31 - INDEX_BITS)) - 1;

/** Shift of a row to its cells, and what they hold. */
const CELLS = 3;
const SLOT = 0;
/** Of the slot's life, and the reports it had had, when the call began. */
const SLOT_GENERATION = 1;
const SLOT_REPORTS = 2;
const POOL = 3;
const KIND = 4;
const GENERATION = 5;
const OPEN = 6;
const NEXT_FREE = 7;

/** The same of times. */
const TIMES = 1;
/** In units of 1/1024 ms, so that sums of it are exact. */
const START = 0;
const EXPIRES = 1;

export class LeaseTable {
  /** Leases that are open. */
  open = 0;
  /** Completions that came late or twice; nothing was changed by them. */
  late = 0;
  /** Leases that ended by time. */
  expired = 0;
  /** Those of them that gave way before their time, because as many were open as there may be. */
  forced = 0;

  /** Eight cells a row, and two times: what the end of a call reads lies together. */
  private cells = new Int32Array(0);
  private times = new Float64Array(0);
  private rows = 0;

  // Free rows form a queue, not a stack: a row rests as long as possible, so that a late completion
  // does not meet a new lease with the same bits of the generation.
  private freeHead = -1;
  private freeTail = -1;

  // Leased rows as a ring in the order in which they are to be looked at: row, its generation, the time.
  private ring = new Int32Array(256);
  private ringGeneration = new Int32Array(256);
  private ringLook = new Float64Array(256);
  private ringHead = 0;
  private ringSize = 0;

  private readonly owner: LeaseOwner;
  private readonly ttlMs: number;

  constructor(owner: LeaseOwner, ttlMs: number) {
    this.owner = owner;
    this.ttlMs = ttlMs;
  }

  /** Opens a lease on a server and counts its call in the server's row. */
  begin(loads: CallRows, slot: number, pool: number, kind: LeaseKind, now: number): number {
    let row = this.freeHead;
    if (row < 0) row = this.makeRoom(now);
    const { cells, times } = this;
    const at = row << CELLS;
    this.freeHead = cells[at + NEXT_FREE] as number;
    if (this.freeHead < 0) this.freeTail = -1;
    cells[at + SLOT] = slot;
    cells[at + POOL] = pool;
    cells[at + KIND] = kind;
    cells[at + OPEN] = 1;
    times[(row << TIMES) + START] = Math.floor(now * 1024) / 1024;
    this.open++;
    if (kind === LeaseKind.LEASED) {
      times[(row << TIMES) + EXPIRES] = now + this.ttlMs;
      this.enqueue(row);
    }
    loads.begin(slot, this, row);
    return this.handleOf(row);
  }

  // Of a row, for who counts the call. Valid while its lease is open, `leaseEnded` included.

  slotAt(row: number): number {
    return this.cells[(row << CELLS) + SLOT] as number;
  }

  poolAt(row: number): number {
    return this.cells[(row << CELLS) + POOL] as number;
  }

  kindAt(row: number): LeaseKind {
    return this.cells[(row << CELLS) + KIND] as LeaseKind;
  }

  /** A relayed call rests from now on, or no more. */
  setKind(row: number, kind: LeaseKind): void {
    this.cells[(row << CELLS) + KIND] = kind;
  }

  startAt(row: number): number {
    return this.times[(row << TIMES) + START] as number;
  }

  /** What `note` was told when the call began. */
  slotGenerationAt(row: number): number {
    return this.cells[(row << CELLS) + SLOT_GENERATION] as number;
  }

  slotReportsAt(row: number): number {
    return this.cells[(row << CELLS) + SLOT_REPORTS] as number;
  }

  /** Keeps of which life of its slot a call is, and how many reports that had had; both 32-bit. */
  note(row: number, slotGeneration: number, slotReports: number): void {
    const at = row << CELLS;
    this.cells[at + SLOT_GENERATION] = slotGeneration;
    this.cells[at + SLOT_REPORTS] = slotReports;
  }

  /** The row of an open lease; −1 where the lease is not open (any more). */
  rowOf(lease: number): number {
    const row = lease & INDEX_MASK;
    const at = row << CELLS;
    if (lease < 0 || row >= this.rows || this.cells[at + OPEN] === 0) return -1;
    const generation = this.cells[at + GENERATION] as number;
    return (generation & GENERATION_MASK) === lease >>> INDEX_BITS ? row : -1;
  }

  /** The slot of the server that an open lease is on; −1 where the lease is not open. */
  slotOf(lease: number): number {
    const row = this.rowOf(lease);
    return row < 0 ? -1 : this.slotAt(row);
  }

  /** The whole generation of a lease's row: what an id that leaves the process must carry besides. */
  generationOf(lease: number): number {
    const row = lease & INDEX_MASK;
    return row < this.rows ? (this.cells[(row << CELLS) + GENERATION] as number) >>> 0 : -1;
  }

  /** Completes a lease. False: it was not open; counted, and nothing changed. `latencyMs` < 0 or NaN is unknown. */
  complete(lease: number, now: number, outcome: Outcome, latencyMs: number): boolean {
    const row = this.rowOf(lease);
    if (row < 0) {
      this.late++;
      return false;
    }
    this.finish(lease, row, now, outcome, latencyMs);
    return true;
  }

  /** Gives a lease its whole time again. False: it was not open. */
  renew(lease: number, now: number): boolean {
    const row = this.rowOf(lease);
    if (row < 0) return false;
    this.times[(row << TIMES) + EXPIRES] = now + this.ttlMs;
    return true;
  }

  /**
   * Ends leases whose time is up, after at most `most` looks, so that a sweep stays short. Returns how
   * many ended. A renewed lease may live up to one time-to-live longer than it was renewed for.
   */
  expire(now: number, most: number): number {
    const before = this.expired;
    for (let looked = 0; looked < most && this.ringSize > 0; looked++) {
      if ((this.ringLook[this.ringHead] as number) > now) break;
      this.expireHead(now, false);
    }
    return this.expired - before;
  }

  /** Takes the head off the queue; ends its lease where that is over, or where it is forced to end. */
  private expireHead(now: number, force: boolean): void {
    const at = this.ringHead;
    const row = this.ring[at] as number;
    const cells = row << CELLS;
    const alive =
      this.cells[cells + OPEN] === 1 && this.cells[cells + GENERATION] === this.ringGeneration[at];
    this.ringHead = (at + 1) & (this.ring.length - 1);
    this.ringSize--;
    if (!alive) return;
    const expires = this.times[(row << TIMES) + EXPIRES] as number;
    if (expires > now && !force) {
      this.enqueue(row);
      return;
    }
    this.expired++;
    if (expires > now) this.forced++;
    this.finish(this.handleOf(row), row, now, Outcome.NEUTRAL, -1);
  }

  private handleOf(row: number): number {
    const generation = this.cells[(row << CELLS) + GENERATION] as number;
    return ((generation & GENERATION_MASK) << INDEX_BITS) | row;
  }

  private finish(lease: number, row: number, now: number, outcome: Outcome, latencyMs: number): void {
    const at = row << CELLS;
    this.cells[at + OPEN] = 0;
    this.open--;
    this.owner.leaseEnded(lease, row, now, outcome, latencyMs);
    const { cells } = this;
    cells[at + GENERATION] = (cells[at + GENERATION] as number) + 1;
    cells[at + NEXT_FREE] = -1;
    if (this.freeTail < 0) this.freeHead = row;
    else cells[(this.freeTail << CELLS) + NEXT_FREE] = row;
    this.freeTail = row;
  }

  private makeRoom(now: number): number {
    const size = this.rows;
    if (size >= LEASE_LIMITS.open) {
      // At the limit the oldest lease gives way: it is the likeliest to be forgotten.
      while (this.freeHead < 0 && this.ringSize > 0) this.expireHead(now, true);
      if (this.freeHead >= 0) return this.freeHead;
      throw new RangeError(`more than ${LEASE_LIMITS.open} calls are open`);
    }
    const next = Math.min(LEASE_LIMITS.open, Math.max(64, size * 2));
    const cells = new Int32Array(next << CELLS);
    cells.set(this.cells);
    for (let row = size; row < next; row++) cells[(row << CELLS) + NEXT_FREE] = row + 1 < next ? row + 1 : -1;
    this.cells = cells;
    const times = new Float64Array(next << TIMES);
    times.set(this.times);
    this.times = times;
    this.rows = next;
    this.freeHead = size;
    this.freeTail = next - 1;
    return size;
  }

  /** Lets a row be looked at when its time is up. */
  private enqueue(row: number): void {
    if (this.ringSize === this.ring.length) this.widenRing();
    const at = (this.ringHead + this.ringSize) & (this.ring.length - 1);
    this.ring[at] = row;
    this.ringGeneration[at] = this.cells[(row << CELLS) + GENERATION] as number;
    this.ringLook[at] = this.times[(row << TIMES) + EXPIRES] as number;
    this.ringSize++;
  }

  /**
   * Makes room in a ring that is full: drops leases that were completed, so that it holds no more than
   * some times those that are open, however fast they come and go. Doubles where a quarter are open.
   */
  private widenRing(): void {
    const { ring, ringGeneration, ringLook } = this;
    const mask = ring.length - 1;
    let kept = 0;
    for (let n = 0; n <= mask; n++) {
      const from = (this.ringHead + n) & mask;
      const row = ring[from] as number;
      const cells = row << CELLS;
      const open = this.cells[cells + OPEN] === 1 && this.cells[cells + GENERATION] === ringGeneration[from];
      if (!open) continue;
      const to = (this.ringHead + kept++) & mask;
      ring[to] = row;
      ringGeneration[to] = ringGeneration[from] as number;
      ringLook[to] = ringLook[from] as number;
    }
    this.ringSize = kept;
    if (kept <= ring.length / 4) return;
    this.ring = unrolled(Int32Array, ring, this.ringHead);
    this.ringGeneration = unrolled(Int32Array, ringGeneration, this.ringHead);
    this.ringLook = unrolled(Float64Array, ringLook, this.ringHead);
    this.ringHead = 0;
  }
}

/** A ring in an array of twice the size, its head at 0. */
function unrolled<T extends Int32Array | Float64Array>(
  make: new (length: number) => T,
  from: T,
  head: number,
): T {
  const to = new make(from.length * 2);
  to.set(from.subarray(head) as never);
  to.set(from.subarray(0, head) as never, from.length - head);
  return to;
}
