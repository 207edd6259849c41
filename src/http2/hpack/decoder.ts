/**
 * HPACK decoder (RFC 7541 sections 3 and 6): a header block in, a header list out.
 *
 *     1xxxxxxx  indexed field                      index (7)
 *     01xxxxxx  literal, incremental indexing      name index (6) or 0 and name string, value string
 *     001xxxxx  dynamic table size update          size (5)
 *     0001xxxx  literal, never indexed             name index (4) or 0 and name string, value string
 *     0000xxxx  literal, without indexing          the same
 */
import { ConnectionError } from '../errors.ts';
import type { HeaderList } from '../header-list.ts';
import { DynamicTable, ENTRY_OVERHEAD } from './dynamic-table.ts';
import { type Field, FieldFlag, type SharedFields } from './fields.ts';
import { decodedBytesAtMost, decodeHuffman, flawed, INVALID } from './huffman.ts';
import type { HeaderName, HeaderNames } from './names.ts';
import { STATIC_ENTRIES, type StaticTable } from './static-table.ts';

/** What all decoders of a process share: they run one after the other. */
export interface DecoderShared {
  readonly names: HeaderNames;
  readonly statics: StaticTable;
  /** Undefined where fields are not kept as objects. */
  readonly fields: SharedFields | undefined;
  /** Takes strings that are Huffman coded; as large as the longest block can decode to. */
  readonly scratch: Buffer;
}

/** Octets of scratch that blocks of this many octets need. */
export function scratchBytes(blockBytes: number): number {
  return decodedBytesAtMost(blockBytes) + 64;
}

export class HpackDecoder {
  readonly table: DynamicTable;
  /** True where the block that was decoded last changed the table, so that its octets mean something else next time. */
  changedTable = false;
  /** True where it referred to the dynamic table, so that its octets mean the same only while that is as it is. */
  usedTable = false;
  readonly #shared: DecoderShared;
  readonly #tableBytes: number;
  readonly #maxFields: number;
  readonly #maxBytes: number;
  #block: Buffer = EMPTY;
  #at = 0;
  #end = 0;
  #used = 0; // octets of the scratch that this block's fields hold
  // The string that was read last.
  #source: Buffer = EMPTY;
  #start = 0;
  #stop = 0;
  #flaw = UNKNOWN_FLAW;

  /**
   * @param tableBytes SETTINGS_HEADER_TABLE_SIZE as we advertise it
   * @param maxFields fields of a list
   * @param maxBytes size of a list, each field counted with 32 octets more
   */
  constructor(shared: DecoderShared, tableBytes: number, maxFields: number, maxBytes: number) {
    this.#shared = shared;
    this.#tableBytes = tableBytes;
    this.#maxFields = maxFields;
    this.#maxBytes = maxBytes;
    this.table = new DynamicTable(tableBytes);
  }

  /**
   * Decodes one whole block into `list`, which refers to the block, the scratch and the table from then on: it is
   * good until the next block is decoded.
   *
   * A list above the limits keeps the fields before that (`tooLarge`); the rest of the block is only followed
   * for what it does to the table, so that the connection can go on.
   *
   * @throws ConnectionError HPACK
   */
  decode(block: Buffer, start: number, end: number, list: HeaderList): void {
    list.clear(block);
    this.#block = block;
    this.#at = start;
    this.#end = end;
    this.#used = 0;
    this.changedTable = false;
    this.usedTable = false;
    this.table.beginBlock();

    let updates = true;
    while (this.#at < end) {
      const octet = block[this.#at] as number;
      if (octet >= 0x80) {
        this.#indexed(this.#integer(0x7f), list);
      } else if (octet >= 0x40) {
        this.#literal(this.#integer(0x3f), list, true, 0);
      } else if (octet >= 0x20) {
        // RFC 7541 4.2: "This dynamic table size update MUST occur at the beginning of the first header block
        // following the change to the dynamic table size."
        if (!updates) throw new ConnectionError('HPACK', 'a table size update after a field');
        this.#resize(this.#integer(0x1f));
        continue;
      } else {
        this.#literal(this.#integer(0x0f), list, false, octet >= 0x10 ? FieldFlag.NEVER_INDEXED : 0);
      }
      updates = false;
    }
  }

  #resize(bytes: number): void {
    // RFC 7541 6.3: "The new maximum size MUST be lower than or equal to the limit determined by the protocol
    // using HPACK. A value that exceeds this limit MUST be treated as a decoding error."
    if (bytes > this.#tableBytes)
      throw new ConnectionError('HPACK', `table size ${bytes} above ${this.#tableBytes}`);
    this.changedTable = true;
    this.table.resize(bytes);
  }

  #indexed(index: number, list: HeaderList): void {
    if (index <= STATIC_ENTRIES) {
      // RFC 7541 6.1: "The index value of 0 is not used. It MUST be treated as a decoding error".
      if (index === 0) throw new ConnectionError('HPACK', 'index 0');
      const field = this.#shared.statics.fields[index] as Field;
      if (this.#fits(field.name, field.end, list)) list.append(field);
      return;
    }
    const table = this.table;
    const place = table.place(index - STATIC_ENTRIES - 1);
    if (place < 0) throw new ConnectionError('HPACK', `index ${index} beyond the tables`);
    this.usedTable = true;
    const from = table.start(place);
    const to = table.end(place);
    const name = table.name(place);
    if (!this.#fits(name, to - from, list)) return;
    this.#judge(name, table.flaw(place), list);
    let field = table.field(place);
    const { fields } = this.#shared;
    if (field === undefined && fields !== undefined) {
      field = fields.of(name, table.arena, from, to, table.hash(place));
      table.setField(place, field);
    }
    if (field !== undefined) list.append(field);
    else list.add(name, table.arena, from, to, FieldFlag.INDEXED, table.hash(place), 0, 0);
  }

  #literal(index: number, list: HeaderList, insert: boolean, flags: number): void {
    const name = index === 0 ? this.#newName() : this.#knownName(index);
    const literalStart = this.#at;
    const plain = (this.#block[literalStart] as number) < 0x80;
    this.#string();
    const source = this.#source;
    const start = this.#start;
    const stop = this.#stop;
    const flaw = flawOf(source, start, stop, this.#flaw);
    if (this.#fits(name, stop - start, list)) {
      // Strings that were Huffman coded stay in the scratch as long as the list.
      if (!plain) this.#used = stop;
      this.#judge(name, flaw, list);
      list.add(name, source, start, stop, flags, 0, literalStart, this.#at);
    }
    if (insert) {
      this.changedTable = true;
      this.table.insert(name, source, start, stop, flaw);
    }
  }

  /** Counts a field. @returns whether it goes into the list */
  #fits(name: HeaderName, valueBytes: number, list: HeaderList): boolean {
    list.bytes += name.length + valueBytes + ENTRY_OVERHEAD;
    if (list.count < this.#maxFields && list.bytes <= this.#maxBytes && !list.tooLarge) return true;
    list.tooLarge = true;
    return false;
  }

  #judge(name: HeaderName, flaw: number, list: HeaderList): void {
    if (list.fault !== undefined) return;
    if (!name.valid) list.fault = 'FIELD_NAME';
    else if (flaw !== 0) list.fault = 'FIELD_VALUE';
  }

  #newName(): HeaderName {
    this.#string();
    return this.#shared.names.of(this.#source, this.#start, this.#stop);
  }

  #knownName(index: number): HeaderName {
    if (index <= STATIC_ENTRIES) return (this.#shared.statics.fields[index] as Field).name;
    const place = this.table.place(index - STATIC_ENTRIES - 1);
    if (place < 0) throw new ConnectionError('HPACK', `index ${index} beyond the tables`);
    this.usedTable = true;
    return this.table.name(place);
  }

  /** Reads a string literal; where it is, is left in `#source`, `#start`, `#stop`. */
  #string(): void {
    if (this.#at >= this.#end) throw new ConnectionError('HPACK', 'the block ends before a string');
    const coded = (this.#block[this.#at] as number) >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const stop = start + length;
    if (stop > this.#end) throw new ConnectionError('HPACK', 'a string is longer than its block');
    this.#at = stop;
    if (!coded) {
      this.#source = this.#block;
      this.#start = start;
      this.#stop = stop;
      this.#flaw = UNKNOWN_FLAW;
      return;
    }
    const scratch = this.#shared.scratch;
    const decoded = decodeHuffman(this.#block, start, stop, scratch, this.#used);
    if (decoded === INVALID) throw new ConnectionError('HPACK', 'a string is not a valid Huffman code');
    this.#source = scratch;
    this.#start = this.#used;
    this.#stop = decoded < 0 ? flawed(decoded) : decoded;
    this.#flaw = decoded < 0 ? 1 : 0;
  }

  /** Reads an integer whose first octet is at `#at` (RFC 7541 5.1). */
  #integer(prefixMax: number): number {
    const block = this.#block;
    let value = (block[this.#at++] as number) & prefixMax;
    if (value < prefixMax) return value;
    // RFC 7541 5.1: "Integer encodings that exceed implementation limits -- in value or octet length -- MUST be
    // treated as decoding errors." No length or index of a block that we take needs more than 28 bits.
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.#at >= this.#end) throw new ConnectionError('HPACK', 'the block ends within an integer');
      const octet = block[this.#at++] as number;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    throw new ConnectionError('HPACK', 'an integer is too long');
  }
}

/**
 * 1 where a value makes its message malformed, else 0.
 *
 * RFC 9113 8.2.1: "A field value MUST NOT contain the zero value (ASCII NUL, 0x00), line feed (ASCII LF, 0x0a),
 * or carriage return (ASCII CR, 0x0d) at any position. A field value MUST NOT start or end with an ASCII
 * whitespace character (ASCII SP or HTAB, 0x20 or 0x09)."
 *
 * @param octets what is known of the octets alone
 */
function flawOf(value: Buffer, start: number, end: number, octets: number): number {
  if (start === end) return 0;
  if (isSpace(value[start] as number) || isSpace(value[end - 1] as number)) return 1;
  if (octets !== UNKNOWN_FLAW) return octets;
  for (let i = start; i < end; i++) {
    const octet = value[i] as number;
    if (octet < 0x0e && (octet === 0x00 || octet === 0x0a || octet === 0x0d)) return 1;
  }
  return 0;
}

function isSpace(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

/** The octets of a string have not been looked at. */
const UNKNOWN_FLAW = -1;

const EMPTY = Buffer.alloc(0);
