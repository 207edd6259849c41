/** What tests of the engine share: a handler that writes down what it is told, frames made by hand, a plain HPACK. */
import { HTTP2_LIMITS } from '../../src/core/limits.ts';
import {
  Connection,
  type ConnectionError,
  type ConnectionHandler,
  type ConnectionLimits,
  type HeaderList,
  HeadersKind,
  Http2Context,
  type ResetCause,
  type StreamFault,
} from '../../src/http2/http2.ts';

export type Fields = readonly (readonly [name: string, value: string])[];

export interface HeadersEvent {
  id: number;
  fields: [string, string][];
  kind: string;
  endStream: boolean;
}
export interface ResetEvent {
  id: number;
  code: number;
  cause: ResetCause;
  fault: StreamFault | undefined;
}

const KIND_NAMES = new Map(Object.entries(HeadersKind).map(([name, kind]) => [kind, name]));

/** One end of a connection with all that it was told; by default it credits what it gets. */
export class Endpoint implements ConnectionHandler {
  readonly connection: Connection;
  readonly heads: HeadersEvent[] = [];
  readonly #parts = new Map<number, Buffer[]>();
  readonly ended: number[] = [];
  readonly resets: ResetEvent[] = [];
  readonly closedIds: number[] = [];
  readonly pongs: [number, number][] = [];
  readonly goaways: { last: number; code: number; debug: string }[] = [];
  error: ConnectionError | undefined;
  settingsSeen = 0;
  autoCredit = true;
  keepBodies = true;
  /** Called from within events, for tests that act there. */
  onHeaders: ((slot: number, list: HeaderList, endStream: boolean) => void) | undefined;
  onData:
    | ((slot: number, buffer: Buffer, start: number, end: number, endStream: boolean) => void)
    | undefined;
  onWritable: ((slot: number) => void) | undefined;
  onReset: ((slot: number) => void) | undefined;
  readonly #ids = new Map<number, number>();
  now = 1_000;

  constructor(
    role: 'client' | 'server',
    context = new Http2Context(),
    limits: Partial<ConnectionLimits> = {},
  ) {
    this.connection = new Connection(role, context, this, { ...HTTP2_LIMITS, ...limits });
    this.connection.start();
  }

  receive(bytes: Buffer): void {
    this.connection.receive(bytes, 0, bytes.length, this.now);
  }

  /** All DATA of a stream so far. */
  body(id: number): Buffer {
    return Buffer.concat(this.#parts.get(id) ?? []);
  }

  /** All that waits to be written. */
  take(): Buffer {
    const out = Buffer.concat(this.connection.take());
    this.connection.written();
    return out;
  }

  headers(slot: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void {
    const id = this.connection.streamId(slot);
    this.#ids.set(slot, id);
    this.heads.push({ id, fields: list.toArray(), kind: KIND_NAMES.get(kind) ?? '?', endStream });
    if (endStream) this.ended.push(id);
    this.onHeaders?.(slot, list, endStream);
  }
  data(slot: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const id = this.connection.streamId(slot);
    const parts = this.#parts.get(id) ?? [];
    this.#parts.set(id, parts);
    if (this.keepBodies) parts.push(Buffer.from(buffer.subarray(start, end)));
    if (endStream) this.ended.push(id);
    if (this.autoCredit) this.connection.credit(slot, end - start);
    this.onData?.(slot, buffer, start, end, endStream);
  }
  reset(slot: number, code: number, cause: ResetCause, fault?: StreamFault): void {
    const id = this.connection.streamId(slot);
    if (id > 0) this.#ids.set(slot, id);
    this.resets.push({ id, code, cause, fault });
    this.onReset?.(slot);
  }
  closed(slot: number): void {
    this.closedIds.push(this.#ids.get(slot) ?? -1 - slot);
    this.#ids.delete(slot);
  }
  writable(slot: number): void {
    this.onWritable?.(slot);
  }
  output(): void {}
  settings(): void {
    this.settingsSeen++;
  }
  pong(high: number, low: number): void {
    this.pongs.push([high, low]);
  }
  goaway(last: number, code: number, debug: string): void {
    this.goaways.push({ last, code, debug });
  }
  failed(error: ConnectionError): void {
    this.error = error;
  }
}

export interface Frame {
  type: number;
  flags: number;
  id: number;
  payload: Buffer;
}

export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as Buffer);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, body]);
}

/** Cuts octets into frames; throws where they are no whole ones. */
export function framesOf(bytes: Buffer): Frame[] {
  const out: Frame[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 9 > bytes.length) throw new Error(`${bytes.length - at} octets are no frame`);
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) throw new Error('a frame is cut short');
    out.push({
      type: bytes[at + 3] as number,
      flags: bytes[at + 4] as number,
      id: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return out;
}

export function word(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const head: number[] = [];
  if (bytes.length < 127) head.push(bytes.length);
  else {
    head.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>= 7) head.push((rest & 127) | 128);
    head.push(rest);
  }
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** A header block of literals that touch no table: `pattern` 0x00, 0x10 (never) or 0x40 (indexing). */
export function block(fields: Fields, pattern = 0): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([pattern]), string(name), string(value)]),
  );
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const SETTINGS = frame(4, 0, 0);
export const SETTINGS_ACK = frame(4, 1, 0);
/** What a client begins with. */
export const HELLO = Buffer.concat([PREFACE, SETTINGS]);

export const REQUEST: Fields = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/echo.v1.EchoService/Echo'],
  [':authority', 'localhost'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

export const END_STREAM = 1;
export const END_HEADERS = 4;

export function headers(id: number, fields: Fields = REQUEST, flags = END_HEADERS): Buffer {
  return frame(1, flags, id, block(fields));
}

/** A server that has got a client's preface; what it said so far is thrown away. */
export function server(limits: Partial<ConnectionLimits> = {}, context?: Http2Context): Endpoint {
  const endpoint = new Endpoint('server', context, limits);
  endpoint.receive(HELLO);
  endpoint.receive(SETTINGS_ACK);
  endpoint.take();
  return endpoint;
}

/** A client that has got a server's SETTINGS. */
export function client(limits: Partial<ConnectionLimits> = {}, context?: Http2Context): Endpoint {
  const endpoint = new Endpoint('client', context, limits);
  endpoint.receive(SETTINGS);
  endpoint.receive(SETTINGS_ACK);
  endpoint.take();
  return endpoint;
}

/** The first frame of a type in what an endpoint has to write. */
export function find(frames: readonly Frame[], type: number): Frame | undefined {
  return frames.find(each => each.type === type);
}

/** Moves octets between two endpoints until both are silent. */
export function settle(a: Endpoint, b: Endpoint): void {
  for (;;) {
    const fromA = a.take();
    const fromB = b.take();
    if (fromA.length + fromB.length === 0) return;
    if (fromA.length > 0) b.receive(fromA);
    if (fromB.length > 0) a.receive(fromB);
  }
}

export const OPEN = END_HEADERS;
export const WHOLE = END_HEADERS | END_STREAM;
export const OK: Fields = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
export const TRAILERS: Fields = [['grpc-status', '0']];

/** The code of RST_STREAM on a stream in what an endpoint writes, −1 for none. */
export function resetCode(endpoint: Endpoint, id: number): number {
  const found = framesOf(endpoint.take()).find(each => each.type === 3 && each.id === id);
  return found === undefined ? -1 : found.payload.readUInt32BE(0);
}

export function goawayOf(endpoint: Endpoint): { last: number; code: number } | undefined {
  const found = find(framesOf(endpoint.take()), 7);
  return found && { last: found.payload.readUInt32BE(0), code: found.payload.readUInt32BE(4) };
}

/** A client with one stream whose request is sent. */
export function asking(endStream = true): { peer: Endpoint; slot: number } {
  const peer = client();
  const slot = peer.connection.open();
  peer.connection.sendList(slot, new Http2Context().listOf(REQUEST), endStream);
  peer.take();
  return { peer, slot };
}
