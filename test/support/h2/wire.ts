/** Frames of HTTP/2 (RFC 9113) made by hand: also such as no well-behaved peer would send. */
import type { Field } from './hpack.ts';

export const Type = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

export const Code = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
} as const;

export const Setting = {
  HEADER_TABLE_SIZE: 1,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
} as const;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
  /** The decoded block, with the frame that ends it. */
  readonly fields?: readonly Field[];
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const out = Buffer.allocUnsafe(9 + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(stream, 5);
  out.set(payload, 9);
  return out;
}

export function uint32(...values: number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => {
    out.writeUInt32BE(value >>> 0, 4 * index);
  });
  return out;
}

export function settings(values: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(6 * values.length);
  values.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  });
  return frame(Type.SETTINGS, 0, 0, payload);
}

export const settingsAck = (): Buffer => frame(Type.SETTINGS, Flag.ACK, 0);
export const ping = (payload: Uint8Array = Buffer.alloc(8), flags = 0): Buffer =>
  frame(Type.PING, flags, 0, payload);
export const reset = (stream: number, code: number): Buffer =>
  frame(Type.RST_STREAM, 0, stream, uint32(code));
export const goaway = (last: number, code = 0): Buffer => frame(Type.GOAWAY, 0, 0, uint32(last, code));
export const windowUpdate = (stream: number, bytes: number): Buffer =>
  frame(Type.WINDOW_UPDATE, 0, stream, uint32(bytes));
export const headers = (stream: number, block: Uint8Array, flags = 0): Buffer =>
  frame(Type.HEADERS, Flag.END_HEADERS | flags, stream, block);

export function data(stream: number, payload: Uint8Array, flags = 0): Buffer {
  return frame(Type.DATA, flags, stream, payload);
}

/** DATA with `padding` bytes of padding beside the byte that says so. */
export function paddedData(stream: number, payload: Uint8Array, padding: number, flags = 0): Buffer {
  const all = Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]);
  return frame(Type.DATA, Flag.PADDED | flags, stream, all);
}

/** A gRPC message: not compressed, length, bytes. */
export function message(bytes: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from([0]), uint32(bytes.length), bytes]);
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Frame> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 9) {
      const end = 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      yield {
        type: bytes[3] as number,
        flags: bytes[4] as number,
        stream: bytes.readUInt32BE(5) & 0x7fffffff,
        payload: bytes.subarray(9, end),
      };
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }
}

/** The payload of a frame without padding and priority. */
export function unpadded({ type, flags, payload }: Frame): Buffer {
  let start = 0;
  let end = payload.length;
  if ((flags & Flag.PADDED) !== 0 && (type === Type.DATA || type === Type.HEADERS)) {
    end -= payload[0] as number;
    start = 1;
  }
  if (type === Type.HEADERS && (flags & Flag.PRIORITY) !== 0) start += 5;
  return payload.subarray(start, end);
}
