/**
 * A header list put by in few octets: what it takes to have it again, should it be needed, which it mostly is not.
 *
 * Shared fields by reference; of all others the name, and the value as the literal that came, which is copied with
 * all literals of its block at once and decoded no sooner than the list is wanted.
 */
import type { HeaderList } from './header-list.ts';
import { Field } from './hpack/fields.ts';
import { decodedBytesAtMost, decodeHuffman } from './hpack/huffman.ts';
import type { HeaderName } from './hpack/names.ts';
import { readLength } from './hpack/strings.ts';

// Columns of a field that is not shared. The value's literal or, where there is none, the value.
const START = 0;
const END = 1;
const FLAGS = 2;
const HASH = 3;
const HAS_LITERAL = 4;
const COLUMNS = 5;

export class KeptList {
  readonly capacity: number;
  #count = 0;
  readonly #parts: (Field | HeaderName | undefined)[];
  readonly #rows: Int32Array;
  #octets: Buffer = EMPTY;
  #used = 0; // of the octets
  #bytes = 0;
  #validAs = 0;
  #contentLength = -1;
  #status = 0;

  /** @param capacity most fields that it can keep */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#parts = new Array(capacity).fill(undefined);
    this.#rows = new Int32Array(capacity * COLUMNS);
  }

  /** Octets of its own. */
  get ownBytes(): number {
    return this.#octets.length;
  }

  /** Keeps a list that is valid and has no more fields than there is room for, in the place of the one before. */
  take(list: HeaderList): void {
    const { count, fields, block } = list;
    const parts = this.#parts;
    const rows = this.#rows;
    let first = -1;
    let last = -1;
    let valueBytes = 0;
    for (let i = 0; i < count; i++) {
      const field = fields[i] as Field;
      if (field.isShared) {
        parts[i] = field;
        continue;
      }
      parts[i] = field.name;
      const row = i * COLUMNS;
      rows[row + FLAGS] = field.flags;
      rows[row + HASH] = field.hash;
      if (field.literalEnd === 0) {
        rows[row + HAS_LITERAL] = 0;
        valueBytes += field.end - field.start;
        continue;
      }
      // Literals lie in the block in the order of their fields.
      if (first < 0) first = field.literalStart;
      last = field.literalEnd;
      rows[row + HAS_LITERAL] = 1;
      rows[row + START] = field.literalStart - first;
      rows[row + END] = last - first;
    }
    const octets = last - first + valueBytes;
    if (octets > this.#octets.length) this.#octets = Buffer.allocUnsafeSlow(Math.max(512, octets * 2));
    if (last > first) block.copy(this.#octets, 0, first, last);
    this.#used = last - first;
    if (valueBytes > 0) this.#takeValues(list);
    this.#count = count;
    this.#bytes = list.bytes;
    this.#validAs = list.validAs;
    this.#contentLength = list.contentLength;
    this.#status = list.status;
  }

  /** Fields of a table whose values are too long to be shared, or are not shared at all. */
  #takeValues(list: HeaderList): void {
    for (let i = 0; i < list.count; i++) {
      const field = list.field(i);
      if (field.isShared || field.literalEnd > 0) continue;
      const row = i * COLUMNS;
      this.#rows[row + START] = this.#used;
      this.#used += field.buffer.copy(this.#octets, this.#used, field.start, field.end);
      this.#rows[row + END] = this.#used;
    }
  }

  /** Makes `out` the list that was kept. It is good as long as this keeps it. */
  restore(out: HeaderList): void {
    const octets = this.#octets;
    const rows = this.#rows;
    // Decoded one after the other: none takes more than its literal could.
    const decoded = Buffer.allocUnsafeSlow(decodedBytesAtMost(this.#used) + 2 * this.#count);
    let position = 0;
    out.clear(octets);
    for (let i = 0; i < this.#count; i++) {
      const part = this.#parts[i] as Field | HeaderName;
      if (part instanceof Field) {
        out.append(part);
        continue;
      }
      const row = i * COLUMNS;
      const start = rows[row + START] as number;
      const end = rows[row + END] as number;
      const flags = rows[row + FLAGS] as number;
      const hash = rows[row + HASH] as number;
      if (rows[row + HAS_LITERAL] === 0) {
        out.add(part, octets, start, end, flags, hash, 0, 0);
        continue;
      }
      const value = end - readLength(octets, start);
      if ((octets[start] as number) < 0x80) {
        out.add(part, octets, value, end, flags, hash, start, end);
        continue;
      }
      const stop = decodeHuffman(octets, value, end, decoded, position);
      out.add(part, decoded, position, stop, flags, hash, start, end);
      position = stop;
    }
    out.bytes = this.#bytes;
    out.validAs = this.#validAs;
    out.contentLength = this.#contentLength;
    out.status = this.#status;
  }
}

const EMPTY = Buffer.alloc(0);
