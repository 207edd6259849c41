/**
 * The vocabulary of the core: what a server is, what a source claims of it, what a pick returns.
 *
 * Everything in this folder is pure: no clock, timer, randomness, socket or environment. Times are
 * handed in: `now` is a monotonic clock in milliseconds (fractions allowed), `time` is the wall clock
 * in milliseconds since 1970, kept for people and never used to order anything.
 */

/** The service name that stands for every service. */
export const ANY_SERVICE = '*';

/** States of a server as one instance sees it. A server that is gone has no state. */
export type ServerState = 'STANDBY' | 'WARMING' | 'ACTIVE' | 'DRAINING' | 'EJECTED';

/** What a source claims of a backend. Already validated: see `control/validate.ts` and `config/`. */
export interface ServerSpec {
  /** Unique; the address where the source gives none. */
  readonly id: string;
  /** `host:port`, with brackets around an IPv6 host. */
  readonly address: string;
  /** Fully qualified gRPC service names, or `*` for every service. */
  readonly services: readonly string[];
  /** Multiplies the learned capacity; > 0. */
  readonly weight: number;
  /** Empty is no zone. */
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Most calls in flight at once; 0 is no limit. */
  readonly maxConcurrency: number;
  /** Waits outside the heap until it is activated. */
  readonly standby: boolean;
}

/** Who can claim that a backend exists. */
export const SOURCES = ['operator', 'stream', 'command', 'config', 'dns'] as const;
export type Source = (typeof SOURCES)[number];

/** A server as this instance sees it: the facts, and the state that follows from them and its own observations. */
export interface ServerView {
  /** What is in force: the strongest claim, with the operators' overrides applied. */
  readonly spec: ServerSpec;
  readonly state: ServerState;
  /** Why it is in this state, in words for a person. */
  readonly cause: string;
  /** Wall clock of the change into this state, ms since 1970. */
  readonly stateTime: number;
  /** Who claims it, without duplicates, strongest first. */
  readonly sources: readonly Source[];
  /** False where the last health observation of this instance was bad, or where nobody claims the server any more. */
  readonly healthy: boolean;
  /** True while an operator's weight is in force. */
  readonly weightOverridden: boolean;
  /**
   * Grows with every change of the facts, not with observations; a precondition can name it. Starts
   * again at 1 where a server comes back after its record was dropped.
   */
  readonly version: number;
  /** The drain in force; an operator's before any other. Absent where the server is not DRAINING. */
  readonly drain?: DrainView;
  /** Other instances that have ejected it. Absent where there are none. */
  readonly advice?: readonly Advice[];
}

export interface DrainView {
  readonly by: 'operator' | 'backend' | 'scaling';
  /** How long calls in flight may take, ms; what starts that clock is the change into DRAINING. */
  readonly timeoutMs: number;
  /** What follows once it is empty or the time is over. */
  readonly afterwards: 'stay' | 'remove' | 'standby';
  /** True once that has been so, where `afterwards` is `stay`. */
  readonly empty: boolean;
}

/** What another instance has seen; for people, it ejects nothing here. */
export interface Advice {
  readonly instanceId: string;
  readonly cause: string;
  /** Wall clock, ms since 1970. */
  readonly time: number;
}

/** Why a pick has no lease. Values are negative, so that a pick is one number: a lease handle or a reason. */
export const PickFailure = {
  /** The pool has no server at all. */
  EMPTY: -1,
  /** Every eligible server is at its `maxConcurrency`. */
  ALL_FULL: -2,
  /** Servers are known, but none is WARMING or ACTIVE. */
  NONE_HEALTHY: -3,
  /** Every eligible server was excluded by the caller. */
  EXCLUDED: -4,
} as const;
export type PickFailure = (typeof PickFailure)[keyof typeof PickFailure];

/** How a call ended, as far as load is concerned. */
export const Outcome = {
  /** The backend served it, whatever it answered to the caller's mistakes. */
  SUCCESS: 0,
  /** The backend failed it: counts against the backend's score. */
  FAILURE: 1,
  /** Says nothing of the backend: expired lease, call cancelled by its caller. */
  NEUTRAL: 2,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** One load report, as numbers. NaN is "not said" in every field. */
export interface LoadSample {
  /** Calls in flight in all, as the backend counts them. */
  inFlight: number;
  /** Fraction of what the process may use; 0 or NaN is unknown. */
  utilization: number;
  /** Calls a second that ended, failed ones included. */
  rps: number;
  /** Failed calls a second. */
  eps: number;
  /** What the rates and the utilization cover, ms; NaN: the time since the last report. */
  windowMs: number;
}
