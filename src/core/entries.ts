/**
 * What the registry's list is made of. A proposal is what an instance wants; an entry is a proposal
 * that the log has given a position. Only the log gives positions, and only positions order anything.
 */
import type { DrainView, ServerSpec, Source } from './core.ts';

/**
 * What one instance has seen of a server. `warming` and `active` are its own, `ejected` is advice to
 * others. An ejected server warms up before it is active, and an active one warms up again only
 * after it was ejected; what says otherwise is refused.
 */
export interface Observation {
  readonly phase: 'warming' | 'active' | 'ejected';
  /** The last word of health checks; a standby that is not healthy is never activated. */
  readonly healthy: boolean;
  /** Made while the origin suspects itself: so for the origin, and no advice to others. */
  readonly doubtful?: boolean;
}

/** What shall follow once a draining server is empty or its time is over. */
export type AfterDrain = DrainView['afterwards'];

export type Body =
  /**
   * A source says that a server exists, or says it anew with other properties. Claims are kept by
   * source and origin, those of operators by source alone. One by `stream` lifts a drain by the
   * backend itself and the ejection by its origin; one by `operator` lifts a removal and all ejections.
   */
  | { readonly kind: 'claim'; readonly source: Source; readonly spec: ServerSpec }
  /** A source replaces all that it (from this origin) claimed before by this set; what is not in it has left. */
  | { readonly kind: 'replace'; readonly source: Source; readonly specs: readonly ServerSpec[] }
  /** A source takes its claim back: the server has `left`, or is `lost` (keeps its record as EJECTED until forgotten). */
  | { readonly kind: 'unclaim'; readonly source: Source; readonly id: string; readonly how: 'left' | 'lost' }
  /** Drops the record of a server that nobody claims. */
  | { readonly kind: 'forget'; readonly id: string }
  /**
   * Operator: gone, whoever claims it, until an operator adds or undrains it. Claims held at that time
   * stay beneath and are in force again then; new ones are refused.
   */
  | { readonly kind: 'remove'; readonly id: string }
  /**
   * Takes no new calls from now on. An operator's drain persists above the claims: a server that comes
   * back is still draining. The others end with the server's present life.
   */
  | {
      readonly kind: 'drain';
      readonly id: string;
      readonly by: DrainView['by'];
      readonly timeoutMs: number;
      readonly afterwards: AfterDrain;
    }
  /** Lifts every drain and a removal. */
  | { readonly kind: 'undrain'; readonly id: string }
  /**
   * A drain is over: the server is empty or its time is up. `remove` then means, for a backend's drain,
   * that the stream claim of the origin leaves; for scaling's, that all claims by `stream` and `command` leave.
   */
  | { readonly kind: 'drained'; readonly id: string }
  /** Operator's weight; 0 takes it back. */
  | { readonly kind: 'weight'; readonly id: string; readonly weight: number }
  /** A healthy standby joins. `failure` names what it answers: a second answer to it is refused. */
  | { readonly kind: 'activate'; readonly id: string; readonly failure?: string }
  /**
   * A failure is answered by a server that is yet to come under this id: whose entry is applied brings it. Refused
   * where it was answered before.
   */
  | { readonly kind: 'answer'; readonly failure: string; readonly id: string }
  /** What the origin has seen; filed under the origin. */
  | { readonly kind: 'observe'; readonly id: string; readonly observation: Observation }
  /** The origin serves, and where others reach it. Repeated, it says so anew. */
  | { readonly kind: 'join'; readonly control: string; readonly proxy: string }
  /** The origin ends. What it claimed stays: it may be back at once. */
  | { readonly kind: 'leave' }
  /**
   * An instance is gone and does not come back in this life: what it alone claimed is lost, and what it
   * saw of that is forgotten. Refused where it has begun a new life since `epoch`.
   */
  | { readonly kind: 'retire'; readonly instance: string; readonly epoch: number }
  /**
   * A pool of the origin chooses by another policy from now on. Changes nothing of what is known of servers:
   * it is told, as an event.
   */
  | { readonly kind: 'policy'; readonly service: string; readonly policy: string }
  /** A kind that this version does not know; `maySkip` says that ignoring it is safe. */
  | { readonly kind: 'unknown'; readonly name: string; readonly maySkip: boolean; readonly raw: unknown };

/** What must hold when the entry is applied; otherwise the entry is a recorded no-op. */
export type Precondition =
  /** The server is at this version; 0: there is no such server. */
  | { readonly kind: 'version'; readonly id: string; readonly version: number }
  /** Nobody claims the id from another address (a record that is lost does not count). */
  | { readonly kind: 'address'; readonly id: string; readonly address: string }
  /** The server is a healthy standby for the origin. */
  | { readonly kind: 'standby'; readonly id: string }
  /** No activation has answered this failure yet. */
  | { readonly kind: 'unanswered'; readonly failure: string }
  /** One that this version does not know; it does not hold. */
  | { readonly kind: 'unknown'; readonly name: string; readonly raw: unknown };

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
