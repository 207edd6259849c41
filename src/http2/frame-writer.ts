/** Frames, written into an output. */
import { HTTP2_LIMITS } from '../core/limits.ts';
import { Flag, FRAME_HEADER_BYTES, FrameType, writeFrameHeader, writeWord } from './frames.ts';
import type { Output } from './output.ts';

/** Writes whole frames into an output. HEADERS only get their frame headers here, around a block that is there. */
export class FrameWriter {
  readonly #out: Output;
  // The DATA frame that was written last, as long as nothing came after it.
  #dataAt = 0;
  #dataEnd = -1;
  #dataStream = 0;
  #dataGeneration = 0;

  constructor(out: Output) {
    this.#out = out;
  }

  /** Writes a frame whose payload is small words. */
  words(type: number, flags: number, streamId: number, first: number, second?: number): void {
    const out = this.#out;
    const length = second === undefined ? 4 : 8;
    out.room(FRAME_HEADER_BYTES + length);
    writeFrameHeader(out.buffer, out.position, length, type, flags, streamId);
    writeWord(out.buffer, out.position + FRAME_HEADER_BYTES, first);
    if (second !== undefined) writeWord(out.buffer, out.position + FRAME_HEADER_BYTES + 4, second);
    out.position += FRAME_HEADER_BYTES + length;
  }

  /** Writes SETTINGS with these identifiers and values; the acknowledgement where there are none. */
  settings(values: readonly (readonly [id: number, value: number])[], ack: boolean): void {
    const out = this.#out;
    out.room(FRAME_HEADER_BYTES + values.length * 6);
    const flags = ack ? Flag.ACK : 0;
    writeFrameHeader(out.buffer, out.position, values.length * 6, FrameType.SETTINGS, flags, 0);
    out.position += FRAME_HEADER_BYTES;
    for (const [id, value] of values) {
      out.position = out.buffer.writeUInt16BE(id, out.position);
      out.position = out.buffer.writeUInt32BE(value, out.position);
    }
  }

  goaway(lastStreamId: number, code: number, debug: string): void {
    const out = this.#out;
    const text = Buffer.from(debug, 'utf8');
    out.room(FRAME_HEADER_BYTES + 8 + text.length);
    writeFrameHeader(out.buffer, out.position, 8 + text.length, FrameType.GOAWAY, 0, 0);
    writeWord(out.buffer, out.position + 9, lastStreamId);
    writeWord(out.buffer, out.position + 13, code);
    text.copy(out.buffer, out.position + 17);
    out.position += FRAME_HEADER_BYTES + 8 + text.length;
  }

  /**
   * Writes one DATA frame, or adds to the one before it if that is the stream's and nothing was written after it:
   * frames that arrived in pieces go on whole, and many tiny ones do not become as many writes' work further on.
   *
   * @returns whether it is a frame of its own
   */
  data(
    streamId: number,
    source: Buffer,
    start: number,
    end: number,
    endStream: boolean,
    maxBytes: number,
  ): boolean {
    const out = this.#out;
    const length = end - start;
    const joined = this.#dataEnd - this.#dataAt - FRAME_HEADER_BYTES + length;
    const joins =
      this.#dataEnd === out.position &&
      this.#dataStream === streamId &&
      this.#dataGeneration === out.generation &&
      joined <= maxBytes &&
      out.position + length <= HTTP2_LIMITS.slabBytes;
    if (joins) {
      out.room(length);
    } else {
      out.room(FRAME_HEADER_BYTES + length);
      this.#dataAt = out.position;
      this.#dataStream = streamId;
      this.#dataGeneration = out.generation;
      out.position += FRAME_HEADER_BYTES;
    }
    const flags = endStream ? Flag.END_STREAM : 0;
    writeFrameHeader(out.buffer, this.#dataAt, joins ? joined : length, FrameType.DATA, flags, streamId);
    if (length > 0) source.copy(out.buffer, out.position, start, end);
    out.position += length;
    this.#dataEnd = endStream ? -1 : out.position;
    return !joins;
  }

  /**
   * Finishes a header block that lies in the output from `at` on, behind room for its frame header: one HEADERS
   * frame, and CONTINUATION where it is longer than a frame.
   */
  headers(streamId: number, at: number, endStream: boolean, maxBytes: number): void {
    const out = this.#out;
    const length = out.position - at - FRAME_HEADER_BYTES;
    const end = endStream ? Flag.END_STREAM : 0;
    if (length <= maxBytes) {
      writeFrameHeader(out.buffer, at, length, FrameType.HEADERS, end | Flag.END_HEADERS, streamId);
      return;
    }
    const more = Math.ceil(length / maxBytes) - 1;
    const start = out.roomWithin(more * FRAME_HEADER_BYTES, at);
    const { buffer } = out;
    const body = start + FRAME_HEADER_BYTES;
    // From the last to the first, so that nothing is written over before it was moved.
    for (let i = more; i > 0; i--) {
      const from = body + i * maxBytes;
      const to = from + i * FRAME_HEADER_BYTES;
      const part = Math.min(maxBytes, length - i * maxBytes);
      buffer.copyWithin(to, from, from + part);
      const flags = i === more ? Flag.END_HEADERS : 0;
      writeFrameHeader(buffer, to - FRAME_HEADER_BYTES, part, FrameType.CONTINUATION, flags, streamId);
    }
    writeFrameHeader(buffer, start, maxBytes, FrameType.HEADERS, end, streamId);
    out.position += more * FRAME_HEADER_BYTES;
  }
}
