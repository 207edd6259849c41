/** The connections to one backend, and the calls that wait for a stream on them. */
import { connect } from 'node:net';
import { PROXY_LIMITS } from '../core/limits.ts';
import type { Call } from './call.ts';
import type { ProxyShared } from './shared.ts';
import { Upstream } from './upstream.ts';

/** Hears whether a backend can be reached. */
export interface Reachability {
  /** Calls should go elsewhere; `why` is in words. */
  unreachable(id: string, why: string): void;
  reachable(id: string): void;
}

export class Backend {
  readonly id: string;
  readonly address: string;
  /** Slowest call of late, decaying; ms. */
  slowestMs = 0;

  private readonly host: string;
  private readonly port: number;
  private readonly shared: ProxyShared;
  private readonly reachability: Reachability;
  private readonly connections: Upstream[] = [];
  private waiting: Call[] = [];
  private failures = 0;
  private retryAt = 0;
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
    return this.connections.length === 0 && this.waiting.length === 0;
  }

  /** Finds the call a stream, now or as soon as there is one; tells the call where there will be none. */
  take(call: Call): void {
    for (let i = 0; i < this.connections.length; i++) {
      const one = this.connections[i] as Upstream;
      if (one.open) {
        one.carry(call);
        return;
      }
    }
    if (this.away && this.shared.now() < this.retryAt) {
      call.unreachable(`${this.name} ${this.lastWhy}`);
      return;
    }
    if (this.waiting.length >= PROXY_LIMITS.waitingPerBackend) {
      call.unreachable(`${this.name} has ${this.waiting.length} calls waiting for a stream`);
      return;
    }
    this.waiting.push(call);
    this.grow();
  }

  /** A call that waits is over. */
  forget(call: Call): void {
    const at = this.waiting.indexOf(call);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  /** A stream may be free. */
  roomAgain(): void {
    while (this.waiting.length > 0) {
      const one = this.connections.find(each => each.open);
      if (one === undefined) return;
      one.carry(this.waiting.shift() as Call);
    }
  }

  connected(): void {
    this.failures = 0;
    this.retryAt = 0;
    if (!this.away) return;
    this.away = false;
    this.reachability.reachable(this.id);
  }

  /** A connection takes no more calls; those that wait need another one. */
  leaving(one: Upstream): void {
    if (this.connections.some(each => each !== one && each.useful)) return;
    if (this.waiting.length > 0) this.grow();
  }

  lost(one: Upstream, why: string): void {
    const at = this.connections.indexOf(one);
    if (at >= 0) this.connections.splice(at, 1);
    if (this.closing) return;
    if (one.ready) {
      // A living backend takes a connection at once; a dead one refuses it, and that says so before the next pick.
      if (!one.connection.leaving || this.waiting.length > 0) this.grow();
      return;
    }
    this.failed(why);
  }

  fellSilent(silenceMs: number): void {
    this.retryAt = this.shared.now() + PROXY_LIMITS.maxRetryMs;
    this.goAway(`has been silent for ${(silenceMs / 1000).toFixed(1)} s`);
    this.turnAway();
  }

  spoke(_one: Upstream): void {
    this.connected();
    this.roomAgain();
  }

  /** An answered call took so long. */
  answered(latencyMs: number): void {
    this.slowestMs = latencyMs > this.slowestMs ? latencyMs : this.slowestMs * 0.999 + latencyMs * 0.001;
  }

  watch(now: number): void {
    for (const one of [...this.connections]) one.watch(now);
    if (this.away && !this.closing && this.connections.length === 0 && now >= this.retryAt) this.grow();
  }

  /** The server has left: connections go with their last call. */
  close(): void {
    this.closing = true;
    for (const one of this.connections) if (one.connection.openStreams === 0) one.end();
    for (const call of this.waiting.splice(0)) call.unreachable(`${this.name} has left`);
  }

  destroy(): void {
    this.closing = true;
    for (const one of [...this.connections]) one.destroy();
  }

  private grow(): void {
    if (this.closing || this.connections.some(one => !one.ready)) return;
    if (this.connections.length >= PROXY_LIMITS.connectionsPerBackend) return;
    const socket = connect({ host: this.host, port: this.port });
    this.connections.push(new Upstream(socket, this, this.shared, this.shared.now()));
  }

  private failed(why: string): void {
    const { firstRetryMs, retryFactor, maxRetryMs } = PROXY_LIMITS;
    const wait = Math.min(maxRetryMs, firstRetryMs * retryFactor ** this.failures);
    this.failures++;
    this.retryAt = this.shared.now() + wait;
    this.lastWhy = why;
    if (this.connections.some(one => one.useful && one.ready)) return;
    this.goAway(why);
    this.turnAway();
  }

  private goAway(why: string): void {
    this.lastWhy = why;
    if (this.away) return;
    this.away = true;
    this.reachability.unreachable(this.id, why);
  }

  private turnAway(): void {
    for (const call of this.waiting.splice(0)) call.unreachable(`${this.name} ${this.lastWhy}`);
  }
}
