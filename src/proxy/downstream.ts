/** A caller's connection: its streams are calls. */
import type { Socket } from 'node:net';
import { PROXY_LIMITS } from '../core/limits.ts';
import type { Status } from '../grpc/status.ts';
import {
  ConnectionError,
  type ConnectionLimits,
  type HeaderList,
  HeadersKind,
  NameKind,
} from '../http2/http2.ts';
import type { Call, CallerEnd } from './call.ts';
import { Field } from './fields.ts';
import type { ProxyShared } from './shared.ts';
import { Transport } from './transport.ts';

/** Tag of a stream whose answer is "not gRPC" as soon as its request has come whole. */
const NOT_GRPC = -2;
const NOBODY = -1;

/** What a connection of callers needs of the proxy. */
export interface DownstreamHost {
  /** Makes a call of a request; `endStream` where it has no body. */
  accept(caller: Downstream, stream: number, list: HeaderList, endStream: boolean): void;
  /** A connection is over. */
  left(caller: Downstream): void;
  /** Whether per-call load reports go on to callers. */
  readonly keepOrca: boolean;
}

export class Downstream extends Transport implements CallerEnd {
  private readonly shared: ProxyShared;
  private readonly host: DownstreamHost;
  private readonly begun: number;
  /** When it is asked to leave, so that callers spread over what was added; ms. */
  private readonly leaveAt: number;
  private readonly graceMs: number;
  private lastUsed: number;
  private leavingSince = Number.NaN;

  constructor(
    socket: Socket,
    shared: ProxyShared,
    host: DownstreamHost,
    limits: ConnectionLimits,
    now: number,
    age: { readonly mostMs: number; readonly graceMs: number },
  ) {
    super(socket, 'server', shared.context, limits, shared.flusher, shared.sockets, now);
    this.shared = shared;
    this.host = host;
    this.begun = this.lastUsed = now;
    this.leaveAt = now + age.mostMs;
    this.graceMs = age.graceMs;
    this.connection.start();
  }

  get calls(): number {
    return this.connection.openStreams;
  }

  /** Asks it to leave: no new calls after a round trip; those that are open end in peace. */
  drain(now: number): void {
    if (!Number.isNaN(this.leavingSince)) return;
    this.leavingSince = now;
    this.connection.drain();
    if (this.connection.openStreams === 0 && !this.connection.established) this.end();
  }

  /** Looks after it; to be called each `watchMs`. */
  watch(now: number): void {
    const { connection } = this;
    if (!connection.established) {
      if (now - this.begun > PROXY_LIMITS.prefaceMs) this.destroy();
      return;
    }
    if (connection.settingsPending && now - this.begun > PROXY_LIMITS.settingsAckMs) {
      connection.fail(new ConnectionError('SETTINGS_LATE'));
      return;
    }
    if (this.stalled(now)) {
      this.destroy();
      return;
    }
    if (Number.isNaN(this.leavingSince)) {
      if (now >= this.leaveAt) this.drain(now);
      else if (
        connection.openStreams === 0 &&
        now - Math.max(this.lastUsed, this.begun) > PROXY_LIMITS.idleMs
      )
        this.drain(now);
      return;
    }
    const leaving = now - this.leavingSince;
    if (leaving > PROXY_LIMITS.goawayMs) connection.leave();
    if (connection.openStreams === 0 && (leaving > PROXY_LIMITS.goawayMs || this.saidGoodbye)) this.end();
    else if (leaving > this.graceMs) this.destroy();
  }

  // Handler of the connection

  headers(stream: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void {
    this.lastUsed = this.lastRead;
    if (kind === HeadersKind.TRAILERS) {
      const call = this.callOf(stream);
      if (call !== undefined) call.callerTrailers(list);
      else this.requestOver(stream);
      return;
    }
    const type = list.find(NameKind.CONTENT_TYPE);
    const method = list.find(NameKind.METHOD);
    if (type < 0 || !isGrpc(list, type) || !list.valueIs(method, 'POST')) {
      // The rest of the request is still checked by the rules of HTTP/2: it is answered when it is whole.
      this.connection.setTag(stream, NOT_GRPC);
      if (endStream) this.requestOver(stream);
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
    if (endStream) this.requestOver(stream);
  }

  reset(stream: number, code: number): void {
    this.callOf(stream)?.callerReset(code);
  }

  closed(stream: number): void {
    const call = this.callOf(stream);
    this.connection.setTag(stream, NOBODY);
    this.lastUsed = this.lastRead;
    call?.callerClosed();
    if (!Number.isNaN(this.leavingSince) && this.saidGoodbye && this.connection.openStreams === 0) this.end();
  }

  writable(stream: number): void {
    this.callOf(stream)?.pumpResponse();
  }

  settings(): void {}

  goaway(): void {
    // The caller opens no more calls; what is open goes on until it closes.
  }

  override pong(): void {
    this.saidGoodbye = true;
    if (!Number.isNaN(this.leavingSince) && this.connection.openStreams === 0) this.end();
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

  finish(stream: number, status: Status, message: string, headSent: boolean): void {
    if (this.connection.isSendable(stream)) {
      this.shared.replies.finish(this.connection, stream, status, message, headSent);
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

  private saidGoodbye = false;

  private requestOver(stream: number): void {
    if (this.connection.tag(stream) !== NOT_GRPC) return;
    this.connection.setTag(stream, NOBODY);
    this.shared.replies.notGrpc(this.connection, stream);
  }

  private callOf(stream: number): Call | undefined {
    const index = this.connection.tag(stream);
    return index < 0 ? undefined : this.shared.callAt(index);
  }
}

/** `application/grpc`, alone or with `+proto`, `+json` ... or parameters (grpc PROTOCOL-HTTP2.md, "Requests"). */
function isGrpc(list: HeaderList, type: number): boolean {
  const base = 'application/grpc';
  if (!list.valueStartsWith(type, base)) return false;
  if (list.valueBytes(type) === base.length) return true;
  const next = list.octet(type, base.length);
  return next === 0x2b || next === 0x3b;
}
