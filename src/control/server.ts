/**
 * Serves the methods of `rpc.ts` on the frame engine: the connections of one address, their number, their life and
 * their end. See docs/decisions/0008-control-api-engine.md.
 *
 *     octets → Caller (a connection) → ServedCall (a stream) → handler
 *     handler → Sink → ServedCall → Caller → octets
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { CONTROL, HTTP2_LIMITS, TRANSPORT } from '../core/limits.ts';
import { Replies } from '../grpc/replies.ts';
import { ConnectionError, type ConnectionLimits, type HeaderList, Http2Context } from '../http2/http2.ts';
import { Flusher, Sockets, type TransportShared } from '../transport/transport.ts';
import { Caller, type CallerHost, classifyField } from './caller.ts';
import type { Method, Service } from './rpc.ts';

/** Told of what a handler threw that is no `RpcError`: a fault of ours. */
export type OnFault = (path: string, error: unknown) => void;

export interface Bound {
  readonly host: string;
  readonly port: number;
}

const LIMITS: ConnectionLimits = {
  ...HTTP2_LIMITS,
  maxConcurrentStreams: CONTROL.streamsPerConnection,
  outputBytes: CONTROL.outputBytes,
};

export class ControlServer implements TransportShared, CallerHost {
  readonly context = new Http2Context({ classify: classifyField });
  readonly flusher = new Flusher();
  readonly sockets = new Sockets(true);
  readonly replies: Replies;
  readonly head: HeaderList;
  readonly ok: HeaderList;
  readonly onFault: OnFault;
  /** Octets that are held for all connections. */
  heldBytes = 0;
  /** Connections turned away because `CONTROL.connections` were open. */
  refused = 0;
  /** Connections closed because no preface came. */
  silent = 0;

  private readonly methods = new Map<string, Method>();
  private readonly callers = new Set<Caller>();
  private readonly net: NetServer;
  private watcher: NodeJS.Timeout | undefined;
  /** Those that are still to be looked after in this round. */
  private round = this.callers.values();
  private relief: NodeJS.Immediate | undefined;
  private closing = false;
  private empty: PromiseWithResolvers<void> | undefined;

  constructor(services: readonly Service[], onFault: OnFault) {
    this.onFault = onFault;
    this.replies = new Replies(
      this.context,
      'This is the control API, by gRPC: send POST with content-type application/grpc.',
    );
    this.head = this.context.listOf([
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['grpc-accept-encoding', 'identity,deflate,gzip'],
    ]);
    this.ok = this.context.listOf([['grpc-status', '0']]);
    for (const { methods } of services) for (const method of methods) this.methods.set(method.path, method);
    this.net = createServer({ noDelay: true }, socket => this.accept(socket));
  }

  get connections(): number {
    return this.callers.size;
  }

  /** Rejects where the address cannot be had (`EADDRINUSE`, `EACCES` ...). Port 0 is a free one. */
  listen(host: string, port: number): Promise<Bound> {
    return new Promise((resolve, reject) => {
      this.net.once('error', reject);
      this.net.listen({ host, port, backlog: CONTROL.backlog }, () => {
        this.net.removeListener('error', reject);
        // A connection that could not be accepted, as of too many open files; the next one may be.
        this.net.on('error', error => this.onError(error));
        this.watcher = setInterval(() => this.watchSome(), TRANSPORT.watchMs);
        const bound = this.net.address();
        if (bound === null || typeof bound === 'string') reject(new Error('not a TCP address'));
        else resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  /** Takes no new connection or stream; gives open ones `graceMs` to end, then cuts them. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise(resolve => this.net.close(resolve));
    const now = this.now();
    this.closing = true;
    for (const caller of this.callers) caller.drain(now);
    const cut = setTimeout(() => {
      for (const caller of [...this.callers]) caller.destroy();
    }, graceMs);
    if (this.callers.size > 0) {
      this.empty ??= Promise.withResolvers();
      await this.empty.promise;
    }
    clearTimeout(cut);
    clearInterval(this.watcher);
    await closed;
  }

  /** Looks after all connections. */
  watch(now = this.now()): void {
    for (const caller of this.callers) caller.watch(now);
  }

  /**
   * Looks after the next part of them, so that each has its turn once in `CONTROL.watchMs`; it does so by itself
   * each `TRANSPORT.watchMs`. In the end after all of them: nothing is to be waited for longer than needed.
   */
  watchSome(now = this.now()): void {
    const parts = this.closing ? 1 : CONTROL.watchMs / TRANSPORT.watchMs;
    for (let left = Math.ceil(this.callers.size / parts); left > 0; left--) {
      const { value, done } = this.round.next();
      if (done) this.round = this.callers.values();
      else value.watch(now);
    }
  }

  // For connections

  now(): number {
    return performance.now();
  }

  onError(error: unknown): void {
    this.onFault('', error);
  }

  methodOf(path: string): Method | undefined {
    return this.methods.get(path);
  }

  hold(octets: number): void {
    this.heldBytes += octets;
    // Not at once, as it may be by one of those that are to be cut off.
    if (this.heldBytes > CONTROL.heldBytes) this.relief ??= setImmediate(() => this.relieve());
  }

  /** Cuts those off for whom most is held, until what is held is within its bounds. */
  private relieve(): void {
    this.relief = undefined;
    while (this.heldBytes > CONTROL.heldBytes) {
      let most: Caller | undefined;
      for (const caller of this.callers) if (caller.heldBytes > (most?.heldBytes ?? 0)) most = caller;
      if (most === undefined) return;
      most.connection.fail(new ConnectionError('HELD_MOST'));
    }
  }

  left(caller: Caller): void {
    this.callers.delete(caller);
    if (this.callers.size === 0) this.empty?.resolve();
  }

  private accept(socket: Socket): void {
    if (this.callers.size >= CONTROL.connections) {
      this.refused++;
      socket.destroy();
      return;
    }
    this.callers.add(new Caller(socket, this, LIMITS, this.now()));
  }
}
