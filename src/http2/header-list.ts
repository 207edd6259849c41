/**
 * A decoded header list: places of octets, not strings.
 *
 * Two kinds: the one list that a context decodes into, whose fields are good until the callback that got it
 * returns, and remembered lists, which own their octets and never change.
 */
import { HTTP2_LIMITS } from '../core/limits.ts';
import type { StreamFault } from './errors.ts';
import { Field } from './hpack/fields.ts';
import { type HeaderName, hashOf, KINDS } from './hpack/names.ts';
import { copyOctets } from './hpack/strings.ts';

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
  /** The first `count` are its fields; those behind are of lists before. */
  readonly fields: Field[] = [];
  /** What literals are of. */
  block: Buffer = EMPTY;
  /** Fields that are not shared, by place; used again by the list's next contents. */
  readonly #own: Field[] = [];
  #octets: Buffer = EMPTY; // its own, where it takes copies
  readonly #first = new Int16Array(KINDS); // place + 1 of the first field of each kind

  /** @param capacity most fields that it can have */
  constructor(capacity: number) {
    this.capacity = capacity;
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

  /** Appends a field of its own; there must be room. */
  add(
    name: HeaderName,
    buffer: Buffer,
    start: number,
    end: number,
    flags: number,
    hash: number,
    literalStart: number,
    literalEnd: number,
  ): void {
    let field = this.#own[this.count];
    if (field === undefined) {
      field = new Field(name, buffer, start, end, flags, 0, hash, -1);
      // Places behind it are filled as they are needed: an array with holes would be slower.
      while (this.#own.length < this.count) this.#own.push(new Field(name, EMPTY, 0, 0, 0, 0, 0, -1));
      this.#own[this.count] = field;
    } else {
      field.name = name;
      field.buffer = buffer;
      field.start = start;
      field.end = end;
      field.flags = flags;
      field.hash = hash;
    }
    field.literalStart = literalStart;
    field.literalEnd = literalEnd;
    this.append(field);
  }

  /** Appends a field that is shared; there must be room. */
  append(field: Field): void {
    const i = this.count++;
    this.fields[i] = field;
    const { kind } = field.name;
    if (this.#first[kind] === 0) this.#first[kind] = i + 1;
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

  field(i: number): Field {
    return this.fields[i] as Field;
  }

  name(i: number): HeaderName {
    return this.field(i).name;
  }

  /** A value as a string, one character for each octet. Makes a new string each time. */
  value(i: number): string {
    const { buffer, start, end } = this.field(i);
    return buffer.toString('latin1', start, end);
  }

  /** Octets of a value. */
  valueBytes(i: number): number {
    const field = this.field(i);
    return field.end - field.start;
  }

  /** One octet of a value. */
  octet(i: number, offset: number): number {
    const field = this.field(i);
    return field.buffer[field.start + offset] as number;
  }

  /** Whether a value is exactly this text of ASCII. */
  valueIs(i: number, text: string): boolean {
    return this.valueBytes(i) === text.length && this.valueStartsWith(i, text);
  }

  /** Whether a value begins with this text of ASCII. */
  valueStartsWith(i: number, text: string): boolean {
    const { buffer, start, end } = this.field(i);
    if (end - start < text.length) return false;
    for (let at = 0; at < text.length; at++) if (buffer[start + at] !== text.charCodeAt(at)) return false;
    return true;
  }

  /** Name and value of all fields, for logs and tests. */
  toArray(): [name: string, value: string][] {
    return Array.from({ length: this.count }, (_, i) => [this.name(i).text, this.value(i)]);
  }

  /** The list itself where it never changes, else a copy: for who needs it beyond the callback that brought it. */
  kept(): HeaderList {
    return this.serial > 0 ? this : this.copy();
  }

  /** A copy that owns its octets and stays. */
  copy(serial = 0): HeaderList {
    const out = new HeaderList(this.count);
    out.#octets = Buffer.allocUnsafeSlow(this.#ownOctets());
    out.take(this);
    out.validAs = 0;
    out.serial = serial;
    if (serial !== 0) for (let i = 0; i < out.count; i++) out.#hash(i);
    return out;
  }

  /**
   * Becomes a copy of another list, with octets of its own; nothing is allocated once they are enough.
   *
   * @param other has no more fields than there is room for
   */
  take(other: HeaderList): void {
    const { count, fields, block } = other;
    const octets = other.#ownOctets();
    if (octets > this.#octets.length) this.#octets = Buffer.allocUnsafeSlow(Math.max(1024, octets * 2));
    const own = this.#octets;
    this.clear(own);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const field = fields[i] as Field;
      if (field.isShared) {
        this.append(field);
        continue;
      }
      const { buffer, start, end, literalStart, literalEnd } = field;
      const from = at;
      // A literal that is not Huffman coded ends with the value: one copy is both.
      if (buffer === block && literalEnd === end) {
        at = copyOctets(block, literalStart, literalEnd, own, at);
        this.add(field.name, own, at - (end - start), at, field.flags, field.hash, from, at);
        continue;
      }
      at = copyOctets(buffer, start, end, own, at);
      const valueEnd = at;
      if (literalEnd > literalStart) at = copyOctets(block, literalStart, literalEnd, own, at);
      const hasLiteral = at > valueEnd;
      this.add(
        field.name,
        own,
        from,
        valueEnd,
        field.flags,
        field.hash,
        hasLiteral ? valueEnd : 0,
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

  /** Most octets of values and literals that a copy needs. */
  #ownOctets(): number {
    const { count, fields } = this;
    let octets = 0;
    for (let i = 0; i < count; i++) {
      const field = fields[i] as Field;
      if (!field.isShared) octets += field.end - field.start + field.literalEnd - field.literalStart;
    }
    return octets;
  }

  #hash(i: number): void {
    const field = this.field(i);
    if (field.hash === 0) field.hash = hashOf(field.buffer, field.start, field.end, field.name.hash);
  }

  /** Whether two lists would go on as the same fields. */
  same(other: HeaderList): boolean {
    if (this.count !== other.count || this.bytes !== other.bytes) return false;
    for (let i = 0; i < this.count; i++) {
      const here = this.field(i);
      const there = other.field(i);
      if (here === there) continue;
      if (here.flags !== there.flags || here.name.text !== there.name.text) return false;
      if (here.buffer.compare(there.buffer, there.start, there.end, here.start, here.end) !== 0) return false;
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
      const { buffer, start, end, name } = list.field(i);
      hash = hashOf(buffer, start, end, name.hash ^ Math.imul(hash, 31));
    }
    const slot = (hash ^ (hash >>> 16)) & (HTTP2_LIMITS.listsRemembered - 1);
    const known = this.#slots[slot];
    if (known?.same(list)) return known;
    const fresh = list.copy(++this.#serial);
    this.#slots[slot] = fresh;
    return fresh;
  }
}
