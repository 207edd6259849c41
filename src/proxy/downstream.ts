/** A caller's connection: its streams are calls. */
import type { Socket } from 'node:net';
import { PROXY_LIMITS } from '../core/limits.ts';
import { isGrpc } from '../grpc/content-type.ts';
import type { Status } from '../grpc/status.ts';
import { type ConnectionLimits, type HeaderList, HeadersKind, NameKind, ResetCause } from '../http2/http2.ts';
import { ServerTransport } from '../transport/transport.ts';
import type { Call } from './call.ts';
import type { CallerConnection } from './connections.ts';
import type { CallerEnd } from './ends.ts';
import { Field } from './fields.ts';
import type { ProxyShared } from './shared.ts';

/** Tag of streams that are no call. Below it are those of requests that are no gRPC, see `Replies`. */
const NOBODY = -1;

/** What a connection of callers needs of the proxy. */
export interface DownstreamHost {
  /** Makes a call of a request; `endStream` where it has no body. */
  accept(caller: Downstream, stream: number, list: HeaderList, endStream: boolean): void;
  /** A connection is over. */
  left(caller: Downstream): void;
  /** The calls of a connection have had their time. */
  endCalls(caller: Downstream, message: string): void;
  /** Whether per-call load reports go on to callers. */
  readonly keepOrca: boolean;
}

export class Downstream extends ServerTransport implements CallerEnd {
  private readonly shared: ProxyShared;
  private readonly host: DownstreamHost;
  /** When it is asked to leave, so that callers spread over what was added; ms. */
  private readonly leaveAt: number;
  /** What its calls get then, ms. */
  private readonly graceMs: number;
  private lastUsed: number;
  private endCallsAt = Number.POSITIVE_INFINITY;

  constructor(
    socket: Socket,
    shared: ProxyShared,
    host: DownstreamHost,
    limits: ConnectionLimits,
    now: number,
    age: { readonly mostMs: number; readonly graceMs: number },
  ) {
    super(socket, limits, shared, now);
    this.shared = shared;
    this.host = host;
    this.lastUsed = now;
    this.leaveAt = now + age.mostMs;
    this.graceMs = age.graceMs;
  }

  /** As people see it. */
  describe(now: number): CallerConnection {
    return {
      address: this.peerAddress,
      ageMs: now - this.begun,
      streams: this.connection.openStreams,
      draining: this.draining,
    };
  }

  protected override look(now: number): void {
    if (now >= this.leaveAt) {
      this.endCallsAt = now + this.graceMs;
      this.drain(now);
    } else if (this.connection.openStreams === 0 && now - this.lastUsed > PROXY_LIMITS.idleMs) {
      this.drain(now);
    }
  }

  protected override lookLeaving(now: number): void {
    if (now < this.endCallsAt) return;
    this.connection.leave();
    this.host.endCalls(this, 'the connection has reached its greatest age: open another one');
  }

  // Handler of the connection

  headers(stream: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void {
    this.lastUsed = this.lastRead;
    if (kind === HeadersKind.TRAILERS) {
      const call = this.callOf(stream);
      if (call !== undefined) call.callerTrailers(list);
      else this.shared.replies.foreignOver(this.connection, stream);
      return;
    }
    const type = list.find(NameKind.CONTENT_TYPE);
    const method = list.find(NameKind.METHOD);
    if (type < 0 || !isGrpc(list, type) || !list.valueIs(method, 'POST')) {
      this.shared.counters.notGrpc++;
      this.shared.replies.foreign(this.connection, stream, endStream);
      return;
    }
    this.host.accept(this, stream, list, endStream);
  }

  data(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const call = this.callOf(stream);
    if (call !== undefined) {
      call.fromCaller(buffer, start, end, endStream);
      return;
    }
    this.connection.credit(stream, end - start);
    if (endStream) this.shared.replies.foreignOver(this.connection, stream);
  }

  reset(stream: number, code: number, cause: ResetCause): void {
    if (cause === ResetCause.PEER) this.shared.counters.callerReset(code);
    this.callOf(stream)?.callerReset();
  }

  closed(stream: number): void {
    const call = this.callOf(stream);
    this.connection.setTag(stream, NOBODY);
    this.lastUsed = this.lastRead;
    call?.callerClosed();
    this.endIfLeft();
  }

  writable(stream: number): void {
    const call = this.callOf(stream);
    if (call !== undefined) call.response.pump();
    else this.shared.replies.foreignWritable(this.connection, stream);
  }

  settings(): void {}

  goaway(): void {
    // The caller opens no more calls; what is open goes on until it closes.
  }

  protected lost(): void {
    this.host.left(this);
  }

  // End of a call

  sendHead(stream: number, _call: Call, list: HeaderList, endStream: boolean): void {
    if (endStream) this.sendTrailers(stream, list);
    else if (this.connection.isSendable(stream)) this.connection.sendList(stream, list, false);
  }

  sendData(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    if (!this.connection.isSendable(stream)) return end - start;
    return this.connection.sendData(stream, buffer, start, end, endStream);
  }

  sendTrailers(stream: number, list: HeaderList): void {
    const { connection } = this;
    if (!connection.isSendable(stream)) return;
    if (this.host.keepOrca || list.find(Field.ORCA) < 0) {
      connection.sendList(stream, list, true);
      return;
    }
    connection.beginHeaders(stream);
    for (let i = 0; i < list.count; i++) if (list.name(i).kind !== Field.ORCA) connection.addField(list, i);
    connection.endHeaders(true);
  }

  finish(stream: number, status: Status, message: string, headSent: boolean, pushbackMs: number): void {
    if (this.connection.isSendable(stream)) {
      this.shared.replies.finish(this.connection, stream, status, message, headSent, pushbackMs);
    }
  }

  credit(stream: number, octets: number): void {
    this.connection.credit(stream, octets);
  }

  abort(stream: number, code: number): void {
    this.connection.reset(stream, code);
  }

  detach(stream: number): void {
    this.connection.setTag(stream, NOBODY);
  }

  private callOf(stream: number): Call | undefined {
    const index = this.connection.tag(stream);
    return index < 0 ? undefined : this.shared.callAt(index);
  }
}
