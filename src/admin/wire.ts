/**
 * What the admin port and the console say to each other: types alone, and the order of columns. It is
 * also what other programs may read: `docs/guides/console.md`.
 *
 * `GET /api/stream?service=SERVICE&zone=ZONE` is one event stream: `hello` first, then `update` about once a second with what
 * has changed since the one before. A reader that is slow gets fewer updates, each with the newest state.
 */
import type { ServerState } from '../core/core.ts';

/** The first message of a stream. */
export interface Hello {
  readonly instance: string;
  readonly zone: string;
  readonly version: string;
  /** Of the console's files; another one than the page's own means that there is a newer page. */
  readonly build: string;
  /** Start of the balancer, wall clock, ms: another one than before means that it began anew. */
  readonly epoch: number;
  /** Wall clock of the balancer, ms. */
  readonly now: number;
  readonly addresses: { readonly proxy: string; readonly control: string };
}

/** What has changed. A part that is left out has not. */
export interface Update {
  /** Wall clock of the balancer, ms. */
  readonly time: number;
  /** More is on its way at once: this is one part of a larger change. */
  readonly more?: true;
  /** What was told before is void: too much has changed since. */
  readonly reset?: true;
  /** Rows that are there no more; before `servers` and `loads`, since their numbers are used again. */
  readonly gone?: readonly number[];
  /** Rows that are new or have changed. */
  readonly servers?: readonly ServerInfo[];
  /** `[row, ...LOAD_COLUMNS]`; null is unknown. */
  readonly loads?: readonly (readonly (number | null)[])[];
  readonly heap?: Heap;
  readonly pools?: readonly PoolInfo[];
  /** Services of pools that are no more. */
  readonly poolsGone?: readonly string[];
  /** Oldest first. */
  readonly events?: readonly EventInfo[];
  /** Slow and failed calls that ended since, oldest first. */
  readonly calls?: readonly CallInfo[];
  readonly totals?: Totals;
  readonly settings?: Settings;
}

export interface Settings {
  /** Whether servers may be changed from here. */
  readonly writes: boolean;
  /** With `{traceId}`; null: none is set. */
  readonly traceLink: string | null;
  /** Time in which each row of `loads` that changes is told of again, ms: of a large mesh some at a time. */
  readonly loadsMs: number;
}

export interface ServerInfo {
  /** Number of its row, for `loads` and `heap`. */
  readonly row: number;
  readonly id: string;
  readonly address: string;
  readonly services: readonly string[];
  readonly zone: string;
  readonly weight: number;
  /** True while an operator's weight is in force. */
  readonly weightOverridden: boolean;
  /** 0 is no limit. */
  readonly maxConcurrency: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: ServerState;
  readonly cause: string;
  /** Wall clock of the change into the state, ms. */
  readonly stateTime: number;
  readonly sources: readonly string[];
  readonly healthy: boolean;
  readonly drain: { readonly by: string; readonly timeoutMs: number; readonly afterwards: string } | null;
  /** Instances that have ejected it, and why. */
  readonly advice: readonly { readonly instanceId: string; readonly cause: string }[];
}

/**
 * Load of a server, as its score has it. The score is that in the pool that is looked at, else in the
 * first pool of the server.
 */
export const LOAD_COLUMNS = [
  /** A `Place`. */
  'place',
  /** Expected wait, ms. */
  'score',
  /** Own calls in flight: relayed ones, and open leases. */
  'relayed',
  'leased',
  /** What counts of both for the score. */
  'own',
  /** Calls of others in flight, estimated. */
  'others',
  /** Calls a second at utilization 1, times weight. */
  'capacity',
  /** Factor for a late report; 1 is none. */
  'stale',
  /** Share of failed calls, and what it costs, ms. */
  'failure',
  'penalty',
  /** Of what was reported: a fraction, calls in flight, when (ms since `Hello.epoch`), how often (ms). */
  'utilization',
  'reported',
  'reportTime',
  'interval',
  /** Calls a second, as it reported them: of all its callers. */
  'reportedRps',
  /** From the history: calls a second, failed ones, and times of calls in ms. */
  'rps',
  'errors',
  'p50',
  'p99',
] as const;
export type LoadColumn = (typeof LOAD_COLUMNS)[number];

/** Where a server stands in its pool. */
export const Place = {
  /** In no order: its state forbids it, or it is at its `maxConcurrency`. */
  OUT: 0,
  /** In the heap by its score. */
  HEAP: 1,
  /** Warming up, and at its cap. */
  CAPPED: 2,
  /** A newcomer: at the root until its first served call. */
  NEWCOMER: 3,
} as const;
export type Place = (typeof Place)[keyof typeof Place];

/** The heap of the pool that is looked at, in the order of its array. */
export interface Heap {
  readonly service: string;
  /** Each zone has a heap; this is the one looked at, by default that of the pool's root. */
  readonly zone: string;
  readonly zones: readonly string[];
  readonly arity: number;
  /** Of the whole heap; `nodes` are the first of it. */
  readonly size: number;
  /** Rows, root first. */
  readonly nodes: readonly number[];
}

export interface PoolInfo {
  readonly service: string;
  readonly active: number;
  readonly warming: number;
  readonly standby: number;
  readonly draining: number;
  readonly ejected: number;
  /** Of the last two seconds; null is unknown. */
  readonly rps: number | null;
  readonly errors: number | null;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly inFlight: number | null;
  readonly queue: number | null;
  readonly utilization: number | null;
}

export interface EventInfo {
  readonly position: number;
  readonly instanceId: string;
  readonly time: number;
  readonly kind: string;
  readonly serverId: string;
  readonly state: ServerState | null;
  readonly cause: string;
}

/** A call that failed, or that was slow. */
export interface CallInfo {
  /** Grows by one a call. */
  readonly n: number;
  /** Wall clock of its end, ms. */
  readonly time: number;
  readonly path: string;
  /** Empty where none was picked. */
  readonly serverId: string;
  readonly status: string;
  readonly message: string;
  readonly durationMs: number;
  /** What it waited for a stream, ms. */
  readonly waitedMs: number;
  readonly attempts: number;
  /** Empty where it was not traced. */
  readonly traceId: string;
  readonly why: 'failed' | 'slow';
}

export interface Totals {
  /** Servers by state, over all pools. */
  readonly servers: Readonly<Record<ServerState, number>>;
  /** Connections of callers, calls in flight through the proxy, backends with report streams, watching callers. */
  readonly connections: number;
  readonly calls: number;
  readonly reporters: number;
  readonly watches: number;
  /** Position in the list of changes. */
  readonly position: number;
}

/** `GET /api/history?scope=&key=&span=&names=`: points in time, oldest first; null is unknown. */
export interface HistoryPoints {
  readonly stepMs: number;
  readonly times: readonly number[];
  readonly values: Readonly<Record<string, readonly (number | null)[]>>;
}

/** `GET /api/connections`. */
export interface Connections {
  readonly callers: readonly CallerInfo[];
  readonly callersInAll: number;
  readonly upstreams: readonly UpstreamInfo[];
  readonly upstreamsInAll: number;
  /** Calls that are open longest. */
  readonly calls: readonly OpenCall[];
  readonly callsInAll: number;
}

export interface CallerInfo {
  readonly address: string;
  readonly ageMs: number;
  readonly streams: number;
  readonly draining: boolean;
}

export interface UpstreamInfo {
  readonly serverId: string;
  readonly address: string;
  readonly ageMs: number;
  readonly state: 'connecting' | 'open' | 'silent' | 'leaving';
  readonly streams: number;
  /** Most streams that the backend allows; null: it names no limit. */
  readonly streamLimit: number | null;
  /** Calls that wait for a stream of any connection to that backend. */
  readonly waiting: number;
}

export interface OpenCall {
  /** Its number among those that are open; another call's once it is over. */
  readonly n: number;
  readonly path: string;
  readonly serverId: string;
  readonly ageMs: number;
  /** It has no stream of a backend yet, or no more. */
  readonly waiting: boolean;
  readonly requestMessages: number;
  readonly responseMessages: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}
