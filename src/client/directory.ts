/**
 * The servers of one service as the balancer streams them: who they are, what state they are in. Kept
 * while no balancer is there, caught up from the snapshot of one that is back. Shared by all channels
 * of the process with the same target and options; loads go on to the table.
 */
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { ServerSpec, ServerState, ServerView } from '../core/core.ts';
import { CALLER_LIMITS } from '../core/limits.ts';
import type { WatchServersResponse } from '../gen/heapmesh/v1/lookaside.ts';
import { type Server, ServerState as WireState } from '../gen/heapmesh/v1/server.ts';
import { durationOf } from '../grpc/duration.ts';
import type { Endpoint, GrpcJs } from './grpc.ts';
import { type CallerTable, type Row, sharedTable } from './table.ts';
import { parseAddress, type WatchTarget } from './target.ts';
import { Watch } from './watch.ts';

/** One server of the list. */
export interface Known {
  readonly row: Row;
  readonly host: string;
  readonly port: number;
  /** As pools take it. */
  readonly view: ServerView;
  /** As the balancer told it. */
  readonly told: ServerState;
  /** False after a snapshot that did not name it: it is kept for a while, as long as its connection stands. */
  confirmed: boolean;
}

export interface DirectoryListener {
  /** New, or something of it changed; a new address comes as `removed` and `changed`. */
  changed(server: Known): void;
  removed(server: Known): void;
  /** A message was taken in, or the last round over the balancers failed. */
  settled(): void;
}

const STATES = new Map<number, ServerState>([
  [WireState.SERVER_STATE_STANDBY, 'STANDBY'],
  [WireState.SERVER_STATE_WARMING, 'WARMING'],
  [WireState.SERVER_STATE_ACTIVE, 'ACTIVE'],
  [WireState.SERVER_STATE_DRAINING, 'DRAINING'],
  [WireState.SERVER_STATE_EJECTED, 'EJECTED'],
]);

export class Directory {
  readonly service: string;
  readonly table: CallerTable;
  /** True once a list came. */
  listed = false;
  /** Why there is no list, or no fresh one; empty while a balancer serves it. */
  failure = '';
  /** The balancer that the list came from last. */
  balancer = '';

  readonly #target: WatchTarget;
  readonly #servers = new Map<string, Known>();
  /** By server id: sequence of the last load on this stream. */
  readonly #sequences = new Map<string, bigint>();
  readonly #listeners = new Set<DirectoryListener>();
  readonly #watch: Watch;
  readonly #giveBack: () => void;
  readonly #stopWarm: () => void;
  #instanceId = '';
  #grace: NodeJS.Timeout | undefined;

  constructor(
    grpc: GrpcJs,
    target: WatchTarget,
    credentials: ChannelCredentials,
    table = sharedTable(target.balancers),
  ) {
    this.#target = target;
    this.service = target.service;
    this.table = table.table;
    this.#giveBack = table.giveBack;
    this.#stopWarm = this.table.onWarm(row => this.#warmed(row));
    const { service, zone, maxServers, clientId, minIntervalMs } = target;
    this.#watch = new Watch({
      grpc,
      balancers: target.balancers,
      credentials,
      request: {
        service,
        zone,
        maxServers,
        clientId,
        minInterval: minIntervalMs === undefined ? undefined : durationOf(minIntervalMs),
      },
      random: Math.random,
      onMessage: (message, balancer) => this.#take(message, balancer),
      onFailure: why => {
        this.failure = why;
        this.#settled();
      },
    });
  }

  servers(): Iterable<Known> {
    return this.#servers.values();
  }

  get size(): number {
    return this.#servers.size;
  }

  /** Addresses of the servers that take calls, for policies that are not ours. */
  endpoints(): Endpoint[] {
    const endpoints: Endpoint[] = [];
    for (const { host, port, view } of this.#servers.values()) {
      if (isPickable(view.state)) endpoints.push({ addresses: [{ host, port }] });
    }
    return endpoints;
  }

  listen(listener: DirectoryListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#watch.close();
    clearTimeout(this.#grace);
    this.#stopWarm();
    for (const server of [...this.#servers.values()]) this.#remove(server);
    this.#giveBack();
  }

  #take(message: WatchServersResponse, balancer: string): void {
    if (message.snapshot) this.#doubt();
    this.listed = true;
    this.failure = '';
    this.balancer = balancer;
    this.#instanceId = message.instanceId;
    if (message.controlAddresses.length > 0) this.#watch.learn(message.controlAddresses);
    if (message.balancers > 0) this.table.balancers = message.balancers;
    for (const server of message.upserted) this.#put(server);
    for (const id of message.removedIds) {
      const server = this.#servers.get(id);
      if (server !== undefined) this.#remove(server);
    }
    for (const load of message.loads) {
      const row = this.#servers.get(load.id)?.row;
      if (row === undefined) continue;
      const last = this.#sequences.get(load.id) ?? 0n;
      this.#sequences.set(load.id, load.sequence);
      const begun = load.sequence > 0n && load.sequence < last;
      this.table.adopt(row, load, this.#instanceId, this.#target.minIntervalMs ?? 0, begun);
    }
    this.#settled();
  }

  /** A new list begins; it may come in several messages, and from a balancer that does not know all yet. */
  #doubt(): void {
    this.#sequences.clear();
    clearTimeout(this.#grace);
    this.#grace = undefined;
    if (this.#servers.size === 0) return;
    for (const server of this.#servers.values()) server.confirmed = false;
    this.#grace = setTimeout(() => {
      for (const server of [...this.#servers.values()]) if (!server.confirmed) this.#remove(server);
      this.#settled();
    }, CALLER_LIMITS.unconfirmedMs).unref();
  }

  #put(server: Server): void {
    const address = parseAddress(server.address);
    // What a balancer should not have sent is no reason to lose the rest of the list.
    if (address === undefined || server.id === '') return;
    let before = this.#servers.get(server.id);
    if (before !== undefined && (before.host !== address.host || before.port !== address.port)) {
      this.#remove(before);
      before = undefined;
    }
    const row = before?.row ?? this.table.hold(server.id);
    const told = STATES.get(server.state) ?? 'EJECTED';
    const spec = specOf(server);
    this.table.describe(row, spec.weight, spec.maxConcurrency);
    if (told !== 'WARMING') this.table.endWarmUp(row);
    // Another list may have seen this warm-up begin, and end.
    else if (before === undefined ? row.holders === 1 : before.told !== 'WARMING')
      this.table.beginWarmUp(row);
    this.#set({ row, ...address, told, view: viewOf(spec, effective(told, row)), confirmed: true });
  }

  #warmed(row: Row): void {
    const server = this.#servers.get(row.id);
    if (server === undefined) return;
    const state = effective(server.told, row);
    if (state !== server.view.state) this.#set({ ...server, view: viewOf(server.view.spec, state) });
  }

  #set(server: Known): void {
    this.#servers.set(server.row.id, server);
    for (const listener of this.#listeners) listener.changed(server);
  }

  #remove(server: Known): void {
    this.#servers.delete(server.row.id);
    this.#sequences.delete(server.row.id);
    for (const listener of this.#listeners) listener.removed(server);
    this.table.drop(server.row);
  }

  #settled(): void {
    for (const listener of this.#listeners) listener.settled();
  }
}

export function isPickable(state: ServerState): boolean {
  return state === 'WARMING' || state === 'ACTIVE';
}

/** The balancer's word, but a server that this caller has proved by its own calls is warm. */
function effective(told: ServerState, row: Row): ServerState {
  return told === 'WARMING' && !row.warming ? 'ACTIVE' : told;
}

function specOf(server: Server): ServerSpec {
  const { id, address, services, zone, labels, maxConcurrency, state } = server;
  const weight = server.weight > 0 ? server.weight : 1;
  const standby = state === WireState.SERVER_STATE_STANDBY;
  return { id, address, services, weight, zone, labels, maxConcurrency, standby };
}

function viewOf(spec: ServerSpec, state: ServerState): ServerView {
  const healthy = state !== 'EJECTED';
  const cause = 'as the balancer says';
  return { spec, state, cause, stateTime: 0, sources: [], healthy, weightOverridden: false, version: 1 };
}

interface Shared {
  readonly directory: Directory;
  readonly credentials: ChannelCredentials;
  readonly key: string;
  holders: number;
}

const directories: Shared[] = [];

/** The process's list for this target; `giveBack` when it is needed no more. */
export function sharedDirectory(
  grpc: GrpcJs,
  target: WatchTarget,
  credentials: ChannelCredentials,
): { directory: Directory; giveBack: () => void } {
  const key = JSON.stringify(target);
  let shared = directories.find(one => one.key === key && sameCredentials(one.credentials, credentials));
  if (shared === undefined) {
    shared = { directory: new Directory(grpc, target, credentials), credentials, key, holders: 0 };
    directories.push(shared);
  }
  const held = shared;
  held.holders++;
  return {
    directory: held.directory,
    giveBack: () => {
      if (--held.holders > 0) return;
      directories.splice(directories.indexOf(held), 1);
      held.directory.close();
    },
  };
}

/** Plain text is plain text, whichever copy of grpc-js made it. */
function sameCredentials(a: ChannelCredentials, b: ChannelCredentials): boolean {
  return a._isSecure() || b._isSecure() ? a._equals(b) : true;
}
