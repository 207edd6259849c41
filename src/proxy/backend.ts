/** The connections to one backend, and the calls that wait for a stream on them. */
import { connect } from 'node:net';
import { PROXY_LIMITS } from '../core/limits.ts';
import type { Call } from './call.ts';
import type { UpstreamConnection } from './connections.ts';
import type { BackendGauges } from './counters.ts';
import { Latencies } from './latencies.ts';
import type { ProxyShared } from './shared.ts';
import { Upstream } from './upstream.ts';

/** Hears whether a backend can be reached. */
export interface Reachability {
  /** Calls should go elsewhere; `why` is in words. May come again and again while that is so. */
  unreachable(id: string, why: string): void;
  reachable(id: string): void;
}

export class Backend {
  readonly id: string;
  readonly address: string;
  /** True where it streams load reports: those of its calls say nothing new. */
  streamsReports = false;
  /** When a load report of a call was taken last, ms. */
  reportedAt = Number.NEGATIVE_INFINITY;
  /** When headers or DATA came last, ms. */
  heardAt = Number.NEGATIVE_INFINITY;
  /** Time until the answer to a call begins. */
  readonly latencies = new Latencies();

  readonly host: string;
  readonly port: number;
  private readonly shared: ProxyShared;
  private readonly reachability: Reachability;
  private readonly connections: Upstream[] = [];
  /** Oldest first. */
  private readonly waiting = new Set<Call>();
  private failures = 0;
  private retryAt = 0;
  /** Calls are turned away until it is reached. */
  private away = false;
  private closing = false;
  private lastWhy = '';

  constructor(
    id: string,
    address: string,
    host: string,
    port: number,
    shared: ProxyShared,
    reachability: Reachability,
  ) {
    this.id = id;
    this.address = address;
    this.host = host;
    this.port = port;
    this.shared = shared;
    this.reachability = reachability;
  }

  /** For messages. */
  get name(): string {
    return this.id === this.address ? this.address : `${this.id} (${this.address})`;
  }

  get idle(): boolean {
    return this.connections.length === 0 && this.waiting.size === 0;
  }

  /** Whether connections end with their last call. */
  get isClosing(): boolean {
    return this.closing;
  }

  /** Its connections as people see them. */
  describe(now: number): UpstreamConnection[] {
    return this.connections.map(one => one.describe(now, this.waiting.size));
  }

  /** Finds the call a stream, now or as soon as there is one; tells the call where there will be none. */
  take(call: Call): void {
    const one = this.closing || this.waiting.size > 0 ? undefined : this.open();
    if (one !== undefined) {
      one.carry(call, call.sentAt);
    } else if (this.closing) {
      call.unreachable('has left');
    } else if (this.away && this.shared.now() < this.retryAt) {
      // Its state may have changed since this was said last, by an activation for one.
      this.reachability.unreachable(this.id, this.lastWhy);
      call.unreachable(this.lastWhy);
    } else if (this.waiting.size >= PROXY_LIMITS.waitingPerBackend) {
      this.shared.counters.queueFull++;
      call.unreachable(`has ${this.waiting.size} calls waiting for a stream`);
    } else {
      this.shared.counters.waited++;
      this.waiting.add(call);
      this.grow();
    }
  }

  /** A call that waits is over. */
  forget(call: Call): void {
    this.waiting.delete(call);
  }

  /** A stream may be free, or a connection takes no more calls: those that wait get what there is, or one more. */
  roomAgain(): void {
    if (this.waiting.size === 0 || this.closing) return;
    for (const call of this.waiting) {
      const one = this.open();
      if (one === undefined) {
        this.grow();
        return;
      }
      this.waiting.delete(call);
      const now = this.shared.now();
      call.waited(now);
      one.carry(call, now);
    }
  }

  connected(): void {
    this.failures = 0;
    this.retryAt = 0;
    if (!this.away) return;
    this.away = false;
    if (!this.closing) this.reachability.reachable(this.id);
  }

  /** A connection is over. @param livedMs since it was ready; NaN where it never was */
  lost(one: Upstream, livedMs: number, why: string): void {
    const at = this.connections.indexOf(one);
    if (at >= 0) this.connections.splice(at, 1);
    if (this.closing) return;
    if (Number.isNaN(livedMs)) {
      this.shared.counters.unreachable++;
      this.failed(why);
      return;
    }
    if (one.connection.failure !== undefined || !one.connection.leaving) this.shared.counters.broken++;
    // A living backend takes a connection at once; a dead one refuses it, and that says so before the next pick. One
    // that ended by GOAWAY was told to, and one that ends all that it takes is left alone until there are calls.
    const unexpected = !one.connection.leaving && livedMs > PROXY_LIMITS.steadyMs;
    if (unexpected || this.waiting.size > 0) this.grow();
  }

  fellSilent(one: Upstream, silenceMs: number): void {
    if (this.connections.some(each => each !== one && each.ready && each.useful && !each.silent)) return;
    this.retryAt = this.shared.now() + PROXY_LIMITS.maxRetryMs;
    this.goAway(`has been silent for ${(silenceMs / 1000).toFixed(1)} s`);
  }

  spoke(): void {
    this.connected();
    this.roomAgain();
  }

  watch(now: number): void {
    for (const one of [...this.connections]) one.watch(now);
    if (this.away && !this.closing && this.connections.length === 0 && now >= this.retryAt) this.grow();
  }

  /** How things stand with it, into `gauges`. */
  gauge(gauges: BackendGauges): void {
    gauges.connections = this.connections.length;
    gauges.waiting = this.waiting.size;
    gauges.streams = gauges.full = gauges.stalled = 0;
    for (const { ready, connection } of this.connections) {
      if (!ready) continue;
      gauges.streams += connection.openStreams;
      if (connection.openStreams >= connection.peerMaxStreams) gauges.full++;
      if (connection.stalled) gauges.stalled++;
    }
  }

  /** The server has left: connections go with their last call. */
  close(): void {
    this.closing = true;
    for (const one of [...this.connections]) if (one.connection.openStreams === 0) one.end();
    // One change may take this server out and bring the next one in: those that wait look once it is through.
    queueMicrotask(() => this.turnAway('has left'));
  }

  destroy(): void {
    this.closing = true;
    for (const one of [...this.connections]) one.destroy();
  }

  private open(): Upstream | undefined {
    const { connections } = this;
    for (let i = 0; i < connections.length; i++) {
      const one = connections[i] as Upstream;
      if (one.open) return one;
    }
    return undefined;
  }

  /** One more connection, where none is on its way. */
  private grow(): void {
    if (this.closing || this.connections.some(one => !one.ready && one.useful)) return;
    const { counters } = this.shared;
    if (this.connections.length >= PROXY_LIMITS.connectionsPerBackend) {
      counters.connectionsFull++;
      return;
    }
    counters.dialled++;
    const socket = connect({ host: this.host, port: this.port });
    this.connections.push(new Upstream(socket, this, this.shared, this.shared.now()));
  }

  private failed(why: string): void {
    const { firstRetryMs, retryFactor, maxRetryMs } = PROXY_LIMITS;
    const wait = Math.min(maxRetryMs, firstRetryMs * retryFactor ** this.failures);
    this.failures++;
    this.retryAt = this.shared.now() + wait;
    // Calls that wait can have the streams of those that there are.
    if (!this.connections.some(one => one.ready && one.useful && !one.silent)) this.goAway(why);
  }

  private goAway(why: string): void {
    this.lastWhy = why;
    this.away = true;
    // First this, so that nobody who is turned away comes back at once.
    this.reachability.unreachable(this.id, why);
    this.turnAway(why);
  }

  private turnAway(why: string): void {
    for (const call of this.waiting) {
      this.waiting.delete(call);
      call.unreachable(why);
    }
  }
}
