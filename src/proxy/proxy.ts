/**
 * The transparent proxy: callers' HTTP/2 connections in, backends' out, every call to the backend that its
 * pool picks. Works on frames and header blocks; bodies go through as slices.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ANY_SERVICE, type PickFailure } from '../core/core.ts';
import { formatHostPort } from '../core/host-port.ts';
import { HTTP2_LIMITS, PROXY_LIMITS, TRANSPORT } from '../core/limits.ts';
import { LeaseKind } from '../core/load-table.ts';
import type { Mesh } from '../core/mesh.ts';
import type { PickWant } from '../core/pick.ts';
import type { Pool } from '../core/pool.ts';
import { Replies } from '../grpc/replies.ts';
import { outcomeOf, Status } from '../grpc/status.ts';
import { parseTimeout } from '../grpc/timeout.ts';
import { type FaultCounts, type HeaderList, Http2Context, type KeptList } from '../http2/http2.ts';
import { Flusher, Sockets } from '../transport/transport.ts';
import type { Backend, Reachability } from './backend.ts';
import { Backends, type ParseAddress } from './backends.ts';
import type { Call } from './call.ts';
import type { CallHost } from './call-host.ts';
import { CallTable } from './call-table.ts';
import { busiest, type ProxyConnections } from './connections.ts';
import { type BackendGauges, ProxyCounters } from './counters.ts';
import { Deadlines } from './deadlines.ts';
import { Downstream, type DownstreamHost } from './downstream.ts';
import { Drains } from './drains.ts';
import type { End } from './ends.ts';
import { classifyField, Field } from './fields.ts';
import { HealthService } from './health-service.ts';
import { HeldLists } from './held-list.ts';
import { takeReport } from './load-reports.ts';
import { NoLease } from './no-lease.ts';
import { type CallObserver, observerOf } from './observer.ts';
import { Retries } from './retry.ts';
import { Routes } from './routes.ts';
import type { PoolProxySettings, ProxySettings } from './settings.ts';
import type { ProxyShared } from './shared.ts';

export type { Reachability } from './backend.ts';
export { Call } from './call.ts';
export { EndedBy, endedByName } from './call-facts.ts';
export type { ProxyConnections } from './connections.ts';
export type { BackendGauges, ProxyCounters } from './counters.ts';
export { TRACEPARENT, TRACESTATE } from './fields.ts';
export type { CallObserver } from './observer.ts';
export type { PoolProxySettings, ProxySettings } from './settings.ts';

export interface ProxyOptions {
  readonly mesh: Mesh;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Another process may listen on the same port: a new version takes over while this one drains. */
  readonly reusePort: boolean;
  readonly settings: ProxySettings;
  readonly reachability: Reachability;
  /** Whether a server's load comes by a stream that was asked for; what its calls say is then nothing new. */
  readonly streamsLoad?: (id: string) => boolean;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Splits a backend's `host:port`. */
  readonly parseAddress: ParseAddress;
  /** Zone that callers are taken to be in where they name none; empty: none. */
  readonly zone?: string;
  /** Whether header blocks are remembered by their octets. Default true. */
  readonly rememberBlocks?: boolean;
  /** False: sockets are read and written by what Node documents alone, which is slower. Default true. */
  readonly directSockets?: boolean;
  /** Hears of faults of our own; the process goes on. */
  readonly onError: (error: unknown) => void;
}

export interface TransparentProxy {
  /** `host:port` that it listens on; empty before it does. */
  readonly address: string;
  /** Takes calls from now on. Rejects where the address cannot be had. Does nothing once it was told to close. */
  listen(): Promise<void>;
  /** Connections of callers, calls in flight, how many of them wait in the queue of a pool. */
  gauges(): ProxyGauges;
  /** How things stand with the backend in a slot of the load table, into `gauges`. */
  gaugeBackend(slot: number, gauges: BackendGauges): void;
  readonly counters: ProxyCounters;
  /** How often peers broke which rule of HTTP/2. */
  readonly faults: FaultCounts;
  configure(settings: ProxySettings): void;
  /** Tells one more of calls that begin from now on, in the order in which they were added. Returns what ends it. */
  observe(observer: CallObserver): () => void;
  /** Connections of callers and to backends, at most so many of each: for people. */
  connections(most: number): ProxyConnections;
  /** Calls back for each call in flight. */
  eachCall(visit: (call: Call) => void): void;
  /** When octets of an answer last came from the server in a slot, ms; −Infinity: never. */
  heardAt(slot: number): number;
  /** Takes no new connections and calls, lets those that are open end within the drain time-out. */
  close(): Promise<void>;
}

export interface ProxyGauges {
  readonly connections: number;
  /** Connections of callers whose calls wait for the caller to read: its window for the connection is used up. */
  readonly stalled: number;
  readonly calls: number;
  readonly backends: number;
  /** Calls in the queues of pools, those of PickServer included. */
  readonly waiting: number;
}

const REFLECTION = 'grpc.reflection.';

/** One that does not listen yet. */
export function createProxy(options: ProxyOptions): TransparentProxy {
  return new Engine(options);
}

class Engine implements TransparentProxy, CallHost, DownstreamHost, ProxyShared {
  readonly context: Http2Context;
  readonly flusher = new Flusher();
  readonly sockets: Sockets;
  readonly replies: Replies;
  readonly counters = new ProxyCounters();
  readonly faults: FaultCounts;
  readonly noLease: NoLease;
  readonly fields;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  address = '';

  observer: CallObserver | undefined;

  private observers: readonly CallObserver[] = [];
  /** When open streams were looked at last, ms. */
  private rested = Number.NEGATIVE_INFINITY;
  private readonly options: ProxyOptions;
  private readonly mesh: Mesh;
  private settings: ProxySettings;
  private readonly server: Server;
  private readonly callers = new Set<Downstream>();
  private readonly calls: CallTable;
  private readonly backends: Backends;
  private readonly deadlines: Deadlines;
  private readonly retries: Retries;
  private readonly heads = new HeldLists();
  private readonly health: HealthService;
  private readonly routes = new Routes();
  private readonly ownZone: PickWant | undefined;
  private readonly drains: Drains;
  private readonly unfollow: () => void;
  private readonly watcher: NodeJS.Timeout;
  private closing: Promise<void> | undefined;
  private emptied: (() => void) | undefined;

  constructor(options: ProxyOptions) {
    const { mesh, zone = '' } = options;
    this.options = options;
    this.mesh = mesh;
    this.settings = options.settings;
    this.now = () => mesh.now();
    this.onError = options.onError;
    this.ownZone = zone === '' ? undefined : { zone };
    this.context = new Http2Context({
      classify: classifyField,
      rememberBlocks: options.rememberBlocks ?? true,
    });
    this.faults = this.context.faults;
    this.sockets = new Sockets(options.directSockets ?? true);
    this.replies = new Replies(
      this.context,
      'This is a gRPC proxy: send POST with content-type application/grpc.',
    );
    const { names } = this.context;
    this.fields = { timeout: names.named('grpc-timeout'), traceparent: names.named('traceparent') };
    this.calls = new CallTable(this);
    this.backends = new Backends(mesh, this, options.reachability, options.parseAddress);
    this.deadlines = new Deadlines(this.now, index => this.calls.at(index).expired());
    this.retries = new Retries(service => this.poolSettings(service)?.retry);
    this.noLease = new NoLease(options.random);
    this.health = new HealthService(mesh, this.context, () => this.closing !== undefined);
    this.drains = new Drains({
      registry: mesh.registry,
      now: this.now,
      overdue: (id, timeoutMs) => this.moveStreams(id, timeoutMs),
    });
    this.unfollow = mesh.registry.onChange(() => this.health.changed());
    this.server = createServer({ noDelay: true }, socket => this.connected(socket));
    this.server.maxConnections = PROXY_LIMITS.connections;
    this.watcher = setInterval(() => this.watch(), TRANSPORT.watchMs);
  }

  async listen(): Promise<void> {
    if (this.closing !== undefined) return;
    const { host, port, reusePort } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host, port, reusePort, backlog: PROXY_LIMITS.backlog }, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    // Such as no more file descriptors: that connection is refused, and the next may do.
    this.server.on('error', this.onError);
    const bound = this.server.address() as { address: string; port: number };
    this.address = formatHostPort(bound.address, bound.port);
  }

  gauges(): ProxyGauges {
    let stalled = 0;
    for (const { connection } of this.callers) if (connection.stalled) stalled++;
    return {
      connections: this.callers.size,
      stalled,
      calls: this.calls.live,
      backends: this.backends.size,
      waiting: this.mesh.waiting(),
    };
  }

  gaugeBackend(slot: number, gauges: BackendGauges): void {
    this.backends.gauge(slot, gauges);
  }

  configure(settings: ProxySettings): void {
    this.settings = settings;
  }

  connections(most: number): ProxyConnections {
    const now = this.now();
    const callers = [...this.callers].map(caller => caller.describe(now));
    const upstreams = this.backends.describe(now);
    return {
      callers: busiest(callers, most),
      callersInAll: callers.length,
      upstreams: busiest(upstreams, most),
      upstreamsInAll: upstreams.length,
    };
  }

  observe(observer: CallObserver): () => void {
    const become = (all: readonly CallObserver[]): void => {
      this.observers = all;
      this.observer = observerOf(all);
    };
    become([...this.observers, observer]);
    return () => become(this.observers.filter(each => each !== observer));
  }

  eachCall(visit: (call: Call) => void): void {
    this.calls.each(visit);
  }

  tellDraining(end: End, what: string): void {
    const { observer } = this;
    if (observer === undefined) return;
    this.calls.each(call => {
      if (call.backendEnd === end && !call.isOver) observer.draining(call, what);
    });
  }

  heardAt(slot: number): number {
    return this.backends.heardAt(slot);
  }

  close(): Promise<void> {
    this.closing ??= this.drain();
    return this.closing;
  }

  private async drain(): Promise<void> {
    // Connections that the kernel has accepted are lost with the listener, so they are taken in first. Only then are
    // callers told to leave: those that come back at once must not come here.
    await nextTurn();
    await nextTurn();
    const stopped = new Promise<void>(resolve => this.server.close(() => resolve()));
    this.health.leave();
    const now = this.now();
    this.calls.each(call => this.observer?.draining(call, 'the proxy is shutting down'));
    for (const caller of this.callers) caller.drain(now);
    await this.untilEmpty(this.settings.drainTimeoutMs);
    this.calls.each(call => call.end(Status.UNAVAILABLE, 'the proxy is shutting down'));
    for (const caller of this.callers) caller.end();
    await this.untilEmpty(TRANSPORT.lingerMs);
    this.stop();
    await stopped;
  }

  /** The time of a server's drain is over: streams there end, so that they are opened elsewhere; calls finish. */
  private moveStreams(id: string, timeoutMs: number): void {
    this.calls.each(call => {
      if (call.backend?.id !== id || !call.isStream) return;
      const what = `backend ${call.backend.name} is draining, and its ${timeoutMs / 1_000} s are over`;
      call.end(Status.UNAVAILABLE, `${what}: open the stream again`);
    });
  }

  /** Resolves when no caller is connected, and after that time. */
  private async untilEmpty(mostMs: number): Promise<void> {
    if (this.callers.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>(resolve => {
      this.emptied = resolve;
      timer = setTimeout(resolve, mostMs);
    });
    clearTimeout(timer);
  }

  // Of callers

  get keepOrca(): boolean {
    return this.settings.keepLoadReports;
  }

  accept(caller: Downstream, stream: number, list: HeaderList, endStream: boolean): void {
    const { path, service } = this.routes.of(list);
    const call = this.calls.take();
    caller.connection.setTag(stream, call.index);
    call.caller = caller;
    call.callerStream = stream;
    call.path = path;
    call.received = this.now();
    const isHealth = HealthService.serves(path);
    const isReflection = this.settings.reflection !== '' && service.startsWith(REFLECTION);
    const pool = isHealth ? undefined : this.mesh.pool(isReflection ? this.settings.reflection : service);
    call.pool = pool;
    this.observer?.began(call, list);
    const timeout = list.find(Field.GRPC_TIMEOUT);
    if (timeout >= 0) {
      call.timeoutMs = timeoutOf(list, timeout);
      if (!(call.timeoutMs > 0)) {
        const given = `grpc-timeout '${list.value(timeout).slice(0, 20)}'`;
        if (call.timeoutMs === 0) call.refuse(Status.DEADLINE_EXCEEDED, `${given} is over`, endStream);
        else call.refuse(Status.INTERNAL, `${given} is malformed`, endStream);
        return;
      }
    }
    this.limitTime(call, pool);
    if (isHealth) {
      call.beginAt(this.health, call.index, endStream);
    } else if (pool === undefined) {
      call.refuse(Status.UNIMPLEMENTED, `no backend serves ${service}`, endStream);
    } else {
      call.want = this.wantOf(list);
      call.head = list;
      this.retries.earn(pool);
      call.begin(endStream);
      // It was sent as it came, mostly; what comes next is decoded in its place.
      if (list.serial === 0 && call.head === list) {
        call.kept = this.heads.keep(list);
        call.head = undefined;
      }
    }
  }

  private limitTime(call: Call, pool: Pool | undefined): void {
    const age = pool && this.poolSettings(pool.service)?.maxStreamAgeMs;
    let most = Number.isNaN(call.timeoutMs) ? Number.POSITIVE_INFINITY : call.timeoutMs;
    if (age !== undefined) {
      const jittered = age * (0.9 + 0.2 * this.options.random());
      call.deadlineIsAge = jittered < most;
      most = Math.min(most, jittered);
    }
    if (most < Number.POSITIVE_INFINITY) this.deadlines.add(call.index, call.received + most);
  }

  private wantOf(list: HeaderList): PickWant | undefined {
    const key = list.find(Field.HASH_KEY);
    const zone = list.find(Field.ZONE);
    if (key < 0 && zone < 0) return this.ownZone;
    return {
      ...this.ownZone,
      ...(key < 0 ? {} : { hashKey: list.value(key) }),
      ...(zone < 0 ? {} : { zone: list.value(zone) }),
    };
  }

  left(caller: Downstream): void {
    this.callers.delete(caller);
    if (this.callers.size === 0) this.emptied?.();
  }

  endCalls(caller: Downstream, message: string): void {
    this.calls.each(call => {
      if (call.caller === caller) call.end(Status.UNAVAILABLE, message);
    });
  }

  // Of calls

  callAt(index: number): Call {
    return this.calls.at(index);
  }

  poolOf(service: string): Pool | undefined {
    return this.mesh.pool(service);
  }

  pick(pool: Pool, now: number, want: PickWant | undefined, call: Call): number {
    const lease = pool.pick(now, LeaseKind.RELAYED, want, call);
    if (lease < 0) this.counters.pickFailed(lease as PickFailure);
    return lease;
  }

  slotOf(lease: number): number {
    return this.mesh.leases.slotOf(lease);
  }

  backendOf(slot: number): Backend {
    return this.backends.of(slot);
  }

  reported(call: Call, list: HeaderList): void {
    if (list.find(Field.ORCA) >= 0) takeReport(this.mesh, call, list, this.now(), this.options.streamsLoad);
  }

  retryAfter(call: Call, status: Status, list: HeaderList | undefined): number {
    if (!call.replayable || call.pool === undefined) return -1;
    const delay = this.retries.delayMs(call.pool, status, call.attempts, list, this.now());
    if (delay === Retries.SPENT) this.counters.budgetSpent++;
    return delay;
  }

  complete(lease: number, status: Status, now: number, latencyMs: number): void {
    this.mesh.leases.complete(lease, now, outcomeOf(status), latencyMs);
  }

  rest(lease: number, rests: boolean, now: number): void {
    this.mesh.rest(lease, rests, now);
  }

  headOf(kept: KeptList): HeaderList {
    return this.heads.of(kept);
  }

  dropHead(kept: KeptList): void {
    this.heads.give(kept);
  }

  freeIfDone(call: Call): void {
    if (call.isHeld || call.isFree) return;
    this.deadlines.remove(call.index);
    this.calls.give(call);
  }

  private connected(socket: Socket): void {
    const { maxConnectionAgeMs, maxConnectionAgeGraceMs, maxConcurrentStreams } = this.settings;
    const now = this.now();
    // Jitter, so that connections that came together do not all leave together (gRFC A9).
    const mostMs = maxConnectionAgeMs * (0.9 + 0.2 * this.options.random());
    const age = { mostMs, graceMs: maxConnectionAgeGraceMs };
    // All streams of a caller may be stalled, and a call that is not goes on.
    const heldBytes = Math.max(HTTP2_LIMITS.heldBytes, maxConcurrentStreams * HTTP2_LIMITS.streamWindowBytes);
    const limits = { ...HTTP2_LIMITS, maxConcurrentStreams, heldBytes };
    this.counters.accepted++;
    this.callers.add(new Downstream(socket, this, this, limits, now, age));
  }

  private watch(): void {
    const now = this.now();
    for (const caller of this.callers) caller.watch(now);
    this.backends.watch(now);
    if (now - this.rested < PROXY_LIMITS.restMs) return;
    this.rested = now;
    this.calls.each(call => call.look(now));
  }

  private poolSettings(service: string): PoolProxySettings | undefined {
    return this.settings.pools.get(service) ?? this.settings.pools.get(ANY_SERVICE);
  }

  private stop(): void {
    clearInterval(this.watcher);
    this.unfollow();
    this.drains.stop();
    for (const caller of this.callers) caller.destroy();
    this.backends.destroy();
    this.deadlines.stop();
  }
}

function timeoutOf(list: HeaderList, at: number): number {
  const { buffer, start, end } = list.field(at);
  return parseTimeout(buffer, start, end);
}
