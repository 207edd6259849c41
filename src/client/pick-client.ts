/** Callers that ask a balancer for every call, and make the call themselves. */
import * as ownGrpc from '@grpc/grpc-js';
import { CALLER_LIMITS } from '../core/limits.ts';
import type { PickServerRequest, PickServerResponse } from '../gen/heapmesh/v1/lookaside.ts';
import type { CallTrace, CallTracer, TraceContext } from '../grpc/call-tracer.ts';
import { millisOf } from '../grpc/duration.ts';
import { Status } from '../grpc/status.ts';
import { Balancer } from './balancer.ts';
import { ClientError, requireThat, show } from './error.ts';
import { asGrpcJs, type ChannelOptions, type GrpcModule } from './grpc.ts';
import { type Lease, makeLease, type OpenLease, renewal } from './lease.ts';
import type { OutcomeCounts } from './outcomes.ts';
import { isService, parseBalancers } from './target.ts';
import { Hold, later } from './timers.ts';

export interface PickClientOptions {
  /** Control addresses, `host:port`. One is asked at a time; the others where it does not answer. */
  readonly balancers: readonly string[];
  /** Fully qualified gRPC service name. */
  readonly service: string;
  /** This caller's zone. Default none. */
  readonly zone?: string;
  /** Time for one pick, over all balancers and attempts, ms. Default 2,000. */
  readonly pickTimeoutMs?: number;
  /** Outcomes are sent after this time, ms (default 20), or once there are `flushOutcomes` (default 128). */
  readonly flushMs?: number;
  readonly flushOutcomes?: number;
  /** Outcomes that may wait for one balancer; above it the oldest is dropped and counted. Default 10,000. */
  readonly outcomeQueue?: number;
  /** For the connections to the balancers. Default plain text. */
  readonly credentials?: ownGrpc.ChannelCredentials;
  /** Further grpc-js channel options for them. */
  readonly channelOptions?: ChannelOptions;
  /** Traces picks and the calls of `call`. Default: nothing is traced. */
  readonly tracer?: CallTracer;
  /** The copy of grpc-js that made `credentials`. Default: the one that this package resolves. */
  readonly grpc?: GrpcModule;
}

/** What one pick asks for. */
export interface PickWish {
  /** Method name, for the balancer's records. */
  readonly method?: string;
  /** Same key, same server, as long as its load is within bounds. */
  readonly hashKey?: string;
  /** Instead of the client's. */
  readonly zone?: string;
  /** Servers already tried; at most 32. */
  readonly excludeIds?: readonly string[];
  /** Instead of the client's `pickTimeoutMs`. */
  readonly timeoutMs?: number;
}

export interface PickedServer {
  readonly id: string;
  /** `host:port`. */
  readonly address: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Picked {
  readonly server: PickedServer;
  readonly lease: Lease;
  /** The balancer's instance. */
  readonly instanceId: string;
  /** The balancer's span of the pick, for a link from that of the call; undefined where it made none. */
  readonly trace?: TraceContext | undefined;
}

export interface CallWish extends PickWish {
  /** Servers to try at most. Default 3. */
  readonly attempts?: number;
}

export interface PickStats extends Readonly<OutcomeCounts> {
  readonly picks: number;
  readonly failedPicks: number;
  /** Leases that are neither completed nor given up. */
  readonly openLeases: number;
  /** Leases that their caller forgot without completing them; their time ends them. */
  readonly forgotten: number;
}

export interface PickClient {
  /** The server to call now. Throws `ClientError`. */
  pick(wish?: PickWish): Promise<Picked>;
  /**
   * Picks, calls `run` with the server, and completes the lease: with OK where it resolves, else with
   * the error's `code`. After UNAVAILABLE it tries other servers, so `run` must bear being run again.
   *
   * With a `tracer` each attempt is a client span that is linked to the balancer's span of its pick; `run`
   * is given the context that is to go with the call, as the metadata `traceparent` and `tracestate`.
   */
  call<T>(run: (server: PickedServer, context?: TraceContext) => Promise<T>, wish?: CallWish): Promise<T>;
  stats(): PickStats;
  /** Sends the outcomes that wait, for up to a second, and closes the connections. */
  close(): Promise<void>;
}

/** Throws `ClientError` with the code `invalid-options`. */
export function createPickClient(options: PickClientOptions): PickClient {
  const { balancers, service, zone } = options;
  requireThat(Array.isArray(balancers), 'balancers', 'must be a list of addresses');
  requireThat(
    isService(service),
    'service',
    `is ${show(service)}; give the full name, such as echo.v1.EchoService`,
  );
  requireThat(zone === undefined || typeof zone === 'string', 'zone', `is ${show(zone)}; give a string`);
  return new LookasideClient({
    ...options,
    balancers: parseBalancers(balancers, 'balancers'),
    pickTimeoutMs: above(options.pickTimeoutMs, 'pickTimeoutMs', CALLER_LIMITS.pickTimeoutMs),
    flushMs: above(options.flushMs, 'flushMs', CALLER_LIMITS.flushMs),
    flushOutcomes: above(options.flushOutcomes, 'flushOutcomes', CALLER_LIMITS.flushOutcomes),
    outcomeQueue: above(options.outcomeQueue, 'outcomeQueue', CALLER_LIMITS.outcomeQueue),
  });
}

type Resolved = PickClientOptions &
  Required<Pick<PickClientOptions, 'pickTimeoutMs' | 'flushMs' | 'flushOutcomes' | 'outcomeQueue'>>;

/** What no other instance would answer otherwise. */
const CALLERS_FAULT: ReadonlySet<number> = new Set([
  Status.INVALID_ARGUMENT,
  Status.PERMISSION_DENIED,
  Status.UNAUTHENTICATED,
]);

class LookasideClient implements PickClient {
  readonly #options: Resolved;
  readonly #balancers: Balancer[];
  readonly #counts: OutcomeCounts = {
    sent: 0,
    accepted: 0,
    unknown: 0,
    foreign: 0,
    unconfirmed: 0,
    dropped: 0,
  };
  readonly #open = new Set<OpenLease>();
  readonly #hold = new Hold();
  /** The balancer that is asked first; callers begin anywhere, so that they spread. */
  #at: number;
  #picks = 0;
  #failedPicks = 0;
  #forgotten = 0;
  #renewTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: Resolved) {
    this.#options = options;
    const grpc = asGrpcJs(options.grpc ?? ownGrpc);
    const { flushMs, flushOutcomes, outcomeQueue, channelOptions = {} } = options;
    const credentials = options.credentials ?? grpc.credentials.createInsecure();
    this.#balancers = options.balancers.map(
      address =>
        new Balancer({
          grpc,
          address,
          credentials,
          channelOptions,
          counts: this.#counts,
          flushMs,
          flushOutcomes,
          outcomeQueue,
        }),
    );
    this.#at = Math.floor(Math.random() * this.#balancers.length);
  }

  async pick(wish: PickWish = {}): Promise<Picked> {
    const request = this.#request(wish);
    const timeoutMs = above(wish.timeoutMs, 'timeoutMs', this.#options.pickTimeoutMs);
    this.#requireOpen();
    this.#hold.take();
    try {
      const picked = await this.#ask(request, performance.now() + timeoutMs);
      this.#picks++;
      return picked;
    } catch (error) {
      this.#failedPicks++;
      throw error;
    } finally {
      this.#hold.release();
    }
  }

  async call<T>(
    run: (server: PickedServer, context?: TraceContext) => Promise<T>,
    wish: CallWish = {},
  ): Promise<T> {
    const { attempts = CALLER_LIMITS.callAttempts, ...pickWish } = wish;
    const tried = [...(wish.excludeIds ?? [])];
    let last: unknown;
    for (let attempt = 1; ; attempt++) {
      let picked: Picked;
      try {
        picked = await this.pick({ ...pickWish, excludeIds: tried });
      } catch (error) {
        // That nobody else is left to try says less than why the one that was tried failed.
        throw last ?? error;
      }
      const { server, lease } = picked;
      const trace = this.#begin(picked, wish.method ?? '', attempt);
      try {
        const result = await run(server, trace?.context ?? this.#options.tracer?.current());
        lease.complete();
        trace?.end(Status.OK);
        return result;
      } catch (error) {
        const code = (error as { code?: unknown } | null)?.code;
        const status = Number.isInteger(code) && (code as number) > 0 ? (code as number) : Status.UNKNOWN;
        trace?.end(status, (error as Error | null)?.message ?? '');
        lease.complete({ status });
        if (status !== Status.UNAVAILABLE || attempt >= attempts) throw error;
        if (tried.length >= CALLER_LIMITS.excludeIds) throw error;
        last = error;
        tried.push(server.id);
      }
    }
  }

  stats(): PickStats {
    return {
      ...this.#counts,
      picks: this.#picks,
      failedPicks: this.#failedPicks,
      openLeases: this.#open.size,
      forgotten: this.#forgotten,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#renewTimer);
    for (const balancer of this.#balancers) balancer.cancel();
    this.#hold.take();
    await Promise.all(this.#balancers.map(balancer => balancer.outcomes.close(CALLER_LIMITS.closeGraceMs)));
    for (const balancer of this.#balancers) balancer.close();
    this.#hold.release();
  }

  /** The span of a call to a picked server, where it is traced. */
  #begin({ server, trace }: Picked, method: string, attempt: number): CallTrace | undefined {
    const { address } = server;
    const colon = address.lastIndexOf(':');
    return this.#options.tracer?.begin({
      kind: 'client',
      method: method === '' ? this.#options.service : `${this.#options.service}/${method}`,
      link: trace,
      attributes: {
        'server.address': address.slice(0, colon),
        'server.port': Number(address.slice(colon + 1)),
        'heapmesh.backend': server.id,
        'heapmesh.attempt': attempt,
      },
    });
  }

  #request(wish: PickWish): PickServerRequest {
    const { method = '', hashKey = '', zone = this.#options.zone ?? '', excludeIds = [] } = wish;
    for (const [name, value] of Object.entries({ method, hashKey, zone })) {
      requireThat(typeof value === 'string', name, `is ${show(value)}; give a string`);
    }
    requireThat(Array.isArray(excludeIds), 'excludeIds', 'must be a list of server ids');
    requireThat(
      excludeIds.length <= CALLER_LIMITS.excludeIds,
      'excludeIds',
      `has ${excludeIds.length} ids; at most ${CALLER_LIMITS.excludeIds} can be left out`,
    );
    return { service: this.#options.service, method, hashKey, zone, excludeIds: [...excludeIds] };
  }

  /**
   * Round after round over the balancers, until one answers or the time is over. Time for which this process had no turn is
   * not theirs, and does not count: an answer may be there that it has not read, or the question may not be sent.
   */
  async #ask(request: PickServerRequest, until: number): Promise<Picked> {
    const { tracer } = this.#options;
    const context = tracer && (tracer.current() ?? { traceparent: '', tracestate: '' });
    const whys: string[] = [];
    let deadline = until;
    for (;;) {
      const order = this.#order();
      let answered: { status: number; details: string } | undefined;
      for (const [i, balancer] of order.entries()) {
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) throw silent(whys);
        // One that hangs must leave the others their share of the time.
        const share = leftMs / (order.length - i);
        const begun = performance.now();
        const answer = await balancer.pick(request, share, context);
        this.#requireOpen();
        if (answer.kind === 'picked') {
          this.#at = this.#balancers.indexOf(balancer);
          return this.#picked(answer.response, balancer, answer.trace);
        }
        whys.push(answer.details);
        const lateMs = performance.now() - begun - share;
        if (lateMs > CALLER_LIMITS.lateMs) deadline += lateMs;
        if (answer.kind === 'answered') {
          if (CALLERS_FAULT.has(answer.status)) throw refused(answer);
          // Another instance may see it otherwise; where none does, UNAVAILABLE is of one that knows the service.
          if (answered === undefined || answer.status === Status.UNAVAILABLE) answered = answer;
        }
      }
      if (answered !== undefined) throw refused(answered);
      const now = performance.now();
      const waitMs = Math.max(1, Math.min(...order.map(balancer => balancer.downUntil)) - now);
      if (now + waitMs >= deadline) throw silent(whys.slice(-order.length));
      await new Promise<void>(resolve => later(waitMs, resolve));
      this.#requireOpen();
    }
  }

  /** All balancers from the present one on, those that were last seen down after the others. */
  #order(): Balancer[] {
    const now = performance.now();
    const all = [...this.#balancers.slice(this.#at), ...this.#balancers.slice(0, this.#at)];
    return [...all.filter(one => one.downUntil <= now), ...all.filter(one => one.downUntil > now)];
  }

  #picked(response: PickServerResponse, balancer: Balancer, traceparent: string): Picked {
    const { server, leaseId: id, instanceId } = response;
    if (server === undefined)
      throw new ClientError('refused', `${balancer.address} answered without a server`);
    const ttlMs = millisOf(response.leaseTtl);
    const pickedAt = performance.now();
    const send: OpenLease['send'] = message => balancer.outcomes.push(message, ttlMs);
    const lease = makeLease(id, pickedAt, message => {
      this.#open.delete(open);
      send(message);
    });
    const open: OpenLease = {
      id,
      ttlMs,
      pickedAt,
      renewAt: pickedAt + ttlMs / 2,
      handle: new WeakRef(lease),
      send,
    };
    this.#open.add(open);
    if (ttlMs > 0 && this.#renewTimer === undefined) {
      this.#renewTimer = setInterval(() => this.#renew(), Math.max(10, ttlMs / 8)).unref();
    }
    const { address, zone, labels } = server;
    const trace = traceparent === '' ? undefined : { traceparent, tracestate: '' };
    return { server: { id: server.id, address, zone, labels }, lease, instanceId, trace };
  }

  #renew(): void {
    const now = performance.now();
    for (const lease of this.#open) {
      if (lease.handle.deref() === undefined) {
        this.#open.delete(lease);
        this.#forgotten++;
      } else if (lease.renewAt <= now) {
        lease.renewAt = now + lease.ttlMs / 2;
        lease.send(renewal(lease.id));
      }
    }
    if (this.#open.size > 0) return;
    clearInterval(this.#renewTimer);
    this.#renewTimer = undefined;
  }

  #requireOpen(): void {
    if (this.#closed) throw new ClientError('closed', 'this client was closed');
  }
}

function refused({ status, details }: { status: number; details: string }): ClientError {
  if (status === Status.NOT_FOUND) return new ClientError('not-found', details);
  return new ClientError(status === Status.UNAVAILABLE ? 'unavailable' : 'refused', details);
}

function silent(whys: readonly string[]): ClientError {
  return new ClientError(
    'unavailable',
    `no balancer answered in time: ${whys.join('; ') || 'none was left'}`,
  );
}

function above(value: number | undefined, field: string, missing: number): number {
  if (value === undefined) return missing;
  requireThat(Number.isFinite(value) && value > 0, field, `is ${show(value)}; give a number above 0`);
  return value;
}
