/**
 * Primitive values of the log's records as bytes.
 *
 *   byte    = 1 octet
 *   varint  = 1 to 8 octets: seven bits each, the lowest first, the high bit says that more follow; < 2^53
 *   double  = 8 octets, IEEE 754, little-endian
 *   float   = 4 octets, IEEE 754, little-endian
 *   number  = byte below 255: that number / 255 double: any other
 *   string  = varint: its length in octets, then that many of UTF-8
 *   block   = varint: its length in octets, then that many
 *
 * A reader never goes beyond its end, and takes memory for nothing whose length does not fit before it.
 */

/** What was read is not what the grammar says. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
}

const WIDE = 255;
/** Strings up to this many octets are remembered: ids, names, causes that come again and again. */
const REMEMBERED_OCTETS = 64;
const REMEMBERED = 2 ** 15;
/** Of each end of a string, what is looked at to find it. */
const HASHED_OCTETS = 8;

export class Writer {
  length = 0;
  #bytes: Buffer;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** What was written; valid until the next write. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  copy(): Buffer {
    return Buffer.from(this.view());
  }

  reset(): void {
    this.length = 0;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  bool(value: boolean): void {
    this.byte(value ? 1 : 0);
  }

  /** Throws a RangeError for what is no whole number from 0 to 2^53 − 1. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no count`);
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.length++] = rest;
  }

  double(value: number): void {
    this.#reserve(8);
    this.length = this.#bytes.writeDoubleLE(value, this.length);
  }

  float(value: number): void {
    this.#reserve(4);
    this.length = this.#bytes.writeFloatLE(value, this.length);
  }

  number(value: number): void {
    if (Number.isInteger(value) && value >= 0 && value < WIDE && !Object.is(value, -0)) {
      this.byte(value);
    } else {
      this.byte(WIDE);
      this.double(value);
    }
  }

  string(value: string): void {
    // No UTF-16 unit takes more than three octets.
    this.#reserve(value.length * 3 + 8);
    const octets = Buffer.byteLength(value);
    this.varint(octets);
    this.length += this.#bytes.write(value, this.length, octets, 'utf8');
  }

  block(part: Uint8Array): void {
    this.varint(part.length);
    this.raw(part);
  }

  raw(part: Uint8Array): void {
    this.#reserve(part.length);
    this.#bytes.set(part, this.length);
    this.length += part.length;
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length + more));
    wider.set(this.#bytes.subarray(0, this.length));
    this.#bytes = wider;
  }
}

/**
 * Strings that were read lately, by their octets, so that the same id is one string in all records:
 * making a string anew costs more than telling that it is there, and its hash is known then.
 */
class Strings {
  readonly #held: (string | undefined)[] = new Array(REMEMBERED);

  /** ASCII of 1 to `REMEMBERED_OCTETS` octets; undefined where it is anything else. */
  read(bytes: Buffer, start: number, end: number): string | undefined {
    // Its beginning and its end tell most strings apart: names count up at their end.
    let hash = end - start;
    const middle = Math.min(end, start + HASHED_OCTETS);
    for (let i = start; i < middle; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    for (let i = Math.max(middle, end - HASHED_OCTETS); i < end; i++) {
      hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    }
    const place = (hash ^ (hash >>> 15)) & (REMEMBERED - 1);
    const held = this.#held[place];
    if (held !== undefined && isSame(held, bytes, start, end)) return held;
    let all = 0;
    for (let i = start; i < end; i++) all |= bytes[i] as number;
    if (all > 0x7f) return undefined;
    const text = bytes.toString('latin1', start, end);
    this.#held[place] = text;
    return text;
  }
}

function isSame(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = start; i < end; i++) if (text.charCodeAt(i - start) !== bytes[i]) return false;
  return true;
}

const strings = new Strings();

export class Reader {
  offset = 0;
  end = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(bytes?: Uint8Array) {
    if (bytes !== undefined) this.open(bytes, 0, bytes.length);
  }

  /** Reads from `start` to `end` of these bytes from now on; nothing of them is copied. */
  open(bytes: Uint8Array, start: number, end: number): this {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = start;
    this.end = end;
    return this;
  }

  get left(): number {
    return this.end - this.offset;
  }

  byte(): number {
    if (this.offset >= this.end) throw new CodecError('ends too early');
    return this.#bytes[this.offset++] as number;
  }

  bool(): boolean {
    return this.byte() !== 0;
  }

  varint(): number {
    let value = this.byte();
    if (value < 0x80) return value;
    value &= 0x7f;
    for (let scale = 0x80; ; scale *= 0x80) {
      const octet = this.byte();
      value += (octet & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER || scale > 2 ** 49) throw new CodecError('a count above 2^53');
      if (octet < 0x80) return value;
    }
  }

  double(): number {
    const start = this.#skip(8);
    return this.#bytes.readDoubleLE(start);
  }

  float(): number {
    return this.#bytes.readFloatLE(this.#skip(4));
  }

  number(): number {
    const value = this.byte();
    return value < WIDE ? value : this.double();
  }

  string(): string {
    const octets = this.varint();
    if (octets === 0) return '';
    const start = this.#skip(octets);
    const known = octets <= REMEMBERED_OCTETS ? strings.read(this.#bytes, start, this.offset) : undefined;
    return known ?? this.#bytes.toString('utf8', start, this.offset);
  }

  /** A count of things that take at least `octets` each: as many must be left. */
  count(octets = 1): number {
    const count = this.varint();
    if (count * octets > this.left) throw new CodecError(`${count} items in ${this.left} octets`);
    return count;
  }

  /** Not copied: keep it only as long as the bytes that are read stay what they are. */
  block(): Buffer {
    const length = this.varint();
    const start = this.#skip(length);
    return this.#bytes.subarray(start, this.offset);
  }

  /** Reads a block from within: its end is the end until `leave`, which takes what this returned. */
  enter(): number {
    const outer = this.end;
    const length = this.varint();
    if (length > this.left) throw new CodecError(`${length} octets where ${this.left} are left`);
    this.end = this.offset + length;
    return outer;
  }

  /** Goes on behind the block. */
  leave(outer: number): void {
    this.offset = this.end;
    this.end = outer;
  }

  /** What lies between a place and the end. */
  copyFrom(start: number): Uint8Array {
    return Uint8Array.from(this.#bytes.subarray(start, this.end));
  }

  /** Steps over a number of octets and returns where they began. */
  #skip(octets: number): number {
    const start = this.offset;
    if (octets > this.end - start) throw new CodecError(`${octets} octets where ${this.left} are left`);
    this.offset = start + octets;
    return start;
  }
}
