/**
 * WatchServers: all watches, and when they are served. Changes of identity and state go out at once,
 * loads in rounds. One clock ticks for all; a watch has its rounds at every n-th tick, and watches of
 * one interval are spread over the ticks in between.
 */
import type { ServerView } from '../core/core.ts';
import { CONTROL } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { WatchServersRequest } from '../gen/heapmesh/v1/lookaside.ts';
import { Status } from '../grpc/status.ts';
import { type Authorize, demand } from './authorize.ts';
import type { Clock } from './clock.ts';
import type { ControlCounters } from './counters.ts';
import { serverStream } from './methods.ts';
import { type Method, type Peer, RpcError, type Sink } from './rpc.ts';
import { Subset } from './subset.ts';
import { validWatch } from './validate.ts';
import { Watch } from './watch.ts';
import type { Balancers } from './watch-encode.ts';
import { WatchedService } from './watched-service.ts';

export interface WatchesOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly authorize: Authorize;
  readonly counters: ControlCounters;
  readonly instanceId: string;
  /** Control addresses of the balancers that serve, this one included. */
  readonly instances: () => readonly string[];
  readonly defaultIntervalMs: () => number;
}

interface Followed {
  readonly service: WatchedService;
  readonly watches: Set<Watch>;
}

/** Between two rounds of changes, ms: the first goes out at once, a storm of them together. */
const LEAST_GAP_MS = 5;
const MOST_GAP_MS = 100;
/** What one message costs, about; changes take at most half of the process's time. */
const GAP_PER_WATCH_MS = 0.04;

export class Watches {
  private readonly options: WatchesOptions;
  private readonly instanceId: Uint8Array;
  private readonly followed = new Map<string, Followed>();
  private readonly open = new Map<Watch, Sink>();
  private readonly dirty = new Set<Followed>();
  private addresses: readonly Uint8Array[] | undefined;
  private addressesVersion = 1;
  private told: Balancers = { count: 0, addresses: [], version: 0 };
  private tickCount = 0;
  private nextPhase = 0;
  private lastFlush = Number.NEGATIVE_INFINITY;
  private callOffTick: (() => void) | undefined;
  private callOffFlush: (() => void) | undefined;

  constructor(options: WatchesOptions) {
    this.options = options;
    this.instanceId = Buffer.from(options.instanceId);
  }

  get size(): number {
    return this.open.size;
  }

  method(): Method {
    const path = '/heapmesh.v1.LookasideService/WatchServers';
    return serverStream(path, WatchServersRequest, (request, peer, sink) => this.start(request, peer, sink));
  }

  /** A server's record changed: its watchers learn of it with the next round of changes. */
  changed(id: string, before: ServerView | undefined, after: ServerView | undefined): void {
    if (this.followed.size === 0) return;
    for (const one of this.followedBy(before, after)) {
      if (one.service.change(id, after)) this.markDirty(one);
    }
  }

  /** The health of a pool is ignored from now on, or heeded again. */
  panicChanged(service: string): void {
    for (const one of this.followed.values()) {
      if (this.options.mesh.pool(one.service.name)?.service !== service) continue;
      if (one.service.panicChanged()) this.markDirty(one);
    }
  }

  /** Instances came or went: every watcher is told. */
  instancesChanged(): void {
    this.addresses = undefined;
    this.addressesVersion++;
    this.tellMesh();
    for (const one of this.followed.values()) this.markDirty(one);
  }

  /** Ends all watches: their callers go on with another balancer. */
  stop(): void {
    for (const [watch, sink] of [...this.open]) {
      this.drop(watch);
      sink.end(new RpcError(Status.UNAVAILABLE, 'the balancer is shutting down'));
    }
  }

  private start(request: WatchServersRequest, peer: Peer, sink: Sink): () => void {
    const { mesh, authorize, counters, defaultIntervalMs } = this.options;
    const intervalMs = validWatch(request, defaultIntervalMs());
    demand(authorize, peer, 'watch', request.service);
    if (this.open.size >= CONTROL.watchers) {
      throw new RpcError(Status.RESOURCE_EXHAUSTED, `${this.open.size} watches are open`);
    }
    const { service: name, maxServers, zone } = request;
    let one = this.followed.get(name);
    if (one === undefined) {
      one = { service: new WatchedService(name, mesh, this.instanceId), watches: new Set() };
      this.followed.set(name, one);
    }
    const { service, watches } = one;
    const client = request.clientId === '' ? peer.address : request.clientId;
    const feed =
      maxServers === 0 ? service : new Subset(service, mesh, this.instanceId, maxServers, zone, client);
    const everyTicks = Math.max(1, Math.round(intervalMs / CONTROL.watchTickMs));
    const watch = new Watch(service, feed, sink, counters, everyTicks, this.nextPhase++ % everyTicks);
    watches.add(watch);
    this.open.set(watch, sink);
    this.tellMesh();
    this.pump(watch);
    this.tickLater();
    return () => this.drop(watch);
  }

  private drop(watch: Watch): void {
    if (!this.open.delete(watch)) return;
    watch.end();
    this.tellMesh();
    const one = this.followed.get(watch.service.name);
    one?.watches.delete(watch);
    if (one?.watches.size === 0) {
      this.followed.delete(watch.service.name);
      this.dirty.delete(one);
    }
    if (this.open.size > 0) return;
    this.callOffTick?.();
    this.callOffTick = undefined;
    this.callOffFlush?.();
    this.callOffFlush = undefined;
  }

  /** Followed services that a server was in or is in. */
  private *followedBy(...views: (ServerView | undefined)[]): Iterable<Followed> {
    const names = new Set(views.flatMap(view => view?.spec.services ?? []));
    if (names.has('*')) {
      yield* this.followed.values();
      return;
    }
    for (const name of names) {
      const one = this.followed.get(name);
      if (one !== undefined) yield one;
    }
  }

  private markDirty(one: Followed): void {
    this.dirty.add(one);
    if (this.callOffFlush !== undefined) return;
    const { clock } = this.options;
    const gap = Math.min(MOST_GAP_MS, Math.max(LEAST_GAP_MS, this.open.size * GAP_PER_WATCH_MS));
    const wait = Math.max(0, this.lastFlush + gap - clock.now());
    this.callOffFlush = clock.after(wait, () => {
      this.callOffFlush = undefined;
      this.lastFlush = clock.now();
      const dirty = [...this.dirty];
      this.dirty.clear();
      for (const { watches } of dirty) for (const watch of watches) this.pump(watch);
    });
  }

  private tickLater(): void {
    this.callOffTick ??= this.options.clock.after(CONTROL.watchTickMs, () => {
      this.callOffTick = undefined;
      this.tick();
      this.tickLater();
    });
  }

  private tick(): void {
    this.tickCount++;
    for (const { service } of this.followed.values()) service.turn();
    for (const watch of this.open.keys()) {
      if ((this.tickCount + watch.phase) % watch.everyTicks !== 0) continue;
      watch.round();
      this.pump(watch);
    }
  }

  private readonly pump = (watch: Watch): void => {
    const callers = this.followed.get(watch.service.name)?.watches.size ?? 0;
    watch.pump(this.balancers(callers), this.options.clock.now(), this.pump);
  };

  /** What is told of balancers where so many callers have a heap of their own. */
  private balancers(callers: number): Balancers {
    this.addresses ??= this.options.instances().map(address => Buffer.from(address));
    const { addresses, addressesVersion: version } = this;
    const count = addresses.length + callers;
    if (this.told.count !== count || this.told.version !== version) this.told = { count, addresses, version };
    return this.told;
  }

  /** The mesh itself is one of those that share out the root place of newcomers. */
  private tellMesh(): void {
    this.options.mesh.balancers = this.options.instances().length + this.open.size;
  }
}
