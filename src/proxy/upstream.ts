/** A connection to a backend: many callers' calls, each a stream. */
import type { Socket } from 'node:net';
import { HTTP2_LIMITS, PROXY_LIMITS } from '../core/limits.ts';
import { formatTimeout, remainingMs } from '../grpc/timeout.ts';
import { errorName, type HeaderList, HeadersKind, ResetCause } from '../http2/http2.ts';
import type { Backend } from './backend.ts';
import type { Call, End } from './call.ts';
import { Field, isOurs } from './fields.ts';
import type { ProxyShared } from './shared.ts';
import { Transport } from './transport.ts';

/** A call's time is rewritten for the backend only where it was held up for longer than this, ms. */
const TIMEOUT_GRAIN_MS = 1;
/**
 * PINGs to a backend that answers no call meanwhile. A third one in five minutes is a strike at grpc-go
 * (keepalive.EnforcementPolicy), and after two strikes it closes the connection.
 */
const PINGS_UNANSWERED = 2;

export class Upstream extends Transport implements End {
  /** True once the backend has sent its SETTINGS: it takes calls. */
  ready = false;
  private readonly backend: Backend;
  private readonly shared: ProxyShared;
  private readonly begun: number;
  /** It owes answers and has been silent for long: no new calls. */
  private silent = false;
  /** Since when it owes an answer and has said nothing, ms. */
  private owedSince = 0;
  private pings = 0;
  private pinged = false;
  private lastUsed: number;
  private why = 'closed its connection';

  constructor(socket: Socket, backend: Backend, shared: ProxyShared, now: number) {
    super(socket, 'client', shared.context, HTTP2_LIMITS, shared.flusher, shared.sockets, now);
    this.backend = backend;
    this.shared = shared;
    this.begun = this.lastUsed = now;
    socket.once('connect', () => this.connection.start());
  }

  /** Whether it takes one more call now. */
  get open(): boolean {
    return this.ready && !this.silent && !this.gone && this.connection.canOpen;
  }

  /** Whether it may take calls again by itself. */
  get useful(): boolean {
    return !this.gone && !this.connection.leaving && !this.connection.ended;
  }

  /** Gives a call a stream; only where `open`. */
  carry(call: Call): void {
    const { connection } = this;
    const now = this.shared.now();
    if (connection.openStreams === 0) this.owedSince = now;
    const stream = connection.open();
    connection.setTag(stream, call.index);
    this.lastUsed = now;
    call.opened(this, stream);
  }

  /** Looks after it; to be called each `watchMs`. */
  watch(now: number): void {
    if (!this.ready) {
      if (now - this.begun > PROXY_LIMITS.connectMs)
        this.giveUp(`did not answer within ${PROXY_LIMITS.connectMs} ms`);
      return;
    }
    if (this.stalled(now)) {
      this.giveUp(`took nothing for ${PROXY_LIMITS.stalledWriteMs / 1000} s`);
      return;
    }
    if (this.connection.openStreams === 0) {
      this.silent = false;
      const idle = now - this.lastUsed > PROXY_LIMITS.upstreamIdleMs;
      if (idle || this.connection.leaving) this.end();
      return;
    }
    const spoke = this.lastRead > this.owedSince;
    if (spoke) {
      this.owedSince = this.lastRead;
      this.pinged = false;
      if (this.silent) {
        this.silent = false;
        this.backend.spoke(this);
      }
    }
    const silence = now - this.owedSince;
    if (silence > PROXY_LIMITS.silencePingMs && !this.pinged && this.pings < PINGS_UNANSWERED) {
      this.pinged = true;
      this.pings++;
      this.connection.ping(0, this.pings);
    }
    if (silence > this.patience() && !this.silent) {
      this.silent = true;
      this.backend.fellSilent(silence);
    }
    if (this.silent && silence > PROXY_LIMITS.silenceEndMs) {
      this.giveUp(`gave no sign of life for ${PROXY_LIMITS.silenceEndMs / 1000} s`);
    }
  }

  /** Silence that says that it does not live: a PING is answered whatever the calls take, without one they may take long. */
  private patience(): number {
    const slow = 3 * this.backend.slowestMs;
    return this.pinged
      ? PROXY_LIMITS.silenceMs
      : Math.max(PROXY_LIMITS.silenceMs, slow, PROXY_LIMITS.silenceEndMs);
  }

  private giveUp(why: string): void {
    this.why = why;
    this.destroy();
  }

  // End of a call

  sendHead(stream: number, call: Call, list: HeaderList, endStream: boolean): void {
    const { connection } = this;
    const now = this.shared.now();
    const late = !Number.isNaN(call.timeoutMs) && now - call.received > TIMEOUT_GRAIN_MS;
    if (!late && call.want === undefined && list.find(Field.RESERVED) < 0) {
      connection.sendList(stream, list, endStream);
      return;
    }
    connection.beginHeaders(stream);
    for (let i = 0; i < list.count; i++) {
      const { kind } = list.name(i);
      if (isOurs(kind)) continue;
      if (late && kind === Field.GRPC_TIMEOUT) {
        const left = remainingMs(call.timeoutMs, call.received, now);
        connection.addText(this.shared.fields.timeout, formatTimeout(left));
      } else {
        connection.addField(list, i);
      }
    }
    connection.endHeaders(endStream);
  }

  sendData(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    if (!this.connection.isSendable(stream)) return end - start;
    return this.connection.sendData(stream, buffer, start, end, endStream);
  }

  sendTrailers(stream: number, list: HeaderList): void {
    if (this.connection.isSendable(stream)) this.connection.sendList(stream, list, true);
  }

  credit(stream: number, octets: number): void {
    this.connection.credit(stream, octets);
  }

  abort(stream: number, code: number): void {
    this.connection.setTag(stream, -1);
    this.connection.reset(stream, code);
  }

  detach(stream: number): void {
    this.connection.setTag(stream, -1);
  }

  // Handler of the connection

  headers(stream: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void {
    this.pings = 0;
    const call = this.callOf(stream);
    if (call === undefined || kind === HeadersKind.INFORMATIONAL) return;
    if (kind === HeadersKind.TRAILERS) call.fromBackendTrailers(list);
    else call.fromBackendHead(list, endStream);
  }

  data(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    this.pings = 0;
    const call = this.callOf(stream);
    if (call === undefined) this.connection.credit(stream, end - start);
    else call.fromBackend(buffer, start, end, endStream);
  }

  reset(stream: number, code: number, cause: ResetCause): void {
    this.callOf(stream)?.fromBackendReset(code, cause, this.reasonOf(code, cause));
  }

  closed(stream: number): void {
    const call = this.callOf(stream);
    this.connection.setTag(stream, -1);
    call?.backendClosed();
    this.backend.roomAgain();
  }

  writable(stream: number): void {
    this.callOf(stream)?.pumpRequest();
  }

  settings(): void {
    if (!this.ready) {
      this.ready = true;
      this.backend.connected();
    }
    this.backend.roomAgain();
  }

  goaway(): void {
    // What it disowns is reset right after this and goes elsewhere; the rest of its calls may end.
    this.backend.leaving(this);
  }

  protected override broke(error: NodeJS.ErrnoException): void {
    this.why = error.code === 'ECONNRESET' ? 'reset its connection' : `cannot be reached: ${error.message}`;
  }

  protected lost(): void {
    this.backend.lost(this, this.why);
  }

  private callOf(stream: number): Call | undefined {
    const index = this.connection.tag(stream);
    return index < 0 ? undefined : this.shared.callAt(index);
  }

  private reasonOf(code: number, cause: ResetCause): string {
    switch (cause) {
      case ResetCause.CONNECTION:
        return this.why;
      case ResetCause.GOAWAY:
        return 'is leaving (GOAWAY)';
      case ResetCause.FAULT:
        return `broke the protocol (${errorName(code)})`;
      default:
        return `reset the call (${errorName(code)})`;
    }
  }
}
