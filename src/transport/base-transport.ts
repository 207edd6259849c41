/** A socket with an HTTP/2 connection on it: octets in, one write a turn out, its end. */
import type { Socket } from 'node:net';
import { TRANSPORT } from '../core/limits.ts';
import {
  Connection,
  type ConnectionError,
  type ConnectionHandler,
  type ConnectionLimits,
  type HeaderList,
  type HeadersKind,
  type Http2Context,
  type ResetCause,
} from '../http2/http2.ts';
import type { Flusher } from './flusher.ts';
import type { SocketOwner, Sockets } from './sockets.ts';

/** What the connections of one server, and of what it calls, share. */
export interface TransportShared {
  readonly context: Http2Context;
  readonly flusher: Flusher;
  readonly sockets: Sockets;
  /** Monotonic clock, ms. */
  now(): number;
  /** A fault of our own; the process goes on. */
  onError(error: unknown): void;
}

export abstract class Transport implements ConnectionHandler, SocketOwner {
  readonly connection: Connection;
  readonly socket: Socket;
  /** Monotonic clock of the last octets that came, ms. */
  lastRead: number;
  /** True once nothing can be sent or received any more. */
  gone = false;

  /** True once it is to be closed: what is written before that is said, no more. */
  protected ending = false;
  private readonly common: TransportShared;
  private queued = false;
  private writing = false;
  /** FIN is behind what was written. */
  private finished = false;
  private writeBegan = 0;

  constructor(
    socket: Socket,
    role: 'client' | 'server',
    limits: ConnectionLimits,
    common: TransportShared,
    now: number,
  ) {
    this.socket = socket;
    this.common = common;
    this.lastRead = now;
    this.connection = new Connection(role, common.context, this, limits);
    socket.setNoDelay(true);
    common.sockets.own(socket, this);
    // What went wrong shows in `close`, which follows; without a listener an error would end the process.
    socket.on('error', error => this.broke(error));
    socket.on('close', () => this.lose());
  }

  abstract headers(stream: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void;
  abstract data(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): void;
  abstract reset(stream: number, code: number, cause: ResetCause): void;
  abstract closed(stream: number): void;
  abstract writable(stream: number): void;
  abstract settings(): void;
  abstract goaway(lastStreamId: number, code: number, debug: string): void;
  /** The connection is over and all its streams were told. */
  protected abstract lost(): void;
  /** The socket says what is wrong; its end follows. */
  protected broke(_error: Error): void {}
  pong(_high: number, _low: number): void {}

  output(): void {
    if (this.queued || this.gone || this.finished) return;
    this.queued = true;
    this.common.flusher.add(this);
  }

  flush(): void {
    this.queued = false;
    if (this.writing || this.gone || this.finished) return;
    const buffers = this.connection.take();
    const last = buffers.length - 1;
    if (last < 0) return;
    this.writing = true;
    this.writeBegan = -1;
    if (this.common.sockets.send(this.socket, buffers, this)) this.sent();
  }

  /** What was written last is with the kernel. */
  sent(): void {
    this.writing = false;
    if (this.gone) return;
    this.connection.written();
    if (this.connection.outputBytes > 0) this.output();
    else if (this.ending) this.closeOutput();
  }

  failed(error: ConnectionError): void {
    if (error.fault === 'ENGINE') this.common.onError(error.cause ?? error);
    this.end();
    // Who breaks the rules gets no more time than it takes to be told so.
    this.closeSoon();
  }

  /** Says what is still to be said, however long the peer takes, then closes. */
  end(): void {
    if (this.gone || this.ending) return;
    this.ending = true;
    if (!this.writing && this.connection.outputBytes === 0) this.closeOutput();
  }

  private closeOutput(): void {
    if (this.finished) return;
    this.finished = true;
    this.socket.end();
    this.closeSoon();
  }

  private closeSoon(): void {
    setTimeout(() => this.socket.destroy(), TRANSPORT.lingerMs).unref();
  }

  /** Closes at once. */
  destroy(): void {
    this.socket.destroy();
    this.lose();
  }

  /** True where a write has waited for the peer longer than it may; to be asked now and then. */
  protected stalled(now: number): boolean {
    if (!this.writing) return false;
    if (this.writeBegan < 0) this.writeBegan = now;
    return now - this.writeBegan > TRANSPORT.stalledWriteMs;
  }

  read(buffer: Buffer, start: number, end: number): void {
    const now = this.common.now();
    this.lastRead = now;
    this.common.flusher.beginRead();
    this.connection.receive(buffer, start, end, now);
    this.common.flusher.endRead();
  }

  private lose(): void {
    if (this.gone) return;
    this.gone = true;
    this.connection.lost();
    this.lost();
  }
}
