/** A server as the commands print it. */
import type { ServerStatus } from '../gen/heapmesh/v1/admin.ts';
import { ServerState } from '../gen/heapmesh/v1/server.ts';
import { millisOf } from '../grpc/duration.ts';
import type { Style } from './render/style.ts';

/** The states by the names that people type. */
export const STATES = ['STANDBY', 'WARMING', 'ACTIVE', 'DRAINING', 'EJECTED'] as const;
export type StateName = (typeof STATES)[number];

/** What `-o json` prints. null is unknown. Times of day are ISO 8601. */
export interface ServerView {
  readonly id: string;
  readonly address: string;
  readonly services: readonly string[];
  readonly state: StateName | 'UNKNOWN';
  readonly cause: string;
  /** It is EJECTED and gets calls all the same: its pool is in panic. */
  readonly pickedInPanic: boolean;
  readonly stateTime: string | null;
  readonly weight: number;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  /** 0 is no limit. */
  readonly maxConcurrency: number;
  readonly sources: readonly string[];
  /** Lower is picked first. */
  readonly score: number;
  /** Fraction of what the process may use. */
  readonly utilization: number | null;
  readonly inFlight: number;
  /** Calls that this instance relays, and leases of picks that are open. */
  readonly relayed: number;
  readonly leased: number;
  /** Calls a second at utilization 1, learned. */
  readonly capacity: number | null;
  /** Capacity times utilization. */
  readonly estimatedRps: number | null;
  /** Share of failed calls, decayed. */
  readonly failure: number;
  readonly reportAgeMs: number | null;
  readonly reportIntervalMs: number | null;
}

const known = (value: number | undefined) => (value === undefined || value === 0 ? null : value);

export function stateName(state: ServerState): StateName | 'UNKNOWN' {
  return STATES.find(name => ServerState[`SERVER_STATE_${name}`] === state) ?? 'UNKNOWN';
}

export function stateValue(name: StateName): ServerState {
  return ServerState[`SERVER_STATE_${name}`];
}

export function viewServer(status: ServerStatus): ServerView {
  const { server, load } = status;
  const utilization = known(server?.utilization);
  const capacity = known(load?.capacity);
  return {
    id: server?.id ?? '',
    address: server?.address ?? '',
    services: server?.services ?? [],
    state: stateName(server?.state ?? ServerState.SERVER_STATE_UNSPECIFIED),
    cause: status.stateCause,
    pickedInPanic: status.pickedInPanic,
    stateTime: status.stateTime?.toISOString() ?? null,
    weight: known(server?.weight) ?? 1,
    zone: server?.zone ?? '',
    labels: server?.labels ?? {},
    maxConcurrency: server?.maxConcurrency ?? 0,
    sources: status.sources,
    score: server?.score ?? 0,
    utilization,
    inFlight: server?.inFlight ?? 0,
    relayed: status.relayed,
    leased: status.leased,
    capacity,
    estimatedRps: capacity === null || utilization === null ? null : capacity * utilization,
    failure: load?.failure ?? 0,
    reportAgeMs: load?.age === undefined ? null : millisOf(load.age),
    reportIntervalMs: known(millisOf(load?.interval)),
  };
}

/** Whether it stands in a heap, so that its score means something. */
export function isPickable(view: ServerView): boolean {
  return view.state === 'ACTIVE' || view.state === 'WARMING';
}

/** The state for a table. */
export function stateText({ state, pickedInPanic }: ServerView): string {
  return pickedInPanic ? `${state} (panic)` : state;
}

export function stateStyle(state: ServerView['state']): Style {
  switch (state) {
    case 'ACTIVE':
      return 'green';
    case 'WARMING':
      return 'cyan';
    case 'EJECTED':
      return 'red';
    case 'DRAINING':
      return 'yellow';
    default:
      return 'dim';
  }
}

/** `server-9` before `server-10`. */
const IN_ORDER = new Intl.Collator('en', { numeric: true });

/** In the order of picks: those in a heap by score, then the others by state and id. */
export function byScore(a: ServerView, b: ServerView): number {
  if (isPickable(a) !== isPickable(b)) return isPickable(a) ? -1 : 1;
  if (isPickable(a) && a.score !== b.score) return a.score - b.score;
  return a.state === b.state ? IN_ORDER.compare(a.id, b.id) : a.state.localeCompare(b.state);
}
