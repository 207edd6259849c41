/**
 * How a pool chooses where it does not take its heap's root. A policy sees members by number and what the
 * load table knows of them; the heap goes on beneath, so that a change of policy loses nothing.
 */
import type { Outcome } from '../core.ts';
import type { Candidates } from './candidates.ts';

export interface Policy {
  /** The member for a call that begins now, one of `candidates`, which are not empty. */
  choose(candidates: Candidates, now: number): number;
  /** A member comes in, or begins a new life in this pool: what was known under its number is void. */
  entered?(member: number, slot: number, now: number): void;
  /** A report of a member came; the load table has it already. */
  reported?(member: number, slot: number, now: number): void;
  /** A call of this pool ended; the load table has counted it already. `latencyMs` < 0 or NaN is unknown. */
  ended?(member: number, now: number, outcome: Outcome, latencyMs: number): void;
}
