/** A connection to a backend: many callers' calls, each a stream. */
import type { Socket } from 'node:net';
import { HTTP2_LIMITS, PROXY_LIMITS, TRANSPORT } from '../core/limits.ts';
import { formatTimeout, remainingMs } from '../grpc/timeout.ts';
import {
  errorName,
  type HeaderList,
  HeadersKind,
  ResetCause,
  STREAM_FAULTS,
  type StreamFault,
} from '../http2/http2.ts';
import { Transport } from '../transport/transport.ts';
import type { Backend } from './backend.ts';
import type { Call } from './call.ts';
import { stateOf, type UpstreamConnection } from './connections.ts';
import type { End } from './ends.ts';
import { Field, isOurs } from './fields.ts';
import { Liveness } from './liveness.ts';
import type { ProxyShared } from './shared.ts';

/** A call's time is rewritten for the backend only where it was held up for longer than this, ms. */
const TIMEOUT_GRAIN_MS = 1;

/**
 * What a stream holds is bounded by its own window, and how many streams there are by the callers' limits. A bound
 * for the connection as a whole would let some stalled callers stall all others that share it.
 */
const LIMITS = { ...HTTP2_LIMITS, heldBytes: Number.MAX_SAFE_INTEGER };

export class Upstream extends Transport implements End {
  /** True once the backend has sent its SETTINGS: it takes calls. */
  ready = false;
  private readonly backend: Backend;
  private readonly shared: ProxyShared;
  private readonly liveness = new Liveness();
  private readonly begun: number;
  private readySince = Number.NaN;
  private lastUsed: number;
  private why = 'closed its connection';

  constructor(socket: Socket, backend: Backend, shared: ProxyShared, now: number) {
    super(socket, 'client', LIMITS, shared, now);
    this.backend = backend;
    this.shared = shared;
    this.begun = this.lastUsed = now;
    socket.once('connect', () => this.connection.start());
  }

  /** Whether it takes one more call now. */
  get open(): boolean {
    return this.ready && !this.ending && !this.gone && !this.liveness.silent && this.connection.canOpen;
  }

  /** Whether it takes calls, or will once it is ready or has room. */
  get useful(): boolean {
    return !this.gone && !this.ending && !this.connection.leaving && !this.connection.ended;
  }

  get silent(): boolean {
    return this.liveness.silent;
  }

  /** As people see it. */
  describe(now: number, waiting: number): UpstreamConnection {
    const { id, address } = this.backend;
    const { openStreams, peerMaxStreams } = this.connection;
    return {
      serverId: id,
      address,
      ageMs: now - this.begun,
      state: stateOf(this),
      streams: openStreams,
      streamLimit: Number.isFinite(peerMaxStreams) ? peerMaxStreams : null,
      waiting,
    };
  }

  /** Gives a call a stream; only where `open`. @param now monotonic clock, ms */
  carry(call: Call, now: number): void {
    const { connection } = this;
    const stream = connection.open();
    connection.setTag(stream, call.index);
    this.liveness.began(now);
    this.lastUsed = now;
    call.opened(this, stream, now);
  }

  /** Looks after it; to be called each `watchMs`. */
  watch(now: number): void {
    const { connection, backend } = this;
    if (!this.ready) {
      if (now - this.begun > PROXY_LIMITS.connectMs)
        this.giveUp(`did not answer within ${PROXY_LIMITS.connectMs / 1000} s`);
      return;
    }
    if (this.stalled(now)) {
      this.giveUp(`took nothing for ${TRANSPORT.stalledWriteMs / 1000} s`);
      return;
    }
    if (this.ending) return;
    this.lookForLife(now);
    if (connection.openStreams > 0) return;
    if (connection.leaving || backend.isClosing || now - this.lastUsed > PROXY_LIMITS.upstreamIdleMs)
      this.end();
  }

  private lookForLife(now: number): void {
    const { connection, backend, liveness } = this;
    // With thousands of connections most have not been asked, and reading a p99 takes longer than all the rest.
    const slow = liveness.isAsked ? Math.min(3 * backend.latencies.p99(now), PROXY_LIMITS.silenceEndMs) : 0;
    const patience = Math.max(PROXY_LIMITS.silenceMs, slow);
    switch (liveness.look(now, this.lastRead, connection.openStreams, patience)) {
      case 'ask':
        connection.ping(0, 0);
        break;
      case 'silent':
        backend.fellSilent(this, now - this.lastRead);
        break;
      case 'spoke':
        backend.spoke();
        break;
      case 'dead':
        this.giveUp(`gave no sign of life for ${PROXY_LIMITS.silenceEndMs / 1000} s`);
        break;
      default:
    }
  }

  private giveUp(why: string): void {
    this.why = why;
    this.destroy();
  }

  // End of a call

  sendHead(stream: number, call: Call, list: HeaderList, endStream: boolean): void {
    const { connection } = this;
    const now = call.facts.openedAt;
    const late = now - call.received > TIMEOUT_GRAIN_MS && list.find(Field.GRPC_TIMEOUT) >= 0;
    const { forwards } = call;
    const changes = late || hasOurs(list);
    if (!changes && forwards === undefined) {
      connection.sendList(stream, list, endStream);
      return;
    }
    connection.beginHeaders(stream);
    if (!changes && forwards !== undefined && list.find(Field.TRACEPARENT) < 0) {
      // Nothing is left out, so that a list that is remembered is not encoded anew.
      connection.addList(list);
      connection.addText(this.shared.fields.traceparent, forwards);
      connection.endHeaders(endStream);
      return;
    }
    for (let i = 0; i < list.count; i++) {
      const { kind } = list.name(i);
      if (isOurs(kind) || (forwards !== undefined && kind === Field.TRACEPARENT)) continue;
      if (late && kind === Field.GRPC_TIMEOUT) {
        const left = remainingMs(call.timeoutMs, call.received, now);
        connection.addText(this.shared.fields.timeout, formatTimeout(left));
      } else {
        connection.addField(list, i);
      }
    }
    if (forwards !== undefined) connection.addText(this.shared.fields.traceparent, forwards);
    connection.endHeaders(endStream);
  }

  sendData(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    if (!this.connection.isSendable(stream)) return end - start;
    return this.connection.sendData(stream, buffer, start, end, endStream);
  }

  sendTrailers(stream: number, list: HeaderList): void {
    const { connection } = this;
    if (!connection.isSendable(stream)) return;
    connection.beginHeaders(stream);
    for (let i = 0; i < list.count; i++) if (!isOurs(list.name(i).kind)) connection.addField(list, i);
    connection.endHeaders(true);
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
    this.liveness.answered();
    this.backend.heardAt = this.lastRead;
    const call = this.callOf(stream);
    if (call === undefined || kind === HeadersKind.INFORMATIONAL) return;
    if (kind === HeadersKind.TRAILERS) {
      call.response.trailers(list);
      return;
    }
    this.backend.latencies.add(this.lastRead - call.sentAt, this.lastRead);
    call.facts.answeredAt = this.lastRead;
    call.response.head(list, endStream);
  }

  data(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    this.liveness.answered();
    this.backend.heardAt = this.lastRead;
    const call = this.callOf(stream);
    if (call === undefined) this.connection.credit(stream, end - start);
    else call.response.data(buffer, start, end, endStream);
  }

  reset(stream: number, code: number, cause: ResetCause, fault?: StreamFault): void {
    this.shared.counters.backendReset(cause, code);
    this.callOf(stream)?.backendReset(code, cause, this.reasonOf(code, cause, fault));
  }

  closed(stream: number): void {
    const call = this.callOf(stream);
    this.connection.setTag(stream, -1);
    call?.backendClosed();
    this.lastUsed = this.lastRead;
    this.backend.roomAgain();
  }

  writable(stream: number): void {
    this.callOf(stream)?.pumpRequest();
  }

  settings(): void {
    if (!this.ready) {
      this.ready = true;
      this.readySince = this.lastRead;
      this.shared.counters.connected++;
      this.backend.connected();
    }
    this.backend.roomAgain();
  }

  goaway(): void {
    this.shared.counters.goaways++;
    // What it disowns is reset right after this and goes elsewhere; the rest of its calls may end.
    this.shared.tellDraining(this, `backend ${this.backend.name} is leaving (GOAWAY)`);
    this.backend.roomAgain();
  }

  protected override broke(error: NodeJS.ErrnoException): void {
    this.why = error.code === 'ECONNRESET' ? 'reset its connection' : `cannot be reached: ${error.message}`;
  }

  protected lost(): void {
    this.backend.lost(this, this.shared.now() - this.readySince, this.why);
  }

  private callOf(stream: number): Call | undefined {
    const index = this.connection.tag(stream);
    return index < 0 ? undefined : this.shared.callAt(index);
  }

  /** In words that follow the backend's name. */
  private reasonOf(code: number, cause: ResetCause, fault: StreamFault | undefined): string {
    switch (cause) {
      case ResetCause.CONNECTION: {
        const { failure } = this.connection;
        return failure === undefined ? this.why : `broke the rules of HTTP/2: ${failure.message}`;
      }
      case ResetCause.GOAWAY:
        return 'is leaving (GOAWAY)';
      case ResetCause.FAULT:
        return `broke the rules of HTTP/2: ${fault === undefined ? errorName(code) : STREAM_FAULTS[fault].text}`;
      default:
        return `reset the call (${errorName(code)})`;
    }
  }
}

/** Whether there is anything that is for this hop alone. */
function hasOurs(list: HeaderList): boolean {
  return list.find(Field.RESERVED) >= 0 || list.find(Field.HASH_KEY) >= 0 || list.find(Field.ZONE) >= 0;
}
