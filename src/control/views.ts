/** What the registry and the load table know of a server, as messages of the API. */
import { ANY_SERVICE, type ServerState, type ServerView } from '../core/core.ts';
import type { Mesh } from '../core/mesh.ts';
import type { ServerStatus } from '../gen/heapmesh/v1/admin.ts';
import { type Server, type ServerLoad, ServerState as StateNumber } from '../gen/heapmesh/v1/server.ts';
import { durationOf } from '../grpc/duration.ts';
import type { Clock } from './clock.ts';

const STATE_NUMBERS: Readonly<Record<ServerState, StateNumber>> = {
  STANDBY: StateNumber.SERVER_STATE_STANDBY,
  WARMING: StateNumber.SERVER_STATE_WARMING,
  ACTIVE: StateNumber.SERVER_STATE_ACTIVE,
  DRAINING: StateNumber.SERVER_STATE_DRAINING,
  EJECTED: StateNumber.SERVER_STATE_EJECTED,
};

export function stateNumber(state: ServerState | undefined): StateNumber {
  return state === undefined ? StateNumber.SERVER_STATE_UNSPECIFIED : STATE_NUMBERS[state];
}

/** True where a server is in the pool of a service: it names it, or serves every service. */
export function serves(view: ServerView, service: string): boolean {
  const { services } = view.spec;
  return services.includes(service) || services.includes(ANY_SERVICE);
}

/** A server as callers of a service are to see it: what panic has the pool pick from takes calls, whatever health says. */
export function asPicked(mesh: Mesh, view: ServerView, service: string): ServerView {
  if (view.state !== 'EJECTED') return view;
  const picked = mesh.pool(service)?.picksFrom(mesh.slotOf(view.spec.id)) ?? false;
  return picked ? { ...view, state: 'ACTIVE' } : view;
}

/** Identity and state: what changes with the registry alone. */
export function identityOf(view: ServerView): Server {
  const { spec } = view;
  return {
    id: spec.id,
    address: spec.address,
    services: [...spec.services],
    weight: spec.weight,
    zone: spec.zone,
    labels: spec.labels,
    state: stateNumber(view.state),
    score: 0,
    utilization: 0,
    inFlight: 0,
    lastReportTime: undefined,
    maxConcurrency: spec.maxConcurrency,
  };
}

/** Calls in flight in all that this instance knows of: its own, and its estimate of the others'. */
export function inFlightOf(mesh: Mesh, slot: number, own: number): number {
  const others = mesh.loads.others[slot] as number;
  return Math.round(own + Math.max(0, others || 0));
}

/** Wall clock of the last report, ms since 1970; undefined where none came. */
export function reportTimeOf(mesh: Mesh, slot: number, clock: Clock): number | undefined {
  const age = clock.now() - (mesh.loads.reportTime[slot] as number);
  return age < Number.POSITIVE_INFINITY ? clock.wall() - age : undefined;
}

/** A server with all that changes by the moment; its score is that in the pool of `service`. */
function serverOf(mesh: Mesh, view: ServerView, service: string | undefined, clock: Clock): Server {
  const server = identityOf(view);
  const slot = mesh.slotOf(view.spec.id);
  if (slot < 0) return server;
  const score = mesh.pool(service ?? (view.spec.services[0] as string))?.scoreOf(slot);
  server.score = score !== undefined && Number.isFinite(score) ? score : 0;
  server.utilization = mesh.loads.utilization[slot] as number;
  server.inFlight = inFlightOf(mesh, slot, mesh.loads.own(slot));
  const time = reportTimeOf(mesh, slot, clock);
  server.lastReportTime = time === undefined ? undefined : new Date(time);
  return server;
}

/** Undefined where the server has never reported. NaN in `inFlight` is a report that did not tell. */
function loadOf(mesh: Mesh, id: string, slot: number, now: number): ServerLoad | undefined {
  const { loads } = mesh;
  const age = now - (loads.reportTime[slot] as number);
  if (!(age < Number.POSITIVE_INFINITY)) return undefined;
  const others = loads.othersMean[slot] as number;
  return {
    id,
    sequence: BigInt(loads.reportsOf(slot)),
    age: durationOf(age),
    inFlight: loads.reported[slot] as number,
    utilization: loads.utilization[slot] as number,
    capacity: loads.capacity[slot] as number,
    others: Math.max(others, 0),
    failure: loads.failureNow(slot, now),
    interval: durationOf(loads.intervalMs[slot] as number),
  };
}

export function statusOf(
  mesh: Mesh,
  view: ServerView,
  service: string | undefined,
  clock: Clock,
): ServerStatus {
  const slot = mesh.slotOf(view.spec.id);
  return {
    server: serverOf(mesh, view, service, clock),
    load: slot < 0 ? undefined : loadOf(mesh, view.spec.id, slot, clock.now()),
    stateCause: view.cause,
    stateTime: new Date(view.stateTime),
    sources: [...view.sources],
    relayed: slot < 0 ? 0 : mesh.loads.relayed(slot),
    leased: slot < 0 ? 0 : mesh.loads.leased(slot),
    pickedInPanic: slot >= 0 && view.state === 'EJECTED' && isPicked(mesh, view, slot),
  };
}

function isPicked(mesh: Mesh, { spec }: ServerView, slot: number): boolean {
  const everywhere = spec.services.includes(ANY_SERVICE);
  const pools = everywhere ? [...mesh.pools()] : spec.services.map(service => mesh.pool(service));
  return pools.some(pool => pool?.picksFrom(slot) === true);
}
