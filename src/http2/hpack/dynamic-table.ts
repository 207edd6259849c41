/**
 * HPACK's dynamic table (RFC 7541 2.3.2), for either end.
 *
 * Entries are columns of a ring; their values lie in one arena that is written round and round. Nothing is
 * allocated for an entry. Values that were handed out while a block is decoded stay as they are until the next
 * `beginBlock`: where the arena would be written over them, the table moves to a new one.
 */
import type { Field } from './fields.ts';
import { type HeaderName, hashOf } from './names.ts';
import { copyOctets } from './strings.ts';

/** RFC 7541 4.1: "The size of an entry is the sum of its name's length in octets, its value's length in octets, plus 32." */
export const ENTRY_OVERHEAD = 32;

const FIRST_ARENA_BYTES = 512;
const FIRST_ENTRIES = 16;

export class DynamicTable {
  /** Most octets it may have now, RFC 7541 4.2. */
  maxBytes: number;
  /** Octets it has, RFC 7541 4.1. */
  bytes = 0;
  /** Entries it has. */
  count = 0;
  /** Entries ever inserted: entry `inserted - 1` is the newest, `inserted - count` the oldest. */
  inserted = 0;
  /** Changes with everything that can change what an index means. */
  epoch = 0;

  arena: Buffer = EMPTY;
  #names: HeaderName[] = NO_NAMES;
  /** The entries as shared fields, where they are. */
  #fields: (Field | undefined)[] = NO_FIELDS;
  #starts: Int32Array = NONE;
  #ends: Int32Array = NONE;
  #hashes: Int32Array = NONE;
  /** 1 where the value is not valid in a field. */
  #flaws: Uint8Array = NO_FLAWS;
  #mask = -1; // entries in the ring - 1
  #head = 0; // where the next value goes
  #spare = 0; // octets of the arena from there on that are in nobody's use

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** The place of an entry in the columns, by HPACK's index less that of the first dynamic one; −1 beyond the end. */
  place(index: number): number {
    return index < this.count ? (this.inserted - 1 - index) & this.#mask : -1;
  }

  /** The same by the number of its insertion. */
  placeOf(insertion: number): number {
    return insertion & this.#mask;
  }

  name(place: number): HeaderName {
    return this.#names[place] as HeaderName;
  }
  start(place: number): number {
    return this.#starts[place] as number;
  }
  end(place: number): number {
    return this.#ends[place] as number;
  }
  field(place: number): Field | undefined {
    return this.#fields[place];
  }
  setField(place: number, field: Field | undefined): void {
    this.#fields[place] = field;
  }
  flaw(place: number): number {
    return this.#flaws[place] as number;
  }

  /** Hash of name and value, computed when it is first asked for. */
  hash(place: number): number {
    const known = this.#hashes[place] as number;
    if (known !== 0) return known;
    const hash = hashOf(this.arena, this.start(place), this.end(place), this.name(place).hash);
    this.#hashes[place] = hash;
    return hash;
  }

  /** To be called before each block: values handed out before may now be written over. */
  beginBlock(): void {
    if (this.count === 0) {
      this.#head = 0;
      this.#spare = this.arena.length;
      return;
    }
    const tail = this.start(this.placeOf(this.inserted - this.count));
    const used = this.#head - tail;
    this.#spare = used > 0 ? this.arena.length - used : -used;
    // Equal places: the ring is full, unless all values are empty, which is taken for full as well: the next
    // value moves the table, which costs no more than a copy.
  }

  /**
   * Sets the size, and evicts what no longer fits (RFC 7541 4.3).
   */
  resize(maxBytes: number): void {
    if (maxBytes === this.maxBytes) return;
    this.maxBytes = maxBytes;
    this.epoch++;
    this.#evict(maxBytes);
  }

  /**
   * Inserts an entry.
   *
   * RFC 7541 4.4: entries are evicted until the new one fits; one that is larger than the table empties it and
   * "is not an error".
   *
   * @param hash of name and value, 0 where it is not known
   */
  insert(name: HeaderName, value: Buffer, start: number, end: number, flaw: number, hash = 0): void {
    const length = end - start;
    const size = name.length + length + ENTRY_OVERHEAD;
    this.epoch++;
    this.#evict(this.maxBytes - size);
    if (size > this.maxBytes) return;
    if (this.count > this.#mask) this.#moreEntries();

    let at = this.#head;
    let advance = length;
    if (at + length > this.arena.length) {
      advance += this.arena.length - at;
      at = 0;
    }
    if (advance > this.#spare) {
      this.#move(length);
      at = this.#head;
      advance = length;
    }
    this.#spare -= advance;
    copyOctets(value, start, end, this.arena, at);
    this.#head = at + length;

    const place = this.inserted & this.#mask;
    this.#names[place] = name;
    this.#fields[place] = undefined;
    this.#starts[place] = at;
    this.#ends[place] = at + length;
    this.#hashes[place] = hash;
    this.#flaws[place] = flaw;
    this.inserted++;
    this.count++;
    this.bytes += size;
  }

  #evict(room: number): void {
    while (this.count > 0 && this.bytes > room) {
      const oldest = this.placeOf(this.inserted - this.count);
      this.bytes -= this.name(oldest).length + this.end(oldest) - this.start(oldest) + ENTRY_OVERHEAD;
      this.count--;
    }
  }

  #moreEntries(): void {
    const size = Math.max(FIRST_ENTRIES, (this.#mask + 1) * 2);
    const names: HeaderName[] = new Array(size);
    const fields: (Field | undefined)[] = new Array(size).fill(undefined);
    const columns = [new Int32Array(size), new Int32Array(size), new Int32Array(size)] as const;
    const flaws = new Uint8Array(size);
    for (let i = this.inserted - this.count; i < this.inserted; i++) {
      const from = i & this.#mask;
      const to = i & (size - 1);
      names[to] = this.name(from);
      fields[to] = this.field(from);
      columns[0][to] = this.start(from);
      columns[1][to] = this.end(from);
      columns[2][to] = this.#hashes[from] as number;
      flaws[to] = this.flaw(from);
    }
    this.#names = names;
    this.#fields = fields;
    [this.#starts, this.#ends, this.#hashes] = columns;
    this.#flaws = flaws;
    this.#mask = size - 1;
  }

  /** Moves to an arena of its own, twice as large as what is live with `length` octets more. */
  #move(length: number): void {
    let live = length;
    for (let i = this.inserted - this.count; i < this.inserted; i++) {
      live += this.end(this.placeOf(i)) - this.start(this.placeOf(i));
    }
    let size = FIRST_ARENA_BYTES;
    while (size < live * 2) size *= 2;
    const arena = Buffer.allocUnsafeSlow(size);
    let at = 0;
    for (let i = this.inserted - this.count; i < this.inserted; i++) {
      const place = this.placeOf(i);
      const end = at + this.end(place) - this.start(place);
      this.arena.copy(arena, at, this.start(place), this.end(place));
      this.#starts[place] = at;
      this.#ends[place] = end;
      at = end;
    }
    this.arena = arena;
    this.#head = at;
    this.#spare = size - at;
  }
}

const EMPTY = Buffer.alloc(0);
const NONE = new Int32Array(0);
const NO_FLAWS = new Uint8Array(0);
// Never written to: an empty table moves to its own with the first entry.
const NO_NAMES: HeaderName[] = [];
const NO_FIELDS: (Field | undefined)[] = [];
