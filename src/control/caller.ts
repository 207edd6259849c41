/** A connection to the control API: its streams are calls of methods. */
import type { Socket } from 'node:net';
import { CONTROL } from '../core/limits.ts';
import { isGrpc } from '../grpc/content-type.ts';
import type { Replies } from '../grpc/replies.ts';
import { Status } from '../grpc/status.ts';
import { parseTimeout } from '../grpc/timeout.ts';
import {
  type ConnectionLimits,
  ErrorCode,
  type HeaderList,
  HeadersKind,
  NameKind,
  type ResetCause,
} from '../http2/http2.ts';
import { ServerTransport, type TransportShared } from '../transport/transport.ts';
import type { Link, Method } from './rpc.ts';
import { ServedCall } from './served-call.ts';
import type { OnFault } from './server.ts';

const Field = { TIMEOUT: NameKind.FIRST_FREE, ENCODING: NameKind.FIRST_FREE + 1 } as const;

export function classifyField(name: string): number {
  return name === 'grpc-timeout' ? Field.TIMEOUT : name === 'grpc-encoding' ? Field.ENCODING : 0;
}

/** What a connection needs of the server. */
export interface CallerHost extends TransportShared {
  readonly replies: Replies;
  /** Before the first message of an answer, and behind the last. */
  readonly head: HeaderList;
  readonly ok: HeaderList;
  readonly onFault: OnFault;
  silent: number;
  methodOf(path: string): Method | undefined;
  /** So many octets more are held for a connection, or fewer. */
  hold(octets: number): void;
  left(caller: Caller): void;
}

interface Ping {
  readonly id: number;
  readonly timer: NodeJS.Timeout;
  done(answered: boolean): void;
}

/** Of keepalive; others count from 1. */
const KEEPALIVE = 0;

export class Caller extends ServerTransport implements Link {
  readonly host: CallerHost;
  /** Octets that are held for it: of messages that have not come whole, and of answers that it does not read. */
  heldBytes = 0;
  /** By stream. */
  private readonly calls: (ServedCall | undefined)[] = [];
  /** Told once what was written is with the kernel. */
  private taken: (() => void)[] = [];
  private readonly pings: Ping[] = [];
  private lastPing = KEEPALIVE;
  /** When a PING of keepalive was sent that nothing has been heard after; NaN: none. */
  private askedAt = Number.NaN;

  constructor(socket: Socket, host: CallerHost, limits: ConnectionLimits, now: number) {
    super(socket, limits, host, now);
    this.host = host;
  }

  /** Calls back once what is in the output now is with the kernel; never within this call. */
  onceSent(call: () => void): void {
    this.taken.push(call);
  }

  /** Calls back once, true where the peer's HTTP/2 stack answers within `timeoutMs`. */
  ping(timeoutMs: number, done: (answered: boolean) => void): void {
    if (this.gone || this.ending) {
      done(false);
      return;
    }
    const id = ++this.lastPing;
    const timer = setTimeout(() => this.pinged(id, false), timeoutMs);
    this.pings.push({ id, timer, done });
    this.connection.ping(0, id);
  }

  /** So many octets more are held for one of its calls, or fewer. */
  hold(octets: number): void {
    this.heldBytes += octets;
    this.host.hold(octets);
  }

  override sent(): void {
    super.sent();
    if (this.taken.length === 0) return;
    const { taken } = this;
    this.taken = [];
    for (const call of taken) call();
  }

  // Handler of the connection

  headers(stream: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void {
    if (kind === HeadersKind.TRAILERS) {
      this.requestOver(stream);
      return;
    }
    const type = list.find(NameKind.CONTENT_TYPE);
    if (type < 0 || !isGrpc(list, type) || !list.valueIs(list.find(NameKind.METHOD), 'POST')) {
      this.host.replies.foreign(this.connection, stream, endStream);
      return;
    }
    const path = list.value(list.find(NameKind.PATH));
    const method = this.host.methodOf(path);
    if (method === undefined) {
      this.refuse(stream, endStream, Status.UNIMPLEMENTED, `no method ${path.slice(0, 200)} here`);
      return;
    }
    const timeout = list.find(Field.TIMEOUT);
    let timeoutMs = Number.POSITIVE_INFINITY;
    if (timeout >= 0) {
      const { buffer, start, end } = list.field(timeout);
      timeoutMs = parseTimeout(buffer, start, end);
      if (!(timeoutMs > 0)) {
        const given = `grpc-timeout '${list.value(timeout).slice(0, 20)}'`;
        if (timeoutMs === 0) this.refuse(stream, endStream, Status.DEADLINE_EXCEEDED, `${given} is over`);
        else this.refuse(stream, endStream, Status.INTERNAL, `${given} is malformed`);
        return;
      }
    }
    const encoding = list.find(Field.ENCODING);
    const coding = encoding < 0 ? 'identity' : list.value(encoding);
    // A stream that stays would hold it for nothing.
    const kept = method.kind === 'unary' ? list.kept() : undefined;
    const call = new ServedCall(this, stream, method, kept, this.lastRead + timeoutMs, coding);
    this.calls[stream] = call;
    call.begin(endStream);
  }

  data(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const call = this.calls[stream];
    // All that comes is taken: what is held for it is counted elsewhere.
    this.connection.credit(stream, end - start);
    if (call !== undefined) call.receive(buffer, start, end, endStream);
    else if (endStream) this.requestOver(stream);
  }

  reset(stream: number, _code: number, _cause: ResetCause): void {
    this.calls[stream]?.cancelled();
  }

  closed(stream: number): void {
    const call = this.calls[stream];
    this.calls[stream] = undefined;
    call?.closed();
    this.endIfLeft();
  }

  writable(stream: number): void {
    const call = this.calls[stream];
    if (call !== undefined) call.pump();
    else this.host.replies.foreignWritable(this.connection, stream);
  }

  override pong(_high: number, low: number): void {
    if (low === KEEPALIVE) this.askedAt = Number.NaN;
    else this.pinged(low, true);
  }

  settings(): void {}
  goaway(): void {
    // It opens no more calls; what is open goes on until it closes.
  }

  protected lost(): void {
    for (const { id } of [...this.pings]) this.pinged(id, false);
    this.taken = [];
    this.host.left(this);
  }

  protected override look(now: number): void {
    this.keepAlive(now);
  }

  protected override lookLeaving(now: number): void {
    this.keepAlive(now);
  }

  protected override tooSilent(): void {
    this.host.silent++;
    this.destroy();
  }

  private keepAlive(now: number): void {
    if (this.lastRead > this.askedAt) this.askedAt = Number.NaN;
    if (!Number.isNaN(this.askedAt)) {
      if (now - this.askedAt > CONTROL.keepaliveTimeoutMs) this.destroy();
    } else if (now - this.lastRead > CONTROL.keepaliveMs) {
      this.askedAt = now;
      this.connection.ping(0, KEEPALIVE);
    }
  }

  private pinged(id: number, answered: boolean): void {
    const at = this.pings.findIndex(ping => ping.id === id);
    const [ping] = at < 0 ? [] : this.pings.splice(at, 1);
    if (ping === undefined) return;
    clearTimeout(ping.timer);
    ping.done(answered);
  }

  /** Ends a stream that is no call, with what is wrong. */
  private refuse(stream: number, requestEnded: boolean, status: Status, message: string): void {
    const { connection } = this;
    this.host.replies.finish(connection, stream, status, message, false, 0);
    // RFC 9113 8.1: a server that has answered in full may ask for the rest of a request not to be sent.
    if (!requestEnded) connection.reset(stream, ErrorCode.NO_ERROR);
  }

  private requestOver(stream: number): void {
    const call = this.calls[stream];
    if (call !== undefined) call.halfClosed();
    else this.host.replies.foreignOver(this.connection, stream);
  }
}
