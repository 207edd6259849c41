/**
 * What the registry's list is made of. A proposal is what an instance wants; an entry is a proposal
 * that the log has given a position. Only the log gives positions, and only positions order anything.
 */
import type { ServerSpec, Source } from './core.ts';

/** What one instance has seen of a server. `warming` and `active` are its own, `ejected` is advice to others. */
export interface Observation {
  readonly phase: 'warming' | 'active' | 'ejected';
  /** The last word of health checks; a standby that is not healthy is never activated. */
  readonly healthy: boolean;
}

/** What shall follow once a draining server is empty or its time is over. */
export type AfterDrain = 'stay' | 'remove' | 'standby';

export type Body =
  /** A source says that a server exists, or says it anew with other properties. */
  | { readonly kind: 'claim'; readonly source: Source; readonly spec: ServerSpec }
  /** A source replaces all that it (from this origin) claimed before by this set. */
  | { readonly kind: 'replace'; readonly source: Source; readonly specs: readonly ServerSpec[] }
  /** A source takes its claim back: the server has `left`, or is `lost` (keeps its record as EJECTED until forgotten). */
  | { readonly kind: 'unclaim'; readonly source: Source; readonly id: string; readonly how: 'left' | 'lost' }
  /** Drops the record of a server that nobody claims. */
  | { readonly kind: 'forget'; readonly id: string }
  /** Operator: gone, whoever claims it, until an operator adds or undrains it. */
  | { readonly kind: 'remove'; readonly id: string }
  /** Takes no new calls from now on. */
  | {
      readonly kind: 'drain';
      readonly id: string;
      readonly by: 'operator' | 'backend' | 'scaling';
      readonly timeoutMs: number;
      readonly then: AfterDrain;
    }
  /** Lifts a drain or a removal. */
  | { readonly kind: 'undrain'; readonly id: string }
  /** A drain is over: the server is empty or its time is up. */
  | { readonly kind: 'drained'; readonly id: string }
  /** Operator's weight; 0 takes it back. */
  | { readonly kind: 'weight'; readonly id: string; readonly weight: number }
  /** A standby joins. `failure` names what it answers, so that one failure is answered once. */
  | { readonly kind: 'activate'; readonly id: string; readonly failure?: string }
  /** What the origin has seen; filed under the origin. */
  | { readonly kind: 'observe'; readonly id: string; readonly observation: Observation }
  /** A kind that this version does not know; `maySkip` says that ignoring it is safe. */
  | { readonly kind: 'unknown'; readonly name: string; readonly maySkip: boolean; readonly raw: unknown };

/** What must hold when the entry is applied; otherwise the entry is a recorded no-op. */
export type Precondition =
  /** The record is at this version; 0: there is no such record. */
  | { readonly kind: 'version'; readonly id: string; readonly version: number }
  /** Nobody claims the id from another address (a record that is lost does not count). */
  | { readonly kind: 'address'; readonly id: string; readonly address: string }
  /** The server is a healthy standby for the origin. */
  | { readonly kind: 'standby'; readonly id: string }
  /** No activation has answered this failure yet. */
  | { readonly kind: 'unanswered'; readonly failure: string };

export interface Proposal {
  /** The instance that makes it. */
  readonly origin: string;
  /** Start of that instance; a later life of the same instance has a higher one. */
  readonly epoch: number;
  /** 1, 2, 3 ... in this origin and epoch. */
  readonly n: number;
  /** Wall clock, ms since 1970; for people. */
  readonly time: number;
  /** Why, in words for a person. */
  readonly cause: string;
  readonly preconditions?: readonly Precondition[];
  readonly body: Body;
}

export interface Entry {
  /** 1, 2, 3 ... in the log. */
  readonly position: number;
  readonly proposal: Proposal;
}
