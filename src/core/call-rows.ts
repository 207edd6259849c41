/**
 * The part of the load table that calls move: own calls in flight and what became of them, one row a
 * server. Eight cells of counts and eight of sums a row lie together, since with 100,000 servers the
 * next call's row is in no cache and each line of it costs a wait. Counts are Int32, so that this part
 * can become a SharedArrayBuffer with one block a worker.
 *
 * Own calls in flight are counted twice over. *Relayed* ones are exact. *Leased* ones are inferred, since
 * a caller may never report what became of its lease: at each report, the leases picked before it count
 * as at most what the report leaves room for, `max(0, reported − relayed)`; younger ones in full.
 */
import { Outcome } from './core.ts';
import type { LeaseTable } from './lease.ts';
import { LOAD_LIMITS } from './limits.ts';
import { failureStep, SCORE } from './score.ts';

/** A pool's side of a row: told when the row's load has changed. */
export interface RowListener {
  /** Own calls in flight or failures changed. */
  rekey(member: number): void;
  /** The failure term changed; `failed`: by a failure. A `rekey` follows. */
  failureChanged(member: number, now: number, failed: boolean): void;
  /** A report came: everything changed. */
  reported(member: number, now: number): void;
  /** The row's server leaves the pool. */
  remove(slot: number): void;
}

export interface Membership {
  readonly pool: RowListener;
  readonly member: number;
}

/** How a call is counted. RESTING: relayed, and nothing goes through it; no pick is made with it. */
export const LeaseKind = { RELAYED: 0, LEASED: 1, RESTING: 2 } as const;
export type LeaseKind = (typeof LeaseKind)[keyof typeof LeaseKind];

/** Shift of a slot to its row. */
const ROW = 3;

// Cells of a row of counts.
/** Those that rest are counted apart. */
const RELAYED = 0;
/** Open leases picked before the last report, and since. */
const LEASED_OLD = 1;
const LEASED_YOUNG = 2;
/** What the last report leaves for old leases. */
const LEASED_BOUND = 3;
/** Counts reports and restarts of the row. */
const REPORTS = 4;
const GENERATION = 5;
/** The member in the row's only pool; NONE or SEVERAL. */
const MEMBER = 6;
/** Picks of this life, by both doors; wraps at 2^32. */
const PICKS = 7;
const NONE = -1;
const SEVERAL = -2;

// Cells of a row of sums.
/** Σ of the start times of relayed calls in flight that do not rest, ms, in units of 1/1024 ms so that it stays exact. */
const START_SUM = 0;
/** Own calls served since the last report. */
const SERVED = 1;
/** Calls that prove the server, own successes and reported ones; what of them was before this warm-up. */
const PROVEN = 2;
const PROVEN_BEFORE = 3;
/** EWMA of own latencies of served calls, ms; NaN: none. */
const LATENCY = 4;
/** f by own calls, and the time at which it was that. */
const FAILURE = 5;
const FAILURE_TIME = 6;
/** Upper quartile of own latencies of served calls, ms; 0: none. */
const QUARTILE = 7;

/** f below this is 0: a penalty of a picosecond. */
const FORGOTTEN = 1e-6;

const UNBOUNDED = 0x7fff_ffff;
const NO_MEMBERS: readonly Membership[] = [];

export class CallRows {
  private readonly cell = new Float64Array(1);
  private counts = new Int32Array(0);
  /** By slot: relayed calls that rest, open streams without messages. Apart, since few calls have to do with it. */
  private rests = new Int32Array(0);
  private sums = new Float64Array(0);
  /** By slot: u, the share of failed calls that is usual there, and at how many picks it was that. */
  private usual = new Float64Array(0);
  private usualAt = new Uint32Array(0);
  private members: (Membership[] | undefined)[] = [];
  /** The pool of a row that is in one pool only. */
  private onlyPool: (RowListener | undefined)[] = [];

  /** Makes room; new rows are zero. */
  protected growRows(slots: number): void {
    const counts = new Int32Array(slots << ROW);
    counts.set(this.counts);
    this.counts = counts;
    const rests = new Int32Array(slots);
    rests.set(this.rests);
    this.rests = rests;
    const sums = new Float64Array(slots << ROW);
    sums.set(this.sums);
    this.sums = sums;
    const usual = new Float64Array(slots);
    usual.set(this.usual);
    this.usual = usual;
    const usualAt = new Uint32Array(slots);
    usualAt.set(this.usualAt);
    this.usualAt = usualAt;
    while (this.members.length < slots) {
      this.members.push(undefined);
      this.onlyPool.push(undefined);
    }
  }

  /** A row's life begins: all zero but its generation. */
  protected beginRow(slot: number): void {
    const row = slot << ROW;
    const generation = this.counts[row + GENERATION] as number;
    this.counts.fill(0, row, row + (1 << ROW));
    this.counts[row + GENERATION] = generation;
    this.counts[row + MEMBER] = NONE;
    this.rests[slot] = 0;
    this.usual[slot] = 0;
    this.usualAt[slot] = 0;
    this.sums.fill(0, row, row + (1 << ROW));
    this.sums[row + LATENCY] = Number.NaN;
  }

  /** A row's life ends: leases on it that are still open change nothing any more. */
  protected endRow(slot: number): void {
    const cell = (slot << ROW) + GENERATION;
    this.counts[cell] = (this.counts[cell] as number) + 1;
    this.setMembers(slot, undefined);
  }

  /** The server began anew: open leases are of before; the report count goes on, since they remember it. */
  protected restartRow(slot: number): void {
    const row = slot << ROW;
    this.settleLeases(slot, UNBOUNDED);
    this.sums[row + FAILURE] = 0;
    this.sums[row + FAILURE_TIME] = 0;
    this.usual[slot] = 0;
    this.sums[row + PROVEN] = 0;
    this.sums[row + PROVEN_BEFORE] = 0;
  }

  /** A report counts every lease picked so far as at most `bound` calls. Returns how many leases that are. */
  protected settleLeases(slot: number, bound: number): number {
    const { counts } = this;
    const row = slot << ROW;
    const old = (counts[row + LEASED_OLD] as number) + (counts[row + LEASED_YOUNG] as number);
    counts[row + LEASED_OLD] = old;
    counts[row + LEASED_YOUNG] = 0;
    counts[row + LEASED_BOUND] = bound;
    counts[row + REPORTS] = (counts[row + REPORTS] as number) + 1;
    this.sums[row + SERVED] = 0;
    return old;
  }

  protected prove(slot: number, calls: number): void {
    const cell = (slot << ROW) + PROVEN;
    this.sums[cell] = (this.sums[cell] as number) + calls;
  }

  generationOf(slot: number): number {
    return this.counts[(slot << ROW) + GENERATION] as number;
  }

  /** Reports and restarts of the row's life so far; wraps at 2^32. */
  reportsOf(slot: number): number {
    return (this.counts[(slot << ROW) + REPORTS] as number) >>> 0;
  }

  /** Calls that were begun in the row's life so far; wraps at 2^32. */
  picksOf(slot: number): number {
    return (this.counts[(slot << ROW) + PICKS] as number) >>> 0;
  }

  relayed(slot: number): number {
    return (this.counts[(slot << ROW) + RELAYED] as number) + (this.rests[slot] as number);
  }

  /** Open leases, whatever they count. */
  leased(slot: number): number {
    const row = slot << ROW;
    return (this.counts[row + LEASED_OLD] as number) + (this.counts[row + LEASED_YOUNG] as number);
  }

  /** Own calls in flight that count for the score. */
  own(slot: number): number {
    const { counts } = this;
    const row = slot << ROW;
    const old = Math.min(counts[row + LEASED_OLD] as number, counts[row + LEASED_BOUND] as number);
    return (counts[row + RELAYED] as number) + old + (counts[row + LEASED_YOUNG] as number);
  }

  /** Relayed calls that rest. They are in `relayed`, as reports count them too, and not in `own`. */
  resting(slot: number): number {
    return this.rests[slot] as number;
  }

  /** Mean age of relayed calls in flight that do not rest, ms; NaN where there is none. */
  meanAgeMs(slot: number, now: number): number {
    const count = this.counts[(slot << ROW) + RELAYED] as number;
    return count > 0 ? now - (this.sums[(slot << ROW) + START_SUM] as number) / count : Number.NaN;
  }

  /** EWMA of own latencies of served calls, ms; NaN: none. */
  latencyOf(slot: number): number {
    return this.sums[(slot << ROW) + LATENCY] as number;
  }

  /** Upper quartile of own latencies of served calls, ms; 0: none. */
  upperLatencyOf(slot: number): number {
    return this.sums[(slot << ROW) + QUARTILE] as number;
  }

  /** Own calls served since the last report. */
  servedSince(slot: number): number {
    return this.sums[(slot << ROW) + SERVED] as number;
  }

  /** A warm-up begins: proofs count from now on. */
  protected beginProof(slot: number): void {
    const row = slot << ROW;
    this.sums[row + PROVEN_BEFORE] = this.sums[row + PROVEN] as number;
  }

  /** Calls proven since the present warm-up began. */
  provenSince(slot: number): number {
    const row = slot << ROW;
    return (this.sums[row + PROVEN] as number) - (this.sums[row + PROVEN_BEFORE] as number);
  }

  /** f by own calls as it is now. */
  ownFailure(slot: number, now: number): number {
    this.ownFailureInto(this.cell, slot, now);
    return this.cell[0] as number;
  }

  /** The same into a cell: returned, it would be boxed where this is not inlined. */
  protected ownFailureInto(cell: Float64Array, slot: number, now: number): void {
    const row = slot << ROW;
    this.ageFailure(row, now);
    cell[0] = this.sums[row + FAILURE] as number;
  }

  /** Lets f decay in its cell up to now. */
  private ageFailure(row: number, now: number): void {
    const { sums } = this;
    const failure = sums[row + FAILURE] as number;
    if (failure === 0) return;
    const idleMs = now - (sums[row + FAILURE_TIME] as number);
    if (idleMs <= 0) return;
    const next = failure * Math.exp(-idleMs / SCORE.failureDecayMs);
    sums[row + FAILURE] = next < FORGOTTEN ? 0 : next;
    sums[row + FAILURE_TIME] = now;
  }

  join(slot: number, pool: RowListener, member: number): void {
    this.setMembers(slot, [...this.membersOf(slot), { pool, member }]);
  }

  leave(slot: number, pool: RowListener): void {
    this.setMembers(
      slot,
      this.membersOf(slot).filter(one => one.pool !== pool),
    );
  }

  membersOf(slot: number): readonly Membership[] {
    return this.members[slot] ?? NO_MEMBERS;
  }

  /** True where the row is in more than one pool. */
  isShared(slot: number): boolean {
    return this.counts[(slot << ROW) + MEMBER] === SEVERAL;
  }

  private setMembers(slot: number, members: Membership[] | undefined): void {
    const only = members?.length === 1 ? members[0] : undefined;
    this.members[slot] = members;
    this.onlyPool[slot] = only?.pool;
    this.counts[(slot << ROW) + MEMBER] = only?.member ?? ((members?.length ?? 0) === 0 ? NONE : SEVERAL);
  }

  /** A call begins. `start` is a lease's stamp; what `ended` needs to know is in the lease's row. */
  begin(slot: number, leases: LeaseTable, at: number): void {
    const { counts } = this;
    const row = slot << ROW;
    counts[row + PICKS] = (counts[row + PICKS] as number) + 1;
    leases.note(at, counts[row + GENERATION] as number, counts[row + REPORTS] as number);
    if (leases.kindAt(at) === LeaseKind.RELAYED) {
      counts[row + RELAYED] = (counts[row + RELAYED] as number) + 1;
      const sum = row + START_SUM;
      this.sums[sum] = (this.sums[sum] as number) + leases.startAt(at);
    } else {
      counts[row + LEASED_YOUNG] = (counts[row + LEASED_YOUNG] as number) + 1;
    }
  }

  /** A relayed call begins to rest, or is awake again. False, and nothing is changed, where its row has another life. */
  setResting(leases: LeaseTable, at: number, rests: boolean, now: number): boolean {
    const { counts, sums } = this;
    const slot = leases.slotAt(at);
    const row = slot << ROW;
    if (counts[row + GENERATION] !== leases.slotGenerationAt(at)) return false;
    this.rests[slot] = (this.rests[slot] as number) + (rests ? 1 : -1);
    const awake = (counts[row + RELAYED] as number) + (rests ? -1 : 1);
    counts[row + RELAYED] = awake;
    const sum = row + START_SUM;
    const start = leases.startAt(at);
    sums[sum] = awake === 0 ? 0 : (sums[sum] as number) + (rests ? -start : start);
    this.tell(slot, now, false, false);
    return true;
  }

  /**
   * A call ended. Moves the row and re-keys its server in every pool; false, and nothing is changed,
   * where the row has begun another life since the call did.
   */
  ended(leases: LeaseTable, at: number, now: number, outcome: Outcome, latencyMs: number): boolean {
    const { counts, sums } = this;
    const slot = leases.slotAt(at);
    const row = slot << ROW;
    if (counts[row + GENERATION] !== leases.slotGenerationAt(at)) return false;
    const kind = leases.kindAt(at);
    if (kind === LeaseKind.RELAYED) {
      const left = (counts[row + RELAYED] as number) - 1;
      counts[row + RELAYED] = left;
      const sum = row + START_SUM;
      sums[sum] = left === 0 ? 0 : (sums[sum] as number) - leases.startAt(at);
    } else if (kind === LeaseKind.RESTING) {
      this.rests[slot] = (this.rests[slot] as number) - 1;
    } else {
      const column = leases.slotReportsAt(at) === counts[row + REPORTS] ? LEASED_YOUNG : LEASED_OLD;
      counts[row + column] = (counts[row + column] as number) - 1;
    }
    let failureChanged = outcome === Outcome.FAILURE;
    if (outcome === Outcome.SUCCESS) {
      failureChanged = (sums[row + FAILURE] as number) > 0;
      this.succeeded(row, now, latencyMs);
    } else if (failureChanged) {
      this.failed(slot, now);
    }
    this.tell(slot, now, failureChanged, outcome === Outcome.FAILURE);
    return true;
  }

  private failed(slot: number, now: number): void {
    const { sums } = this;
    const row = slot << ROW;
    this.ageFailure(row, now);
    const failure = sums[row + FAILURE] as number;
    // Its decay by the calls between is made up for here, so that calls that are served have nothing to do with it.
    const picks = this.picksOf(slot);
    const calls = (picks - (this.usualAt[slot] as number)) >>> 0;
    const usual = (this.usual[slot] as number) * Math.exp(-SCORE.usualStep * calls);
    sums[row + FAILURE] = failure + failureStep(failure, usual) * (1 - failure);
    sums[row + FAILURE_TIME] = now;
    this.usual[slot] = usual + SCORE.usualStep * (1 - usual);
    this.usualAt[slot] = picks;
  }

  private succeeded(row: number, now: number, latencyMs: number): void {
    const { sums } = this;
    sums[row + SERVED] = (sums[row + SERVED] as number) + 1;
    sums[row + PROVEN] = (sums[row + PROVEN] as number) + 1;
    if ((sums[row + FAILURE] as number) > 0) {
      this.ageFailure(row, now);
      const next = (sums[row + FAILURE] as number) * (1 - SCORE.failureStep);
      sums[row + FAILURE] = next < FORGOTTEN ? 0 : next;
    }
    if (!(latencyMs >= 0 && latencyMs <= LOAD_LIMITS.latencyMs)) return;
    const present = sums[row + LATENCY] as number;
    // Two writes instead of a choice between a number given and one computed: V8 would box the latter.
    if (Number.isNaN(present)) {
      sums[row + LATENCY] = latencyMs;
    } else {
      const step = latencyMs > present ? SCORE.latencyUp : SCORE.latencyDown;
      sums[row + LATENCY] = present + step * (latencyMs - present);
    }
    // A quantile by stochastic approximation (Robbins and Monro), in steps of the logarithm; the first calls move it further.
    const quartile = sums[row + QUARTILE] as number;
    const calls = sums[row + PROVEN] as number;
    const move = calls * SCORE.quartileStep > 1 ? SCORE.quartileStep : 1 / calls;
    if (quartile === 0) sums[row + QUARTILE] = latencyMs;
    else if (latencyMs > quartile) sums[row + QUARTILE] = quartile * (1 + 0.75 * move);
    else sums[row + QUARTILE] = quartile * (1 - 0.25 * move);
  }

  private tell(slot: number, now: number, failureChanged: boolean, failed: boolean): void {
    const member = this.counts[(slot << ROW) + MEMBER] as number;
    if (member >= 0) {
      const pool = this.onlyPool[slot] as RowListener;
      if (failureChanged) pool.failureChanged(member, now, failed);
      pool.rekey(member);
      return;
    }
    const members = this.membersOf(slot);
    for (let i = 0; i < members.length; i++) {
      const one = members[i] as Membership;
      if (failureChanged) one.pool.failureChanged(one.member, now, failed);
      one.pool.rekey(one.member);
    }
  }
}
