/**
 * grpc-js as the engine of the control API. Connections are accepted here and injected into its
 * server, so that their number, a missing preface and the end of the server are in our hands; with
 * channelz off, grpc-js itself keeps no list of them.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { CONTROL } from '../core/limits.ts';
import { type OnFault, toHandler } from './grpcjs-calls.ts';
import type { Service } from './rpc.ts';

/** RFC 9113 section 3.4: the client's connection preface is 24 octets. */
const PREFACE_BYTES = 24;

export interface Bound {
  readonly host: string;
  readonly port: number;
}

export class GrpcJsServer {
  private readonly server: Server;
  private readonly net: NetServer;
  private readonly sockets = new Set<Socket>();
  /** Connections that have not sent their preface yet, by the time at which they must have. */
  private readonly young = new Map<Socket, number>();
  private youngTimer: NodeJS.Timeout | undefined;
  /** Connections that grpc-js has not got yet, the oldest first; what they send meanwhile waits in them. */
  private accepted: Socket[] = [];
  private injecting: NodeJS.Immediate | undefined;
  private readonly inject: (socket: Socket) => void;
  /** Connections turned away because `CONTROL.connections` were open. */
  refused = 0;
  /** Connections closed because no preface came. */
  silent = 0;

  constructor(services: readonly Service[], onFault: OnFault) {
    this.server = new Server({
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': CONTROL.messageBytes,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': CONTROL.streamsPerConnection,
      'grpc-node.max_session_memory': CONTROL.sessionMemoryMiB,
      'grpc.keepalive_time_ms': CONTROL.keepaliveMs,
      'grpc.keepalive_timeout_ms': CONTROL.keepaliveTimeoutMs,
    });
    for (const service of services) this.add(service, onFault);
    const injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
    this.net = createServer({ noDelay: true }, socket => {
      if (this.sockets.size >= CONTROL.connections) {
        this.refused++;
        socket.destroy();
        return;
      }
      this.sockets.add(socket);
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.young.delete(socket);
      });
      // http2 takes the error over once it owns the socket; before that it would be unhandled.
      socket.on('error', () => {});
      this.watchPreface(socket);
      this.accepted.push(socket);
      this.injecting ??= setImmediate(() => this.injectSome());
    });
    this.inject = socket => injector.injectConnection(socket);
  }

  get connections(): number {
    return this.sockets.size;
  }

  /** Rejects where the address cannot be had (`EADDRINUSE`, `EACCES` ...). Port 0 is a free one. */
  listen(host: string, port: number): Promise<Bound> {
    return new Promise((resolve, reject) => {
      this.net.once('error', reject);
      this.net.listen({ host, port, backlog: CONTROL.backlog }, () => {
        this.net.removeListener('error', reject);
        const bound = this.net.address();
        if (bound === null || typeof bound === 'string') reject(new Error('not a TCP address'));
        else resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  /** Takes no new connection or stream; gives open ones `graceMs` to end, then cuts them. */
  async close(graceMs: number): Promise<void> {
    clearTimeout(this.youngTimer);
    clearImmediate(this.injecting);
    for (const socket of this.accepted.splice(0)) socket.destroy();
    const ended = Promise.all([
      new Promise(resolve => this.net.close(resolve)),
      ...[...this.sockets].map(socket => new Promise(resolve => socket.once('close', resolve))),
    ]);
    this.server.tryShutdown(() => {});
    const cut = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, graceMs);
    await ended;
    clearTimeout(cut);
    this.server.forceShutdown();
  }

  private add(service: Service, onFault: OnFault): void {
    for (const method of service.methods) {
      const serialize = (message: unknown) => message as Buffer;
      this.server.register(method.path, toHandler(method, onFault), serialize, method.decode, method.kind);
    }
  }

  /** Each takes 0.3 ms, and after a restart all backends come back at once: calls have their turn in between. */
  private injectSome(): void {
    const now = this.accepted.splice(0, CONTROL.acceptsAtOnce);
    for (const socket of now) if (!socket.destroyed) this.inject(socket);
    this.injecting = this.accepted.length > 0 ? setImmediate(() => this.injectSome()) : undefined;
  }

  private watchPreface(socket: Socket): void {
    this.young.set(socket, performance.now() + CONTROL.prefaceMs);
    if (this.youngTimer === undefined) this.sweepYoung();
  }

  /** One timer for all young connections: Maps keep insertion order, so the oldest come first. */
  private sweepYoung(): void {
    this.youngTimer = undefined;
    const now = performance.now();
    for (const [socket, until] of this.young) {
      if (socket.bytesRead >= PREFACE_BYTES) this.young.delete(socket);
      else if (until <= now) {
        this.silent++;
        socket.destroy();
      }
    }
    if (this.young.size === 0) return;
    this.youngTimer = setTimeout(() => this.sweepYoung(), 1000);
    this.youngTimer.unref();
  }
}
