/**
 * The transparent proxy: callers' HTTP/2 connections in, backends' out, every call to the backend that its
 * pool picks. Works on frames and header blocks; bodies go through as slices.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { ANY_SERVICE } from '../core/core.ts';
import { HTTP2_LIMITS, PROXY_LIMITS } from '../core/limits.ts';
import { LeaseKind } from '../core/load-table.ts';
import type { Mesh } from '../core/mesh.ts';
import type { PickWant } from '../core/pool.ts';
import { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { sampleOf } from '../grpc/orca.ts';
import { outcomeOf, parseStatus, Status } from '../grpc/status.ts';
import { parseTimeout } from '../grpc/timeout.ts';
import { type HeaderList, Http2Context } from '../http2/http2.ts';
import { Backend, type Reachability } from './backend.ts';
import { Call } from './call.ts';
import type { CallHost } from './call-host.ts';
import { Deadlines } from './deadlines.ts';
import { Downstream, type DownstreamHost } from './downstream.ts';
import { classifyField, Field } from './fields.ts';
import { Flusher } from './flusher.ts';
import { HealthService } from './health-service.ts';
import { keepList } from './held-list.ts';
import { Replies } from './replies.ts';
import { Retries, type RetryPolicy } from './retry.ts';
import { Routes } from './routes.ts';
import type { ProxyShared } from './shared.ts';
import { Sockets } from './sockets.ts';

export type { Reachability } from './backend.ts';
export type { RetryPolicy } from './retry.ts';

/** What can be changed while it runs. */
export interface ProxySettings {
  /** Streams that a caller may have open on one connection. */
  readonly maxConcurrentStreams: number;
  /** How long calls that are open get at the end, ms. */
  readonly drainTimeoutMs: number;
  /** Age at which a caller's connection is asked to leave, ms; Infinity: never. Jittered by a tenth. */
  readonly maxConnectionAgeMs: number;
  /** What its calls get then, ms. */
  readonly maxConnectionAgeGraceMs: number;
  /** Whether per-call load reports go on to callers. */
  readonly keepLoadReports: boolean;
  /** The service whose backends answer server reflection; empty: those for any service. */
  readonly reflection: string;
  /** By service. */
  readonly pools: ReadonlyMap<string, PoolProxySettings>;
}

export interface PoolProxySettings {
  readonly retry?: RetryPolicy | undefined;
  /** Age at which a stream is ended, so that long streams spread over what was added, ms. */
  readonly maxStreamAgeMs?: number | undefined;
}

export interface ProxyOptions {
  readonly mesh: Mesh;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Another process may listen on the same port: a new version takes over while this one drains. */
  readonly reusePort: boolean;
  readonly settings: ProxySettings;
  readonly reachability: Reachability;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Splits a backend's `host:port`. */
  readonly parseAddress: (address: string) => { readonly host: string; readonly port: number };
  /** Whether header blocks are remembered by their octets. Default true. */
  readonly rememberBlocks?: boolean;
  /** False: sockets are read and written by what Node documents alone, which is slower. Default true. */
  readonly directSockets?: boolean;
}

export interface TransparentProxy {
  /** `host:port` that it listens on. */
  readonly address: string;
  /** Connections of callers, and calls in flight. */
  gauges(): { readonly connections: number; readonly calls: number; readonly backends: number };
  configure(settings: ProxySettings): void;
  /** Takes no new connections and calls, lets those that are open end within the drain time-out. */
  close(): Promise<void>;
}

const REFLECTION = 'grpc.reflection.';

/** Starts to listen; rejects where the address cannot be had. */
export async function startProxy(options: ProxyOptions): Promise<TransparentProxy> {
  const engine = new Engine(options);
  await engine.listen();
  return engine;
}

class Engine implements TransparentProxy, CallHost, DownstreamHost, ProxyShared {
  readonly RELAYED = LeaseKind.RELAYED;
  readonly replayBytes = PROXY_LIMITS.replayBytes;
  readonly attempts = PROXY_LIMITS.transparentAttempts;
  readonly leases;
  readonly context: Http2Context;
  readonly flusher = new Flusher();
  readonly sockets: Sockets;
  readonly replies: Replies;
  readonly fields;
  readonly now: () => number;
  address = '';

  private readonly options: ProxyOptions;
  private readonly mesh: Mesh;
  private settings: ProxySettings;
  private readonly server: Server;
  private readonly callers = new Set<Downstream>();
  private readonly bySlot: (Backend | undefined)[] = [];
  private readonly leaving = new Set<Backend>();
  private readonly calls: Call[] = [];
  private readonly freeCalls: Call[] = [];
  private live = 0;
  private readonly deadlines: Deadlines;
  private readonly retries: Retries;
  private readonly health: HealthService;
  private readonly routes: Routes;
  private readonly unfollow: () => void;
  private readonly watcher: NodeJS.Timeout;
  private draining = false;
  private drained: (() => void) | undefined;

  constructor(options: ProxyOptions) {
    const { mesh } = options;
    this.options = options;
    this.mesh = mesh;
    this.leases = mesh.leases;
    this.settings = options.settings;
    this.now = () => mesh.now();
    this.context = new Http2Context({
      classify: classifyField,
      rememberBlocks: options.rememberBlocks ?? true,
    });
    this.sockets = new Sockets(options.directSockets ?? true);
    this.replies = new Replies(this.context);
    this.fields = { timeout: this.context.names.named('grpc-timeout') };
    this.deadlines = new Deadlines(this.now, index => this.calls[index]?.expired());
    this.retries = new Retries(service => this.poolSettings(service)?.retry);
    this.health = new HealthService(mesh, this.context, () => this.draining);
    this.routes = new Routes();
    this.unfollow = mesh.registry.onChange((id, _before, after) => {
      this.backendChanged(id, after?.spec.address);
      this.health.changed();
    });
    this.server = createServer({ noDelay: true }, socket => this.connected(socket));
    this.server.maxConnections = PROXY_LIMITS.connections;
    this.watcher = setInterval(() => this.watch(), PROXY_LIMITS.watchMs);
  }

  get keepOrca(): boolean {
    return this.settings.keepLoadReports;
  }

  async listen(): Promise<void> {
    const { host, port, reusePort } = this.options;
    try {
      await new Promise<void>((resolve, reject) => {
        this.server.once('error', reject);
        this.server.listen({ host, port, reusePort, backlog: PROXY_LIMITS.backlog }, () => {
          this.server.off('error', reject);
          resolve();
        });
      });
    } catch (error) {
      this.stop();
      throw error;
    }
    // Running out of file descriptors must not end the process; the connection is refused and the next may do.
    this.server.on('error', () => {});
    const bound = this.server.address() as { address: string; family: string; port: number };
    this.address =
      bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  gauges(): { readonly connections: number; readonly calls: number; readonly backends: number } {
    const backends = this.bySlot.filter(backend => backend !== undefined).length;
    return { connections: this.callers.size, calls: this.live, backends };
  }

  configure(settings: ProxySettings): void {
    this.settings = settings;
  }

  async close(): Promise<void> {
    if (this.draining) return;
    this.draining = true;
    this.health.changed();
    const stopped = new Promise<void>(resolve => this.server.close(() => resolve()));
    const now = this.now();
    for (const caller of this.callers) caller.drain(now);
    let timer: NodeJS.Timeout | undefined;
    if (this.callers.size > 0) {
      await new Promise<void>(resolve => {
        this.drained = resolve;
        timer = setTimeout(resolve, this.settings.drainTimeoutMs);
      });
    }
    clearTimeout(timer);
    for (const call of this.calls) {
      if (!call.isOver && call.caller !== undefined)
        call.end(Status.UNAVAILABLE, 'the proxy is shutting down');
    }
    // One turn of the event loop, in which what was just said is written.
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
    this.stop();
    await stopped;
  }

  // Of callers

  accept(caller: Downstream, stream: number, list: HeaderList, endStream: boolean): void {
    const route = this.routes.of(list);
    const call = this.take();
    caller.connection.setTag(stream, call.index);
    call.caller = caller;
    call.callerStream = stream;
    call.path = route.path;
    call.received = this.now();
    call.want = wantOf(list);
    const timeout = list.find(Field.GRPC_TIMEOUT);
    call.timeoutMs = timeout < 0 ? Number.NaN : timeoutOf(list, timeout);
    if (HealthService.serves(route.path)) {
      call.beginAt(this.health, call.index, endStream);
      return;
    }
    const isReflection = this.settings.reflection !== '' && route.service.startsWith(REFLECTION);
    const pool = this.mesh.pool(isReflection ? this.settings.reflection : route.service);
    if (pool === undefined) {
      call.refuse(Status.UNIMPLEMENTED, `no backend serves ${route.service}`, endStream);
      return;
    }
    if (timeout >= 0 && Number.isNaN(call.timeoutMs)) {
      call.refuse(
        Status.INTERNAL,
        `grpc-timeout '${list.value(timeout).slice(0, 20)}' is malformed`,
        endStream,
      );
      return;
    }
    call.pool = pool;
    const age = this.poolSettings(pool.service)?.maxStreamAgeMs ?? Number.POSITIVE_INFINITY;
    const given = Number.isNaN(call.timeoutMs) ? Number.POSITIVE_INFINITY : call.timeoutMs;
    call.deadlineIsAge = age < given;
    const most = Math.min(age, given);
    if (most < Number.POSITIVE_INFINITY) this.deadlines.add(call.index, call.received + most);
    this.retries.earn(pool);
    call.head = keepList(list);
    call.begin(endStream, true);
  }

  left(caller: Downstream): void {
    this.callers.delete(caller);
    if (this.callers.size === 0) this.drained?.();
  }

  // Of calls

  callAt(index: number): Call {
    return this.calls[index] as Call;
  }

  backendOf(slot: number): Backend {
    const known = this.bySlot[slot];
    if (known !== undefined) return known;
    const id = this.mesh.idOf(slot);
    const address = this.mesh.registry.get(id)?.spec.address ?? '';
    const { host, port } = this.options.parseAddress(address);
    const backend = new Backend(id, address, host, port, this, this.options.reachability);
    this.bySlot[slot] = backend;
    return backend;
  }

  statusOf(list: HeaderList, at: number): Status {
    return parseStatus(list.buffers[at] as Buffer, list.starts[at] as number, list.ends[at] as number);
  }

  orca(call: Call, list: HeaderList): void {
    const at = list.find(Field.ORCA);
    if (at < 0 || call.slot < 0 || call.lease < 0) return;
    try {
      const report = OrcaLoadReport.decode(Buffer.from(list.value(at), 'base64'));
      this.mesh.report(call.slot, sampleOf(report, Number.NaN), this.now());
    } catch {
      // A trailer that cannot be read says nothing of the load; the call itself is fine.
    }
  }

  mayRetry(call: Call, status: Status, list: HeaderList | undefined): number {
    if (!call.replayable || call.pool === undefined) return -1;
    return this.retries.delayMs(call.pool, status, call.attempts, list);
  }

  settle(call: Call, status: Status): void {
    const now = this.now();
    const latency = now - call.received;
    const outcome = outcomeOf(status);
    this.mesh.leases.complete(call.lease, now, outcome, latency);
    call.backend?.answered(latency);
  }

  freeIfDone(call: Call): void {
    if (call.caller !== undefined || call.backendEnd !== undefined || call.isFree) return;
    this.deadlines.remove(call.index);
    call.free();
    this.live--;
    if (this.freeCalls.length < PROXY_LIMITS.callsKept) this.freeCalls.push(call);
    else this.spare.push(call.index);
  }

  private readonly spare: number[] = [];

  private take(): Call {
    this.live++;
    const free = this.freeCalls.pop();
    if (free !== undefined) {
      free.isFree = false;
      return free;
    }
    const index = this.spare.pop() ?? this.calls.length;
    const call = new Call(index, this);
    call.isFree = false;
    this.calls[index] = call;
    return call;
  }

  private connected(socket: Socket): void {
    if (this.draining) {
      socket.destroy();
      return;
    }
    const { maxConnectionAgeMs, maxConnectionAgeGraceMs, maxConcurrentStreams } = this.settings;
    // Jitter, so that connections that came together do not all leave together (gRFC A9).
    const mostMs = maxConnectionAgeMs * (0.9 + 0.2 * this.options.random());
    const age = { mostMs, graceMs: maxConnectionAgeGraceMs };
    const limits = { ...HTTP2_LIMITS, maxConcurrentStreams };
    this.callers.add(new Downstream(socket, this, this, limits, this.now(), age));
  }

  private backendChanged(id: string, address: string | undefined): void {
    const slot = this.mesh.slotOf(id);
    for (const [at, backend] of this.bySlot.entries()) {
      if (backend?.id !== id) continue;
      if (at === slot && backend.address === address) continue;
      this.bySlot[at] = undefined;
      backend.close();
      if (!backend.idle) this.leaving.add(backend);
    }
  }

  private watch(): void {
    const now = this.now();
    for (const caller of this.callers) caller.watch(now);
    for (const backend of this.bySlot) backend?.watch(now);
    for (const backend of this.leaving) {
      backend.watch(now);
      if (backend.idle) this.leaving.delete(backend);
    }
  }

  private poolSettings(service: string): PoolProxySettings | undefined {
    return this.settings.pools.get(service) ?? this.settings.pools.get(ANY_SERVICE);
  }

  private stop(): void {
    clearInterval(this.watcher);
    this.unfollow();
    this.deadlines.stop();
    for (const caller of this.callers) caller.destroy();
    for (const backend of this.bySlot) backend?.destroy();
    for (const backend of this.leaving) backend.destroy();
  }
}

function wantOf(list: HeaderList): PickWant | undefined {
  const key = list.find(Field.HASH_KEY);
  const zone = list.find(Field.ZONE);
  if (key < 0 && zone < 0) return undefined;
  return {
    ...(key < 0 ? {} : { hashKey: list.value(key) }),
    ...(zone < 0 ? {} : { zone: list.value(zone) }),
  };
}

function timeoutOf(list: HeaderList, at: number): number {
  return parseTimeout(list.buffers[at] as Buffer, list.starts[at] as number, list.ends[at] as number);
}
