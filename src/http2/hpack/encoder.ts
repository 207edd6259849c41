/**
 * HPACK encoder (RFC 7541 section 6), for messages that are passed on.
 *
 * What goes into the dynamic table is decided by what came: a field that its sender had in a table, or a whole
 * list that comes again, is worth an entry once it was seen twice here; a literal is passed on as the literal
 * that came, without decoding or coding its octets anew; a field that was never to be indexed stays so.
 */
import { HTTP2_LIMITS } from '../../core/limits.ts';
import type { HeaderList } from '../header-list.ts';
import type { Output } from '../output.ts';
import { DynamicTable, ENTRY_OVERHEAD } from './dynamic-table.ts';
import { type Field, FieldFlag } from './fields.ts';
import { encodeHuffman, huffmanBytes } from './huffman.ts';
import type { HeaderName } from './names.ts';
import { STATIC_ENTRIES } from './static-table.ts';
import { copyOctets, MAX_INTEGER_BYTES, writeInteger } from './strings.ts';

const BUCKETS = 32;
const NAMES = 64;
const SEEN = 64;
/** Entries of the largest table: each counts 32 octets at least; 4096 / 32 is a power of two. */
const MAX_ENTRIES = HTTP2_LIMITS.encoderTableBytes / ENTRY_OVERHEAD;
const LISTS = HTTP2_LIMITS.blocksRemembered;

/** Insertions are numbered in 32 bits. A connection that has made so many, in months, goes on with those it has. */
const MOST_INSERTIONS = 0x7fffffff;

/** Room for the pattern, index and lengths of a field, beside the octets of its name and value. */
const FIELD_ROOM = 3 * MAX_INTEGER_BYTES;

interface EncodedList {
  readonly serial: number;
  readonly epoch: number;
  readonly bytes: Buffer;
}

/** What only an encoder that has inserted or repeated something needs: idle connections go without. */
class EncoderMemory {
  /** Newest insertion by bucket of its hash, and the one before it in its bucket, by place in the table. */
  readonly buckets = new Int32Array(BUCKETS).fill(-1);
  readonly next = new Int32Array(MAX_ENTRIES);
  /** Hashes of fields that came once: the second time they get an entry. */
  readonly seen = new Int32Array(SEEN);
  /** Names that fields came with, and the insertion that has each; −1: seen once. */
  readonly names: (HeaderName | undefined)[] = new Array(NAMES).fill(undefined);
  readonly nameInsertions = new Int32Array(NAMES);
  /** Number of the insertion + 1 that may have a shared field, by the field's slot; made with the first. */
  insertions: Int32Array | undefined;
  /** Remembered lists as they are encoded, and serials of those that came once. */
  readonly lists: (EncodedList | undefined)[] = new Array(LISTS).fill(undefined);
  readonly seenLists = new Int32Array(LISTS);
}

export class HpackEncoder {
  readonly table: DynamicTable;
  readonly #out: Output;
  readonly #remember: boolean;
  #memory: EncoderMemory | undefined;
  /** Blocks that were begun, up to two: what is sent once, such as the head of a stream that stays, is not remembered. */
  #blocks = 0;
  #start = 0; // of the block, with its frame header, in the output
  #lowest = Number.POSITIVE_INFINITY; // table size since the last block, where it changed
  #ghost = 0;

  /** @param remember whether remembered lists are kept as they are encoded */
  constructor(out: Output, remember: boolean) {
    this.#out = out;
    this.#remember = remember;
    this.table = new DynamicTable(HTTP2_LIMITS.encoderTableBytes);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. We use no more than our own limit of it. */
  tableSize(bytes: number): void {
    const size = Math.min(bytes, HTTP2_LIMITS.encoderTableBytes);
    if (size === this.table.maxBytes) return;
    this.#lowest = Math.min(this.#lowest, size);
    this.table.resize(size);
  }

  /** Begins a block behind so many octets that are left free for the frame header. */
  begin(headerBytes: number): void {
    const out = this.#out;
    out.room(headerBytes + 2 * MAX_INTEGER_BYTES);
    this.#start = out.position;
    out.position += headerBytes;
    this.table.beginBlock();
    if (this.#blocks < 2) this.#blocks++;
    if (this.#lowest === Number.POSITIVE_INFINITY) return;
    // RFC 7541 4.2: the smallest size that was set since the last block has to be signalled, then the last.
    const size = this.table.maxBytes;
    if (this.#lowest < size) out.position = writeInteger(out.buffer, out.position, 0x20, 0x1f, this.#lowest);
    out.position = writeInteger(out.buffer, out.position, 0x20, 0x1f, size);
    this.#lowest = Number.POSITIVE_INFINITY;
  }

  /** Ends the block. @returns where it begins in the output's buffer, with the room for its frame header */
  end(): number {
    return this.#start;
  }

  /** All fields of a list. */
  list(list: HeaderList): void {
    const memory = list.serial === 0 || !this.#remember ? undefined : this.#remembers();
    if (memory === undefined) {
      for (let i = 0; i < list.count; i++) this.field(list, i);
      return;
    }
    const { lists, seenLists } = memory;
    const out = this.#out;
    const slot = list.serial & (LISTS - 1);
    const known = lists[slot];
    if (known !== undefined && known.serial === list.serial && known.epoch === this.table.epoch) {
      const bytes = known.bytes;
      const length = bytes.length;
      this.#start = out.roomWithin(length, this.#start);
      out.position = copyOctets(bytes, 0, length, out.buffer, out.position);
      return;
    }
    const { epoch } = this.table;
    const offset = out.position - this.#start;
    for (let i = 0; i < list.count; i++) this.field(list, i);
    const from = this.#start + offset;
    if (epoch !== this.table.epoch || out.position - from > HTTP2_LIMITS.blockBytesRemembered) return;
    if (seenLists[slot] === list.serial) {
      lists[slot] = {
        serial: list.serial,
        epoch,
        bytes: Buffer.from(out.buffer.subarray(from, out.position)),
      };
    }
    seenLists[slot] = list.serial;
  }

  /** What is remembered from the second block on; undefined within the first. */
  #remembers(): EncoderMemory | undefined {
    if (this.#memory === undefined && this.#blocks > 1) this.#memory = new EncoderMemory();
    return this.#memory;
  }

  /** One field of a list. */
  field(list: HeaderList, i: number): void {
    const field = list.field(i);
    const out = this.#out;
    if (field.staticIndex !== 0) {
      this.#start = out.roomWithin(1, this.#start);
      out.buffer[out.position++] = 0x80 | field.staticIndex;
      return;
    }
    if (field.slot >= 0 && this.#isKept(field)) return;
    const { name, flags, hash } = field;
    const valueBytes = field.end - field.start;
    this.#start = out.roomWithin(
      FIELD_ROOM + name.length + valueBytes + field.literalEnd - field.literalStart,
      this.#start,
    );
    if ((flags & FieldFlag.NEVER_INDEXED) !== 0) {
      this.#literal(0x10, 0x0f, this.#nameIndex(name), field, list.block);
      return;
    }
    if (hash !== 0 && ((flags & FieldFlag.INDEXED) !== 0 || list.serial !== 0)) {
      const insertion = this.#find(field);
      if (insertion >= 0) {
        if (field.slot >= 0) this.#keep(field, insertion);
        this.#index(insertion);
        return;
      }
      if (this.#seenTwice(hash)) {
        this.#literal(0x40, 0x3f, this.#nameIndex(name), field, list.block);
        this.#insert(field, hash);
        if (field.slot >= 0) this.#keep(field, this.table.inserted - 1);
        return;
      }
    }
    const index = this.#nameIndex(name);
    if (index === 0 && this.#nameIsWorthIt(name, valueBytes)) {
      this.#literal(0x40, 0x3f, 0, field, list.block);
      this.#insert(field, 0);
      return;
    }
    this.#literal(0x00, 0x0f, index, field, list.block);
  }

  /** Writes a shared field by its index, where it is known to have one. */
  #isKept(field: Field): boolean {
    const insertions = this.#memory?.insertions;
    if (insertions === undefined) return false;
    const { table } = this;
    const insertion = (insertions[field.slot] as number) - 1;
    if (insertion < table.inserted - table.count || table.field(table.placeOf(insertion)) !== field)
      return false;
    this.#start = this.#out.roomWithin(MAX_INTEGER_BYTES, this.#start);
    this.#index(insertion);
    return true;
  }

  /** Takes note of the insertion that has a shared field. */
  #keep(field: Field, insertion: number): void {
    const { table } = this;
    // One that was larger than the table is not in it.
    if (insertion < table.inserted - table.count) return;
    const memory = this.#memory as EncoderMemory;
    memory.insertions ??= new Int32Array(HTTP2_LIMITS.fieldsRemembered);
    memory.insertions[field.slot] = insertion + 1;
    table.setField(table.placeOf(insertion), field);
  }

  #index(insertion: number): void {
    const out = this.#out;
    const index = STATIC_ENTRIES + this.table.inserted - insertion;
    out.position = writeInteger(out.buffer, out.position, 0x80, 0x7f, index);
  }

  /** A field of our own, without indexing. The value is written one octet for each character. */
  text(name: HeaderName, value: string): void {
    const out = this.#out;
    this.#start = out.roomWithin(FIELD_ROOM + name.length + value.length, this.#start);
    this.#name(0x00, 0x0f, this.#nameIndex(name), name);
    out.position = writeInteger(out.buffer, out.position, 0, 0x7f, value.length);
    out.position += out.buffer.write(value, out.position, 'latin1');
  }

  #name(pattern: number, prefixMax: number, index: number, name: HeaderName): void {
    const out = this.#out;
    if (index !== 0) {
      out.position = writeInteger(out.buffer, out.position, pattern, prefixMax, index);
      return;
    }
    out.buffer[out.position++] = pattern;
    out.position = copyOctets(name.literal, 0, name.literal.length, out.buffer, out.position);
  }

  #literal(pattern: number, prefixMax: number, index: number, field: Field, block: Buffer): void {
    this.#name(pattern, prefixMax, index, field.name);
    const out = this.#out;
    const { literalStart, literalEnd, buffer, start, end } = field;
    if (literalEnd > 0) {
      out.position = copyOctets(block, literalStart, literalEnd, out.buffer, out.position);
      return;
    }
    // Only what goes into the table is coded: the rest would be coded each time.
    const coded = pattern === 0x40 ? huffmanBytes(buffer, start, end) : Number.POSITIVE_INFINITY;
    if (coded < end - start) {
      out.position = writeInteger(out.buffer, out.position, 0x80, 0x7f, coded);
      out.position = encodeHuffman(buffer, start, end, out.buffer, out.position);
      return;
    }
    out.position = writeInteger(out.buffer, out.position, 0, 0x7f, end - start);
    out.position = copyOctets(buffer, start, end, out.buffer, out.position);
  }

  /** The number of the insertion that has this field, −1 for none. */
  #find(field: Field): number {
    const memory = this.#memory;
    if (memory === undefined) return -1;
    const { table } = this;
    const { hash } = field;
    const oldest = table.inserted - table.count;
    let insertion = memory.buckets[hash & (BUCKETS - 1)] as number;
    for (; insertion >= oldest; ) {
      const place = table.placeOf(insertion);
      if (table.hash(place) === hash && this.#same(place, field)) return insertion;
      insertion = memory.next[insertion & (MAX_ENTRIES - 1)] as number;
    }
    return -1;
  }

  #same(place: number, { name, buffer, start: from, end }: Field): boolean {
    const { table } = this;
    const start = table.start(place);
    const length = table.end(place) - start;
    if (length !== end - from) return false;
    const known = table.name(place);
    if (known !== name && known.text !== name.text) return false;
    const { arena } = table;
    if (length > 48) return arena.compare(buffer, from, end, start, start + length) === 0;
    for (let k = 0; k < length; k++) if (arena[start + k] !== buffer[from + k]) return false;
    return true;
  }

  #insert({ name, buffer, start, end }: Field, knownHash: number): void {
    const { table } = this;
    const memory = this.#memory as EncoderMemory;
    const insertion = table.inserted;
    table.insert(name, buffer, start, end, 0, knownHash);
    if (table.inserted === insertion) return; // larger than the table
    const bucket = table.hash(table.placeOf(insertion)) & (BUCKETS - 1);
    memory.next[insertion & (MAX_ENTRIES - 1)] = memory.buckets[bucket] as number;
    memory.buckets[bucket] = insertion;
    const slot = name.hash & (NAMES - 1);
    if (memory.names[slot]?.text === name.text) memory.nameInsertions[slot] = insertion;
  }

  /**
   * Whether this field was the last of its kind of hash already: those that come once, or are too many for the
   * table together, would only push out others.
   */
  #seenTwice(hash: number): boolean {
    if (this.table.inserted >= MOST_INSERTIONS) return false;
    const memory = this.#remembers();
    if (memory === undefined) return false;
    const slot = (hash >>> 8) & (SEEN - 1);
    if (memory.seen[slot] === hash) return true;
    // An older candidate is given up at every second challenge only, so that neighbours do not starve each other.
    if (memory.seen[slot] === 0 || (++this.#ghost & 1) === 0) memory.seen[slot] = hash;
    return false;
  }

  /** An index whose entry has this name, 0 for none. */
  #nameIndex(name: HeaderName): number {
    if (name.staticIndex !== 0) return name.staticIndex;
    const memory = this.#memory;
    if (memory === undefined) return 0;
    const slot = name.hash & (NAMES - 1);
    const known = memory.names[slot];
    if (known === undefined || (known !== name && known.text !== name.text)) return 0;
    const insertion = memory.nameInsertions[slot] as number;
    const table = this.table;
    return insertion >= table.inserted - table.count ? STATIC_ENTRIES + table.inserted - insertion : 0;
  }

  /** Whether a field whose name has no index gets an entry for the sake of its name: the second time it comes. */
  #nameIsWorthIt(name: HeaderName, valueBytes: number): boolean {
    // An entry for a long value pushes out many others.
    if (name.length + valueBytes > this.table.maxBytes >> 3 || this.table.inserted >= MOST_INSERTIONS)
      return false;
    const memory = this.#remembers();
    if (memory === undefined) return false;
    const { names, nameInsertions } = memory;
    const slot = name.hash & (NAMES - 1);
    const known = names[slot];
    if (known !== undefined && known.text === name.text) return true;
    const live =
      known !== undefined && (nameInsertions[slot] as number) >= this.table.inserted - this.table.count;
    if (!live) {
      names[slot] = name;
      nameInsertions[slot] = -1;
    }
    return false;
  }
}
