/**
 * Fields of header lists.
 *
 * Those of the static table, and those that peers refer to by their dynamic tables, are one object wherever they
 * come, and never change: a field that repeats is neither copied to be kept nor looked for by its octets to be
 * encoded. So blocks that differ from call to call in a few fields (a trace context), which shifts the indices of all
 * others, cost little more than blocks that repeat octet by octet. All other fields belong to their list.
 */
import { HTTP2_LIMITS } from '../../core/limits.ts';
import type { HeaderName } from './names.ts';

/** How a field came, and so how it may go on. Bits. */
export const FieldFlag = {
  /** By reference to the dynamic table: its sender has sent it before, so it is worth an entry further on. */
  INDEXED: 1,
  /** RFC 7541 6.2.3: must not be put into any table, here or further on. */
  NEVER_INDEXED: 2,
} as const;

/** A class of its own, so that all fields have one shape. */
export class Field {
  name: HeaderName;
  /** Where the value is: `buffer` from `start` to `end`. */
  buffer: Buffer;
  start: number;
  end: number;
  /** See `FieldFlag`. */
  flags: number;
  /** Index in the static table that has name and value, 0 for none. */
  staticIndex: number;
  /** Hash of name and value; 0 for literals of a list that is not remembered. */
  hash: number;
  /** The value as a string literal of HPACK, as it came: in the list's `block` from here to there; 0, 0 for none. */
  literalStart = 0;
  literalEnd = 0;
  /** Its place among the shared fields, which others have had and may have; −1 for those that are none. */
  slot: number;
  /** For the engine's user: what it found out about a shared field. */
  attachment: unknown = undefined;

  constructor(
    name: HeaderName,
    buffer: Buffer,
    start: number,
    end: number,
    flags: number,
    staticIndex: number,
    hash: number,
    slot: number,
  ) {
    this.name = name;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.flags = flags;
    this.staticIndex = staticIndex;
    this.hash = hash;
    this.slot = slot;
  }

  /** Whether it never changes, and so need not be copied. */
  get isShared(): boolean {
    return this.slot >= 0 || this.staticIndex !== 0;
  }
}

/** Direct-mapped and of a fixed size: a peer's made-up fields push others out, which costs time and no memory. */
export class SharedFields {
  readonly #slots: (Field | undefined)[] = new Array(HTTP2_LIMITS.fieldsRemembered).fill(undefined);

  /** The object of a field of a dynamic table; undefined where the value is too long to be kept. */
  of(name: HeaderName, source: Buffer, start: number, end: number, hash: number): Field | undefined {
    const length = end - start;
    if (length > HTTP2_LIMITS.fieldBytesRemembered) return undefined;
    const slot = (hash ^ (hash >>> 15)) & (HTTP2_LIMITS.fieldsRemembered - 1);
    const known = this.#slots[slot];
    if (
      known !== undefined &&
      known.hash === hash &&
      known.end === length &&
      known.name.text === name.text &&
      known.buffer.compare(source, start, end) === 0
    ) {
      return known;
    }
    const value = Buffer.allocUnsafeSlow(length);
    source.copy(value, 0, start, end);
    const fresh = new Field(name, value, 0, length, FieldFlag.INDEXED, 0, hash, slot);
    this.#slots[slot] = fresh;
    return fresh;
  }
}
