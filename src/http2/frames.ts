/**
 * Frames (RFC 9113 sections 4 and 6), read from chunks of any size. Writing them is in `frame-writer.ts`.
 *
 *     Length (24) | Type (8) | Flags (8) | Reserved (1) Stream Identifier (31) | Payload
 */
import { ConnectionError } from './errors.ts';

export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const Flag = {
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

export const FRAME_HEADER_BYTES = 9;

/** RFC 9113 3.4. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

const ON_STREAM = 1;
const ON_CONNECTION = 2;

interface FrameRule {
  /** Where it may come: on a stream, on the connection (stream 0), or both. */
  readonly where: number;
  readonly minBytes: number;
  readonly maxBytes: number;
}

const ANY = Number.POSITIVE_INFINITY;

/**
 * What the header of a frame must be, by type. PRIORITY of a wrong length is an error of its stream only
 * (RFC 9113 6.3), so it is left to who knows streams; so is SETTINGS of a length that is no multiple of 6.
 */
const RULES: readonly FrameRule[] = [
  { where: ON_STREAM, minBytes: 0, maxBytes: ANY }, // DATA
  { where: ON_STREAM, minBytes: 0, maxBytes: ANY }, // HEADERS
  { where: ON_STREAM, minBytes: 0, maxBytes: ANY }, // PRIORITY
  { where: ON_STREAM, minBytes: 4, maxBytes: 4 }, // RST_STREAM
  { where: ON_CONNECTION, minBytes: 0, maxBytes: ANY }, // SETTINGS
  { where: ON_STREAM, minBytes: 4, maxBytes: ANY }, // PUSH_PROMISE
  { where: ON_CONNECTION, minBytes: 8, maxBytes: 8 }, // PING
  { where: ON_CONNECTION, minBytes: 8, maxBytes: ANY }, // GOAWAY
  { where: ON_STREAM | ON_CONNECTION, minBytes: 4, maxBytes: 4 }, // WINDOW_UPDATE
  { where: ON_STREAM, minBytes: 0, maxBytes: ANY }, // CONTINUATION
];

// RFC 9113 4.1: "Implementations MUST ignore and discard frames of unknown types."
const UNKNOWN: FrameRule = { where: ON_STREAM | ON_CONNECTION, minBytes: 0, maxBytes: ANY };

/** Who gets the frames. DATA comes in parts, as its octets arrive; all other frames come whole. */
export interface FrameSink {
  /**
   * The header of a DATA frame.
   *
   * @param length of the payload, padding included
   */
  dataBegins(streamId: number, flags: number, length: number): void;
  /**
   * A part of the payload of that frame.
   *
   * @param last whether it is the last part: it comes for each frame, empty if need be
   */
  dataPart(buffer: Buffer, start: number, end: number, last: boolean): void;
  /** The octets of padding and of its length field, after the last part of such a frame. */
  dataPadding(octets: number): void;
  /** Any other frame, of unknown types too. The payload is `buffer[start, end)`. */
  frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void;
}

const PREFACE_STATE = 0;
const HEADER = 1;
const PAYLOAD = 2;
const PAD_LENGTH = 3;
const DATA = 4;
const PADDING = 5;

/** Cuts chunks into frames. Holds no more than one frame that is not DATA. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  #state: number;
  #held: Buffer = EMPTY; // a header, payload or preface that came in pieces
  #have = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #length = 0; // of the payload
  #left = 0; // of DATA, octets still to come
  #padding = 0;
  #padField = 0;
  #stopped = false;

  /**
   * @param expectPreface whether the peer is a client
   * @param maxFrameBytes SETTINGS_MAX_FRAME_SIZE as we advertise it
   */
  constructor(sink: FrameSink, expectPreface: boolean, maxFrameBytes: number) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
    this.#state = expectPreface ? PREFACE_STATE : HEADER;
  }

  /** Reads no more, not even the rest of the chunk that is being read. */
  stop(): void {
    this.#stopped = true;
    this.#held = EMPTY;
  }

  /**
   * Reads one chunk.
   *
   * @throws ConnectionError by the rules of frames, and whatever the sink throws
   */
  read(chunk: Buffer, start: number, end: number): void {
    let at = start;
    while (!this.#stopped) {
      switch (this.#state) {
        case HEADER:
          if (this.#have === 0 && end - at >= FRAME_HEADER_BYTES) {
            this.#header(chunk, at);
            at += FRAME_HEADER_BYTES;
            break;
          }
          if (at === end) return;
          at = this.#gather(chunk, at, end, FRAME_HEADER_BYTES);
          if (this.#have < FRAME_HEADER_BYTES) return;
          this.#have = 0;
          this.#header(this.#held, 0);
          break;
        case PAYLOAD: {
          const length = this.#length;
          if (this.#have === 0 && end - at >= length) {
            this.#state = HEADER;
            at += length;
            this.#sink.frame(this.#type, this.#flags, this.#streamId, chunk, at - length, at);
            break;
          }
          if (at === end) return;
          at = this.#gather(chunk, at, end, length);
          if (this.#have < length) return;
          const held = this.#held;
          this.#have = 0;
          if (held.length > SMALL) this.#held = EMPTY;
          this.#state = HEADER;
          this.#sink.frame(this.#type, this.#flags, this.#streamId, held, 0, length);
          break;
        }
        case PAD_LENGTH:
          if (at === end) return;
          this.#padLength(chunk[at++] as number);
          break;
        case DATA: {
          if (at === end && this.#left > 0) return;
          const taken = Math.min(this.#left, end - at);
          this.#left -= taken;
          at += taken;
          const last = this.#left === 0;
          if (last) this.#state = this.#padField > 0 ? PADDING : HEADER;
          this.#sink.dataPart(chunk, at - taken, at, last);
          break;
        }
        case PADDING: {
          const skipped = Math.min(this.#padding, end - at);
          this.#padding -= skipped;
          at += skipped;
          if (this.#padding > 0) return;
          this.#state = HEADER;
          this.#sink.dataPadding(this.#padField);
          break;
        }
        default:
          if (at === end) return;
          at = this.#preface(chunk, at, end);
      }
    }
  }

  #preface(chunk: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#have < PREFACE.length) {
      // RFC 9113 3.4: "Clients and servers MUST treat an invalid connection preface as a connection error".
      if (chunk[at++] !== PREFACE[this.#have++]) throw new ConnectionError('BAD_PREFACE');
    }
    if (this.#have === PREFACE.length) {
      this.#have = 0;
      this.#state = HEADER;
    }
    return at;
  }

  #gather(chunk: Buffer, start: number, end: number, want: number): number {
    if (this.#held.length < want) {
      const held = Buffer.allocUnsafeSlow(Math.max(want, SMALL));
      this.#held.copy(held, 0, 0, this.#have);
      this.#held = held;
    }
    const taken = Math.min(want - this.#have, end - start);
    chunk.copy(this.#held, this.#have, start, start + taken);
    this.#have += taken;
    return start + taken;
  }

  #header(buffer: Buffer, at: number): void {
    const length =
      ((buffer[at] as number) << 16) | ((buffer[at + 1] as number) << 8) | (buffer[at + 2] as number);
    const type = buffer[at + 3] as number;
    const flags = buffer[at + 4] as number;
    // RFC 9113 4.1: the reserved bit "MUST be ignored when receiving".
    const streamId = readWord(buffer, at + 5) & 0x7fffffff;
    // RFC 9113 4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined
    // in SETTINGS_MAX_FRAME_SIZE". For DATA an error of the stream would do; no sane peer does it.
    if (length > this.#maxFrameBytes)
      throw new ConnectionError('FRAME_TOO_LONG', `type ${type}, ${length} octets`);
    const rule = RULES[type] ?? UNKNOWN;
    if ((rule.where & (streamId === 0 ? ON_CONNECTION : ON_STREAM)) === 0) {
      throw new ConnectionError(streamId === 0 ? 'STREAM_ZERO' : 'STREAM_NOT_ZERO', `type ${type}`);
    }
    if (length < rule.minBytes || length > rule.maxBytes) {
      throw new ConnectionError('FRAME_LENGTH', `type ${type}, ${length} octets`);
    }
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    this.#length = length;
    if (type !== FrameType.DATA) {
      this.#state = PAYLOAD;
      return;
    }
    this.#left = length;
    this.#padding = 0;
    this.#padField = 0;
    if ((flags & Flag.PADDED) === 0) {
      this.#state = DATA;
    } else {
      if (length === 0) throw new ConnectionError('FRAME_LENGTH', 'padded DATA of 0 octets');
      this.#state = PAD_LENGTH;
    }
    this.#sink.dataBegins(streamId, flags, length);
  }

  #padLength(padding: number): void {
    // RFC 9113 6.1: "If the length of the padding is the length of the frame payload or greater, the recipient
    // MUST treat this as a connection error of type PROTOCOL_ERROR."
    if (padding >= this.#length) throw new ConnectionError('PADDING', `${padding} of ${this.#length} octets`);
    this.#padding = padding;
    this.#padField = padding + 1;
    this.#left = this.#length - 1 - padding;
    this.#state = DATA;
  }
}

const EMPTY = Buffer.alloc(0);
/** What a reader keeps to gather small frames in: headers of frames, PING, WINDOW_UPDATE, RST_STREAM, SETTINGS. */
const SMALL = 64;

/** A 32-bit number, as a signed one: mask it where the top bit counts. */
export function readWord(buffer: Uint8Array, at: number): number {
  return (
    ((buffer[at] as number) << 24) |
    ((buffer[at + 1] as number) << 16) |
    ((buffer[at + 2] as number) << 8) |
    (buffer[at + 3] as number)
  );
}

/** Writes the header of a frame at a place of a buffer. */
export function writeFrameHeader(
  out: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  writeWord(out, at + 5, streamId);
}

export function writeWord(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
