/**
 * What calls came to, a row a server: what outlier rules judge by. It lies beside the load table, since
 * a process that has no such rules (a caller's) does not pay for it.
 */
import { Outcome } from './core.ts';

/** Shift of a slot to its row, and the cells of a row. */
const ROW = 2;
const SERVED = 0;
const FAILED = 1;
/** Failures since the last success. */
const STREAK = 2;
/** Streak at which the server is due; 0 is never. */
const LIMIT = 3;

/** A streak from which on chance is the less likely reason. */
const DOUBTED = 2;

export class OutcomeCounts {
  /** Slots that have failed twice in a row, and may have served one since. */
  readonly doubted = new Set<number>();
  /** Slots whose streak has reached its limit since they were last taken, in that order. */
  private due: number[] = [];
  private cells = new Int32Array(0);
  private times = new Float64Array(0);

  /** A server begins with nothing counted. @param streakLimit failures in a row that make it due; 0: none do */
  begin(slot: number, streakLimit: number): void {
    this.doubted.delete(slot);
    if (slot >= this.times.length) this.grow(slot + 1);
    this.reset(slot);
    this.cells[(slot << ROW) + STREAK] = 0;
    this.times[slot] = Number.NEGATIVE_INFINITY;
    this.limit(slot, streakLimit);
  }

  limit(slot: number, streakLimit: number): void {
    const row = slot << ROW;
    this.cells[row + LIMIT] = streakLimit;
    // A streak that is past a limit would never be equal to it.
    if ((this.cells[row + STREAK] as number) >= streakLimit) this.cells[row + STREAK] = 0;
  }

  /** A call has ended; on the path of every call. */
  count(slot: number, outcome: Outcome, now: number): void {
    const { cells } = this;
    const row = slot << ROW;
    if (outcome === Outcome.SUCCESS) {
      cells[row + SERVED] = (cells[row + SERVED] as number) + 1;
      cells[row + STREAK] = 0;
      this.times[slot] = now;
    } else if (outcome === Outcome.FAILURE) {
      cells[row + FAILED] = (cells[row + FAILED] as number) + 1;
      const streak = (cells[row + STREAK] as number) + 1;
      cells[row + STREAK] = streak;
      this.times[slot] = now;
      if (streak === DOUBTED) this.doubted.add(slot);
      if (streak === cells[row + LIMIT]) this.due.push(slot);
    }
  }

  served(slot: number): number {
    return this.cells[(slot << ROW) + SERVED] as number;
  }

  failed(slot: number): number {
    return this.cells[(slot << ROW) + FAILED] as number;
  }

  streak(slot: number): number {
    return this.cells[(slot << ROW) + STREAK] as number;
  }

  /** When a call last ended by an answer, good or bad, ms; −Infinity: never. */
  answeredAt(slot: number): number {
    return this.times[slot] as number;
  }

  /** A new interval begins. */
  reset(slot: number): void {
    const row = slot << ROW;
    this.cells[row + SERVED] = 0;
    this.cells[row + FAILED] = 0;
  }

  /** Forgets failures in a row: for a server that starts anew. */
  clearStreak(slot: number): void {
    this.doubted.delete(slot);
    this.cells[(slot << ROW) + STREAK] = 0;
  }

  takeDue(): readonly number[] {
    const { due } = this;
    if (due.length > 0) this.due = [];
    return due;
  }

  private grow(least: number): void {
    const size = Math.max(16, this.times.length * 2, least);
    const cells = new Int32Array(size << ROW);
    cells.set(this.cells);
    this.cells = cells;
    const times = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
    times.set(this.times);
    this.times = times;
  }
}
