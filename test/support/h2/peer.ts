/** One end of an HTTP/2 connection under a test's hand: it keeps the rules until it is told to break them. */
import type { Socket } from 'node:net';
import { Decoder, encode, type Field } from './hpack.ts';
import {
  Flag,
  type Frame,
  FrameReader,
  goaway,
  headers,
  PREFACE,
  ping,
  settingsAck,
  Type,
  unpadded,
  windowUpdate,
} from './wire.ts';

export interface PeerOptions {
  readonly role: 'client' | 'server';
  /** Whether it acknowledges SETTINGS and PING. Default true. */
  readonly acknowledges?: boolean;
  /** Whether it gives credit back for DATA that arrives. Default true. */
  readonly credits?: boolean;
}

/** What has come of one stream. Fields are joined by name; a second block is trailers. */
export interface Answer {
  headers: Record<string, string> | undefined;
  /** Blocks before the final one: interim responses. */
  interim: Record<string, string>[];
  data: Buffer[];
  trailers: Record<string, string> | undefined;
  /** END_STREAM has come. */
  ended: boolean;
  /** Code of RST_STREAM. */
  reset: number | undefined;
}

/** How the stream ended, beside what came. */
export interface Outcome extends Answer {
  /** The connection ended before the stream did. */
  readonly lost: boolean;
  readonly grpcStatus: number | undefined;
  readonly grpcMessage: string;
}

interface Stream extends Answer {
  readonly done: PromiseWithResolvers<Outcome>;
}

export class Peer {
  readonly socket: Socket;
  /** Every frame that came, in order. Large runs switch it off by `keep`. */
  readonly frames: Frame[] = [];
  keep = true;
  acknowledges: boolean;
  credits: boolean;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  isClosed = false;
  /** Settings of the other side. */
  readonly settings = new Map<number, number>();
  /** Last stream and code of the last GOAWAY that came. */
  goneAway: { last: number; code: number } | undefined;
  /** Called with each frame, after it was taken into account. */
  onFrame: (frame: Frame) => void = () => undefined;

  readonly #decoder = new Decoder();
  readonly #reader = new FrameReader();
  readonly #streams = new Map<number, Stream>();
  readonly #waiting = new Set<{ look: (frame: Frame) => boolean; resolve: (frame: Frame) => void }>();
  #block: { first: Frame; parts: Buffer[] } | undefined;
  #preface: number;

  constructor(socket: Socket, options: PeerOptions) {
    this.socket = socket;
    this.acknowledges = options.acknowledges ?? true;
    this.credits = options.credits ?? true;
    this.#preface = options.role === 'server' ? PREFACE.length : 0;
    socket.setNoDelay(true);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('data', chunk => this.#read(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
      for (const stream of this.#streams.values()) stream.done.resolve(outcomeOf(stream, true));
      resolve();
    });
  }

  /** Writes frames as they are. False where the socket's buffer is full. */
  send(...frames: readonly Uint8Array[]): boolean {
    if (this.isClosed) return false;
    this.socket.cork();
    let room = true;
    for (const each of frames) room = this.socket.write(each);
    this.socket.uncork();
    return room;
  }

  sendHeaders(stream: number, fields: readonly Field[], flags = 0): void {
    this.send(headers(stream, encode(fields), flags));
  }

  /** What comes of a stream; resolves when it has ended, been reset or lost with its connection. */
  outcome(id: number): Promise<Outcome> {
    return this.#stream(id).done.promise;
  }

  /** What has come of a stream so far. */
  answer(id: number): Answer {
    return this.#stream(id);
  }

  /** No more is kept of a stream. */
  forget(id: number): void {
    this.#streams.delete(id);
  }

  /** Resolves with the first frame, come or to come, that `look` accepts; rejects when the connection ends. */
  async next(look: (frame: Frame) => boolean, what = 'a frame'): Promise<Frame> {
    const come = this.frames.find(look);
    if (come !== undefined) return come;
    return this.later(look, what);
  }

  /** The same for frames to come alone. */
  async later(look: (frame: Frame) => boolean, what = 'a frame'): Promise<Frame> {
    const { promise, resolve } = Promise.withResolvers<Frame>();
    const waiting = { look, resolve };
    this.#waiting.add(waiting);
    const found = await Promise.race([promise, this.closed.then(() => undefined)]);
    this.#waiting.delete(waiting);
    if (found === undefined) throw new Error(`the connection ended before ${what} came`);
    return found;
  }

  /** A PING and its acknowledgement: all that was sent before has been read by the other side. */
  async roundTrip(payload = Buffer.from('heapmesh')): Promise<void> {
    const ack = this.later(
      each => each.type === Type.PING && (each.flags & Flag.ACK) !== 0,
      'the ack of a PING',
    );
    this.send(ping(payload));
    await ack;
  }

  goaway(last: number, code = 0): void {
    this.send(goaway(last, code));
  }

  /** Ends the connection by FIN. */
  end(): Promise<void> {
    this.socket.end();
    return this.closed;
  }

  /** Ends the connection by RST. */
  abort(): void {
    this.socket.resetAndDestroy();
  }

  #read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#preface > 0) {
      const skipped = Math.min(this.#preface, bytes.length);
      this.#preface -= skipped;
      bytes = bytes.subarray(skipped);
    }
    for (const each of this.#reader.push(bytes)) this.#take(each);
  }

  #take(raw: Frame): void {
    const each = this.#withFields(raw);
    if (this.keep) this.frames.push(each);
    this.#apply(each);
    this.onFrame(each);
    for (const waiting of this.#waiting) if (waiting.look(each)) waiting.resolve(each);
  }

  #withFields(each: Frame): Frame {
    if (each.type === Type.HEADERS) this.#block = { first: each, parts: [unpadded(each)] };
    else if (each.type === Type.CONTINUATION) this.#block?.parts.push(each.payload);
    else return each;
    if ((each.flags & Flag.END_HEADERS) === 0 || this.#block === undefined) return each;
    const { first, parts } = this.#block;
    this.#block = undefined;
    // END_STREAM stands on HEADERS, also where CONTINUATION ends the block.
    return { ...first, fields: this.#decoder.decode(Buffer.concat(parts)) };
  }

  #apply({ type, flags, stream: id, payload, fields }: Frame): void {
    const isAck = (flags & Flag.ACK) !== 0;
    if (type === Type.SETTINGS && !isAck) {
      for (let at = 0; at + 6 <= payload.length; at += 6) {
        this.settings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
      }
      if (this.acknowledges) this.send(settingsAck());
    } else if (type === Type.PING && !isAck) {
      if (this.acknowledges) this.send(ping(payload, Flag.ACK));
    } else if (type === Type.GOAWAY) {
      this.goneAway = { last: payload.readUInt32BE(0) & 0x7fffffff, code: payload.readUInt32BE(4) };
    } else if (type === Type.DATA) {
      const stream = this.#stream(id);
      if (this.keep) stream.data.push(unpadded({ type, flags, stream: id, payload }));
      if (this.credits && payload.length > 0) {
        const ends = (flags & Flag.END_STREAM) !== 0;
        this.send(windowUpdate(0, payload.length), ...(ends ? [] : [windowUpdate(id, payload.length)]));
      }
      this.#end(stream, flags);
    } else if (fields !== undefined) {
      const stream = this.#stream(id);
      const record = recordOf(fields);
      if (stream.headers !== undefined) stream.trailers = record;
      else if (/^1/.test(record[':status'] ?? '')) stream.interim.push(record);
      else stream.headers = record;
      this.#end(stream, flags);
    } else if (type === Type.RST_STREAM) {
      const stream = this.#stream(id);
      stream.reset = payload.readUInt32BE(0);
      stream.done.resolve(outcomeOf(stream, false));
    }
  }

  #end(stream: Stream, flags: number): void {
    if ((flags & Flag.END_STREAM) === 0) return;
    stream.ended = true;
    stream.done.resolve(outcomeOf(stream, false));
  }

  #stream(id: number): Stream {
    let stream = this.#streams.get(id);
    if (stream === undefined) {
      stream = {
        headers: undefined,
        interim: [],
        data: [],
        trailers: undefined,
        ended: false,
        reset: undefined,
        done: Promise.withResolvers<Outcome>(),
      };
      if (this.isClosed) stream.done.resolve(outcomeOf(stream, true));
      this.#streams.set(id, stream);
    }
    return stream;
  }
}

function outcomeOf(answer: Answer, lost: boolean): Outcome {
  const status = answer.trailers?.['grpc-status'] ?? answer.headers?.['grpc-status'];
  const text = answer.trailers?.['grpc-message'] ?? answer.headers?.['grpc-message'] ?? '';
  return {
    ...answer,
    lost,
    grpcStatus: status === undefined ? undefined : Number(status),
    grpcMessage: text,
  };
}

function recordOf(fields: readonly Field[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (const [name, value] of fields) {
    record[name] = name in record ? `${record[name]}, ${value}` : value;
  }
  return record;
}
