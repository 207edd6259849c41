/**
 * An HTTP/2 connection to one server for calls of our own: checks and load. Few, small, and many servers at once:
 * the frame engine takes some 3 KiB a connection where a grpc-js channel takes some 100. All share one buffer to
 * read into.
 */
import { connect, type Socket } from 'node:net';
import { formatHostPort } from '../core/host-port.ts';
import { HEALTH_LIMITS } from '../core/limits.ts';
import { PREFIX_BYTES } from '../grpc/framing.ts';
import { decodeMessage } from '../grpc/message.ts';
import { parseStatus, Status, statusOfHttp, statusOfReset } from '../grpc/status.ts';
import {
  Connection,
  type ConnectionError,
  type ConnectionHandler,
  ErrorCode,
  type HeaderList,
  type HeaderName,
  HeadersKind,
  Http2Context,
  NameKind,
  ResetCause,
} from '../http2/http2.ts';

const Field = { GRPC_STATUS: NameKind.FIRST_FREE, GRPC_MESSAGE: NameKind.FIRST_FREE + 1 } as const;

/** What all links of a process share. */
export class LinkContext {
  readonly http2 = new Http2Context({
    classify: name =>
      name === 'grpc-status' ? Field.GRPC_STATUS : name === 'grpc-message' ? Field.GRPC_MESSAGE : 0,
  });
  readonly path: HeaderName = this.http2.names.named(':path');
  readonly authority: HeaderName = this.http2.names.named(':authority');
  /** The head of each call but for `:authority` and `:path`. */
  readonly pseudo: HeaderList = this.http2.listOf([
    [':method', 'POST'],
    [':scheme', 'http'],
  ]);
  readonly rest: HeaderList = this.http2.listOf([
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['user-agent', 'heapmesh'],
  ]);
  readonly input: Buffer = Buffer.allocUnsafeSlow(16 * 1024);
  readonly now: () => number;
  readonly onError: (error: unknown) => void;

  /** @param now monotonic clock, ms @param onError hears of faults of our own */
  constructor(now: () => number, onError: (error: unknown) => void) {
    this.now = now;
    this.onError = onError;
  }
}

export interface LinkEvents {
  /** The server has sent its SETTINGS: it speaks HTTP/2. */
  ready(): void;
  pong(): void;
  /** The connection is over; its calls have been ended before. */
  lost(why: string): void;
}

/** How a call of ours ended. */
export interface CallEnd {
  readonly status: Status;
  readonly message: string;
  /** The answer had an HTTP status other than 200, or no gRPC in it: it is no gRPC error. */
  readonly http: boolean;
  /** Nothing of it was looked at by the server: it may be made again at once. */
  readonly untouched: boolean;
  /** The connection was lost under it. */
  readonly lost: boolean;
}

export interface CallEvents {
  message(octets: Buffer): void;
  end(end: CallEnd): void;
}

interface OpenCall {
  readonly stream: number;
  readonly events: CallEvents;
  body: Buffer;
  httpStatus: number;
  status: Status | undefined;
  text: string;
}

export class Link implements ConnectionHandler {
  /** The server has sent its SETTINGS. */
  ready = false;
  /** Somebody has accepted the connection. */
  connected = false;
  private readonly context: LinkContext;
  private readonly events: LinkEvents;
  private readonly authorityText: string;
  private readonly socket: Socket;
  private readonly connection: Connection;
  private readonly calls: OpenCall[] = [];
  private queued = false;
  private writing = false;
  private over = false;
  private why = 'closed its connection';

  constructor(context: LinkContext, host: string, port: number, events: LinkEvents) {
    this.context = context;
    this.events = events;
    this.authorityText = formatHostPort(host, port);
    this.connection = new Connection('client', context.http2, this);
    const { input } = context;
    this.socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: input,
        callback: length => {
          this.connection.receive(input, 0, length, context.now());
          return true;
        },
      },
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.why = error.code === 'ECONNRESET' ? 'reset its connection' : `cannot be reached: ${error.message}`;
    });
    this.socket.once('connect', () => {
      this.connected = true;
      this.connection.start();
    });
    this.socket.once('close', () => this.lose());
  }

  /** Whether a call can be made now. */
  get open(): boolean {
    return this.ready && !this.over && this.connection.canOpen;
  }

  /** Whether a stream that stays open leaves room for a check beside it. */
  get roomy(): boolean {
    return this.open && this.connection.peerMaxStreams - this.calls.length >= 2;
  }

  /** Whether it is of no more use: gone, or the server wants no more calls on it. */
  get spent(): boolean {
    return this.over || this.connection.leaving || this.connection.ended;
  }

  /** Whether the server has said that it ends this connection. */
  get left(): boolean {
    return this.connection.leaving;
  }

  /** Makes a call with one message. Only where `open`. Returns what cancels it. */
  call(path: string, request: Uint8Array, events: CallEvents): () => void {
    const { connection, context } = this;
    const stream = connection.open();
    const call: OpenCall = { stream, events, body: EMPTY, httpStatus: 0, status: undefined, text: '' };
    this.calls.push(call);
    connection.beginHeaders(stream);
    connection.addList(context.pseudo);
    connection.addText(context.authority, this.authorityText);
    connection.addText(context.path, path);
    connection.addList(context.rest);
    connection.endHeaders(false);
    const framed = Buffer.alloc(PREFIX_BYTES + request.length);
    framed.writeUInt32BE(request.length, 1);
    framed.set(request, PREFIX_BYTES);
    // A request of ours is smaller than any window that a server begins with, or the check may fail.
    connection.sendData(stream, framed, 0, framed.length, true);
    return () => {
      if (!this.forget(call)) return;
      connection.reset(stream, ErrorCode.CANCEL);
    };
  }

  ping(): void {
    this.connection.ping(0, 0);
  }

  /** Ends it, with a last word to the server where it can take one. */
  close(): void {
    if (this.over) return;
    // Where nobody has answered yet there is nobody to tell, and the machine may try for minutes.
    if (!this.connected) {
      this.destroy();
      return;
    }
    this.connection.leave();
    this.flush();
    this.lose();
    this.socket.end();
    this.socket.destroySoon();
  }

  /** Ends it at once. */
  destroy(): void {
    this.lose();
    this.socket.destroy();
  }

  private lose(): void {
    if (this.over) return;
    this.over = true;
    this.connection.lost();
    this.events.lost(this.why);
  }

  private find(stream: number): OpenCall | undefined {
    return this.calls.find(call => call.stream === stream);
  }

  private forget(call: OpenCall): boolean {
    const at = this.calls.indexOf(call);
    if (at >= 0) this.calls.splice(at, 1);
    return at >= 0;
  }

  private finish(call: OpenCall, end: Partial<CallEnd> & Pick<CallEnd, 'status' | 'message'>): void {
    if (!this.forget(call)) return;
    call.events.end({ http: false, untouched: false, lost: false, ...end });
  }

  // Of the connection

  output(): void {
    if (this.queued || this.over) return;
    this.queued = true;
    queueMicrotask(() => this.flush());
  }

  private flush(): void {
    this.queued = false;
    if (this.writing || this.over) return;
    const buffers = this.connection.take();
    const last = buffers.length - 1;
    if (last < 0) return;
    this.writing = true;
    for (let i = 0; i < last; i++) this.socket.write(buffers[i] as Uint8Array);
    this.socket.write(buffers[last] as Uint8Array, () => {
      this.writing = false;
      if (this.over) return;
      this.connection.written();
      if (this.connection.outputBytes > 0) this.output();
    });
  }

  settings(): void {
    if (this.ready) return;
    this.ready = true;
    this.events.ready();
  }

  headers(stream: number, list: HeaderList, kind: HeadersKind): void {
    const call = this.find(stream);
    if (call === undefined || kind === HeadersKind.INFORMATIONAL) return;
    if (kind === HeadersKind.RESPONSE) call.httpStatus = list.status;
    const status = list.find(Field.GRPC_STATUS);
    if (status < 0) return;
    const field = list.field(status);
    call.status = parseStatus(field.buffer, field.start, field.end);
    const text = list.find(Field.GRPC_MESSAGE);
    if (text >= 0) call.text = decodeMessage(list.value(text));
  }

  data(stream: number, buffer: Buffer, start: number, end: number): void {
    const call = this.find(stream);
    this.connection.credit(stream, end - start);
    if (call === undefined || end === start) return;
    if (call.httpStatus !== 200) return;
    let body =
      call.body.length === 0
        ? buffer.subarray(start, end)
        : Buffer.concat([call.body, buffer.subarray(start, end)]);
    while (body.length >= PREFIX_BYTES) {
      const length = body.readUInt32BE(1);
      if (length > HEALTH_LIMITS.answerBytes || body[0] !== 0) {
        this.finish(call, { status: Status.INTERNAL, message: 'its answer is no small gRPC message' });
        this.connection.reset(stream, ErrorCode.CANCEL);
        return;
      }
      if (body.length < PREFIX_BYTES + length) break;
      call.events.message(body.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
      body = body.subarray(PREFIX_BYTES + length);
    }
    // What came is in a buffer that all share.
    call.body = body.length === 0 ? EMPTY : Buffer.from(body);
  }

  reset(stream: number, code: number, cause: ResetCause): void {
    const call = this.find(stream);
    if (call === undefined) return;
    // RFC 9113 8.1: a server that has answered whole may reset what it does not want to read; that is no fault.
    if (call.status !== undefined) return;
    const lost = cause === ResetCause.CONNECTION;
    const untouched = cause === ResetCause.GOAWAY || code === ErrorCode.REFUSED_STREAM;
    const message = lost ? this.why : `reset the call (code ${code})`;
    this.finish(call, { status: lost ? Status.UNAVAILABLE : statusOfReset(code), message, untouched, lost });
  }

  closed(stream: number): void {
    const call = this.find(stream);
    if (call === undefined) return;
    const http = call.status === undefined;
    const status = call.status ?? (call.httpStatus === 200 ? Status.UNKNOWN : statusOfHttp(call.httpStatus));
    this.finish(call, { status, message: http ? `HTTP status ${call.httpStatus}` : call.text, http });
  }

  writable(): void {}

  pong(): void {
    this.events.pong();
  }

  goaway(): void {}

  failed(error: ConnectionError): void {
    if (error.fault === 'ENGINE') this.context.onError(error.cause ?? error);
    this.why = `broke the rules of HTTP/2: ${error.message}`;
    this.flush();
    this.lose();
    this.socket.destroySoon();
  }
}

const EMPTY = Buffer.alloc(0);
