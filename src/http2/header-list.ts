/**
 * A decoded header list: places of octets, not strings.
 *
 * Two kinds: the one list that a context decodes into, whose fields are good until the callback that got it
 * returns, and remembered lists, which own their octets and never change.
 */
import { HTTP2_LIMITS } from '../core/limits.ts';
import type { StreamFault } from './errors.ts';
import { type HeaderName, hashOf, KINDS } from './hpack/names.ts';
import { copyOctets } from './hpack/strings.ts';

/** How a field came, and so how it may go on. Bits. */
export const FieldFlag = {
  /** By reference to the dynamic table: its sender has sent it before, so it is worth an entry further on. */
  INDEXED: 1,
  /** RFC 7541 6.2.3: must not be put into any table, here or further on. */
  NEVER_INDEXED: 2,
} as const;

export class HeaderList {
  /** Fields it has. */
  count = 0;
  /** Its size as RFC 9113 6.5.2 counts it. */
  bytes = 0;
  /** True where fields were left out because the list was over a limit. */
  tooLarge = false;
  /** The first thing that is wrong with a name or value; undefined where all are valid. */
  fault: StreamFault | undefined = undefined;
  /** Above 0 for a remembered list, and different for each. */
  serial = 0;
  /** For the engine's user: what it found out about a remembered list, to be found again with it. */
  attachment: unknown = undefined;
  /** Kinds of header block that this list was found to be valid as; bits of `HeadersKind`. */
  validAs = 0;
  /** Content-length that was found by validation; −1 for none. */
  contentLength = -1;
  /** `:status` that was found by validation; 0 for none. */
  status = 0;

  readonly capacity: number;
  readonly names: HeaderName[];
  /** Where each value is: `buffers[i]` from `starts[i]` to `ends[i]`. */
  readonly buffers: Buffer[];
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** See `FieldFlag`. */
  readonly flags: Uint8Array;
  /** Index in the static table that has name and value, 0 for none. */
  readonly statics: Uint8Array;
  /** Hash of name and value; 0 for literals of a list that is not remembered. */
  readonly hashes: Int32Array;
  /** The value as a string literal of HPACK, as it came: in `block` from here to there; 0, 0 for none. */
  readonly literalStarts: Int32Array;
  readonly literalEnds: Int32Array;
  block: Buffer = EMPTY;
  #octets: Buffer = EMPTY; // its own, where it takes copies
  readonly #first = new Int16Array(KINDS); // place + 1 of the first field of each kind

  /** @param capacity most fields that it can have */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.names = new Array(capacity);
    this.buffers = new Array(capacity);
    this.starts = new Int32Array(capacity);
    this.ends = new Int32Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.statics = new Uint8Array(capacity);
    this.hashes = new Int32Array(capacity);
    this.literalStarts = new Int32Array(capacity);
    this.literalEnds = new Int32Array(capacity);
  }

  /** Empties it for the next block. */
  clear(block: Buffer): void {
    this.count = 0;
    this.bytes = 0;
    this.tooLarge = false;
    this.fault = undefined;
    this.validAs = 0;
    this.contentLength = -1;
    this.status = 0;
    this.attachment = undefined;
    this.block = block;
    this.#first.fill(0);
  }

  /** Appends a field; there must be room. */
  add(
    name: HeaderName,
    buffer: Buffer,
    start: number,
    end: number,
    flags: number,
    staticIndex: number,
    hash: number,
    literalStart: number,
    literalEnd: number,
  ): void {
    const i = this.count++;
    this.names[i] = name;
    this.buffers[i] = buffer;
    this.starts[i] = start;
    this.ends[i] = end;
    this.flags[i] = flags;
    this.statics[i] = staticIndex;
    this.hashes[i] = hash;
    this.literalStarts[i] = literalStart;
    this.literalEnds[i] = literalEnd;
    if (this.#first[name.kind] === 0) this.#first[name.kind] = i + 1;
  }

  /** The place of the first field whose name has this kind, −1 for none. */
  find(kind: number): number {
    return (this.#first[kind] as number) - 1;
  }

  /** The place of the first field with this name, −1 for none. */
  findName(text: string): number {
    for (let i = 0; i < this.count; i++) if (this.name(i).text === text) return i;
    return -1;
  }

  name(i: number): HeaderName {
    return this.names[i] as HeaderName;
  }

  /** A value as a string, one character for each octet. Makes a new string each time. */
  value(i: number): string {
    return (this.buffers[i] as Buffer).toString('latin1', this.starts[i], this.ends[i]);
  }

  /** Octets of a value. */
  valueBytes(i: number): number {
    return (this.ends[i] as number) - (this.starts[i] as number);
  }

  /** One octet of a value. */
  octet(i: number, offset: number): number {
    return (this.buffers[i] as Buffer)[(this.starts[i] as number) + offset] as number;
  }

  /** Whether a value is exactly this text of ASCII. */
  valueIs(i: number, text: string): boolean {
    return this.valueBytes(i) === text.length && this.valueStartsWith(i, text);
  }

  /** Whether a value begins with this text of ASCII. */
  valueStartsWith(i: number, text: string): boolean {
    if (this.valueBytes(i) < text.length) return false;
    for (let at = 0; at < text.length; at++) if (this.octet(i, at) !== text.charCodeAt(at)) return false;
    return true;
  }

  /** Name and value of all fields, for logs and tests. */
  toArray(): [name: string, value: string][] {
    return Array.from({ length: this.count }, (_, i) => [this.name(i).text, this.value(i)]);
  }

  /** A copy that owns its octets and stays. */
  copy(serial = 0): HeaderList {
    const out = new HeaderList(this.count);
    let octets = 0;
    for (let i = 0; i < this.count; i++) octets += this.valueBytes(i) + this.#literalBytes(i);
    const buffer = Buffer.allocUnsafeSlow(octets);
    out.clear(buffer);
    let at = 0;
    for (let i = 0; i < this.count; i++) {
      const start = at;
      at += (this.buffers[i] as Buffer).copy(buffer, at, this.starts[i], this.ends[i]);
      const end = at;
      if (this.#literalBytes(i) > 0)
        at += this.block.copy(buffer, at, this.literalStarts[i], this.literalEnds[i]);
      const literalStart = at > end ? end : 0;
      out.add(
        this.name(i),
        buffer,
        start,
        end,
        this.flags[i] as number,
        this.statics[i] as number,
        serial === 0 ? (this.hashes[i] as number) : this.#hash(i),
        literalStart,
        at > end ? at : 0,
      );
    }
    out.bytes = this.bytes;
    out.fault = this.fault;
    out.contentLength = this.contentLength;
    out.status = this.status;
    out.tooLarge = this.tooLarge;
    out.serial = serial;
    return out;
  }

  /**
   * Becomes a copy of another list, with octets of its own; nothing is allocated once they are enough.
   *
   * @param other has no more fields than there is room for
   */
  take(other: HeaderList): void {
    const { count } = other;
    let octets = 0;
    for (let i = 0; i < count; i++) octets += other.valueBytes(i) + other.#literalBytes(i);
    if (octets > this.#octets.length) this.#octets = Buffer.allocUnsafeSlow(Math.max(1024, octets * 2));
    const own = this.#octets;
    this.clear(own);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const start = at;
      at = copyOctets(
        other.buffers[i] as Buffer,
        other.starts[i] as number,
        other.ends[i] as number,
        own,
        at,
      );
      const end = at;
      const literalStart = other.literalStarts[i] as number;
      const literalEnd = other.literalEnds[i] as number;
      if (literalEnd > literalStart) at = copyOctets(other.block, literalStart, literalEnd, own, at);
      const hasLiteral = at > end;
      this.add(
        other.names[i] as HeaderName,
        own,
        start,
        end,
        other.flags[i] as number,
        other.statics[i] as number,
        other.hashes[i] as number,
        hasLiteral ? end : 0,
        hasLiteral ? at : 0,
      );
    }
    this.bytes = other.bytes;
    this.fault = other.fault;
    this.validAs = other.validAs;
    this.contentLength = other.contentLength;
    this.status = other.status;
    this.tooLarge = other.tooLarge;
  }

  #hash(i: number): number {
    const known = this.hashes[i] as number;
    if (known !== 0) return known;
    return hashOf(
      this.buffers[i] as Buffer,
      this.starts[i] as number,
      this.ends[i] as number,
      this.name(i).hash,
    );
  }

  #literalBytes(i: number): number {
    return (this.literalEnds[i] as number) - (this.literalStarts[i] as number);
  }

  /** Whether two lists would go on as the same fields. */
  same(other: HeaderList): boolean {
    if (this.count !== other.count || this.bytes !== other.bytes) return false;
    for (let i = 0; i < this.count; i++) {
      if (this.flags[i] !== other.flags[i] || this.name(i).text !== other.name(i).text) return false;
      const there = other.buffers[i] as Buffer;
      const here = this.buffers[i] as Buffer;
      if (here.compare(there, other.starts[i], other.ends[i], this.starts[i], this.ends[i]) !== 0)
        return false;
    }
    return true;
  }
}

const EMPTY = Buffer.alloc(0);

/**
 * Remembered lists of all connections of a process: the same fields, from whichever connection, are one list.
 * So what was found out about a list, and how a connection encodes it, serves all callers that send it.
 */
export class ListMemory {
  readonly #slots: (HeaderList | undefined)[] = new Array(HTTP2_LIMITS.listsRemembered).fill(undefined);
  #serial = 0;

  /** The remembered list with these fields. */
  of(list: HeaderList): HeaderList {
    let hash = list.count;
    for (let i = 0; i < list.count; i++) {
      hash = hashOf(
        list.buffers[i] as Buffer,
        list.starts[i] as number,
        list.ends[i] as number,
        list.name(i).hash ^ Math.imul(hash, 31),
      );
    }
    const slot = (hash ^ (hash >>> 16)) & (HTTP2_LIMITS.listsRemembered - 1);
    const known = this.#slots[slot];
    if (known?.same(list)) return known;
    const fresh = list.copy(++this.#serial);
    this.#slots[slot] = fresh;
    return fresh;
  }
}
