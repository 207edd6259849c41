/**
 * Files of the log. Numbers are little-endian.
 *
 *   file     = header record*
 *   header   = magic:8 version:1 readers:1 length:2 content crc:4
 *              magic    0x89 "HMLOG\r\n": no text, and changed by whoever takes it for one
 *              version  of the format that wrote it / the oldest one that can read it
 *              length   of content, which may grow at its end
 *              crc      CRC-32C of all before it
 *   content  = kind:byte sequence:varint first:varint chain:varint fresh:byte
 *              epoch:varint time:double origin:string
 *              kind     1 entries / 2 snapshot
 *              sequence of the file: 1, 2, 3 ...; a snapshot has that of the file that was written then
 *              first    position of the first entry that may stand in it; a snapshot's own position
 *              chain    the checksum that the file before ended with
 *              fresh    1: what it goes on from is not the file before but the snapshot of `first` − 1
 *   record   = crc:4 length:4 mark:2 position:6 time:6 synced:4 message
 *              crc      CRC-32C of the rest of the record, continued from that of the record before it,
 *                       in the first record from that of the header
 *              length   of the message; 0 is no record, and so is a mark other than 0x4d48
 *              position of the entry; of the last entry before, in records of other kinds
 *              time     wall clock when it was written, ms since 1970
 *              synced   so much of this file was known to be durable when it was written
 *   message  as in codec.ts: the first octet is its type
 *
 * Since only the end of the file that was written last can be torn, and `synced` in what stands behind a
 * damaged place tells whether that had been durable, a torn end can be told from damage.
 */
import { STATE_LIMITS } from '../core/limits.ts';
import { Reader, Writer } from './bytes.ts';
import { crc32c } from './crc32c.ts';

/** What is written, and the oldest version that can read it. */
const VERSION = 1;
const READERS = 1;

const MAGIC = Buffer.from('89484d4c4f470d0a', 'hex');
/** Before the content. */
const FIXED = MAGIC.length + 4;
const CRC_OCTETS = 4;

export const RECORD_HEAD = 26;
const MARK = 0x4d48;
const MARK_LOW = MARK & 0xff;
const MARK_HIGH = MARK >>> 8;

export interface FileHead {
  readonly kind: 'entries' | 'snapshot';
  readonly sequence: number;
  readonly first: number;
  readonly chain: number;
  readonly fresh: boolean;
  readonly epoch: number;
  readonly time: number;
  readonly origin: string;
}

/** A file that this version cannot read, or that is none of the log. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

export const logName = (sequence: number): string => `${String(sequence).padStart(10, '0')}.log`;
export const snapshotName = (position: number): string => `${String(position).padStart(16, '0')}.snapshot`;
/** Of files that are being written: what is left of one after a crash counts for nothing. */
export const PART = '.part';
export const BROKEN = '.broken';

export interface Names {
  /** Names of log files by their sequence. */
  readonly logs: readonly { readonly name: string; readonly sequence: number }[];
  /** Names of snapshots by their position. */
  readonly snapshots: readonly { readonly name: string; readonly position: number }[];
  readonly parts: readonly string[];
}

/** Sorts out what stands in a directory; what is none of ours is left alone. */
export function namesAmong(all: readonly string[]): Names {
  const numbered = (pattern: RegExp): [string, number][] =>
    all
      .flatMap(name => {
        const number = pattern.exec(name)?.[1];
        return number === undefined ? [] : [[name, Number(number)] as [string, number]];
      })
      .sort((a, b) => a[1] - b[1]);
  return {
    logs: numbered(/^(\d{10})\.log$/).map(([name, sequence]) => ({ name, sequence })),
    snapshots: numbered(/^(\d{16})\.snapshot$/).map(([name, position]) => ({ name, position })),
    parts: all.filter(name => /^\d+\.(?:log|snapshot)\.part$/.test(name)),
  };
}

/** The header's octets, and the checksum that the first record goes on from. */
export function encodeHead(head: FileHead): { readonly bytes: Buffer; readonly chain: number } {
  const content = new Writer();
  content.byte(head.kind === 'entries' ? 1 : 2);
  content.varint(head.sequence);
  content.varint(head.first);
  content.varint(head.chain);
  content.bool(head.fresh);
  content.varint(head.epoch);
  content.double(head.time);
  content.string(head.origin);
  const bytes = Buffer.alloc(FIXED + content.length + CRC_OCTETS);
  bytes.set(MAGIC);
  bytes[8] = VERSION;
  bytes[9] = READERS;
  bytes.writeUInt16LE(content.length, 10);
  bytes.set(content.view(), FIXED);
  const chain = crc32c(0, bytes, 0, FIXED + content.length);
  bytes.writeUInt32LE(chain, FIXED + content.length);
  return { bytes, chain };
}

/**
 * Reads the header at the beginning of `bytes`. Undefined where it is torn: cut off, or not what its
 * checksum says. @throws FormatError for a file of something else or of a newer version.
 */
export function decodeHead(
  bytes: Buffer,
): { readonly head: FileHead; readonly octets: number; readonly chain: number } | undefined {
  const magic = Math.min(bytes.length, MAGIC.length);
  if (bytes.length < FIXED) return undefined;
  const octets = FIXED + bytes.readUInt16LE(10) + CRC_OCTETS;
  const checked = octets - CRC_OCTETS;
  if (bytes.length < octets) return undefined;
  const chain = bytes.readUInt32LE(checked);
  if (crc32c(0, bytes, 0, checked) !== chain) return undefined;
  if (bytes.compare(MAGIC, 0, magic, 0, magic) !== 0) throw new FormatError('this is no file of the log');
  if ((bytes[9] as number) > VERSION) {
    throw new FormatError(
      `version ${bytes[8]} of the log's format wrote this file, and version ${bytes[9]} is the oldest to read it: this is version ${VERSION}. Start the newer release, or begin with nothing by --ignore-state`,
    );
  }
  const from = new Reader(bytes.subarray(FIXED, checked));
  const kind = from.byte();
  if (kind !== 1 && kind !== 2) throw new FormatError(`a file of kind ${kind}`);
  const head: FileHead = {
    kind: kind === 1 ? 'entries' : 'snapshot',
    sequence: from.varint(),
    first: from.varint(),
    chain: from.varint(),
    fresh: from.bool(),
    epoch: from.varint(),
    time: from.double(),
    origin: from.string(),
  };
  return { head, octets, chain };
}

/** The longest header: its content's length has 16 bits. */
export const LONGEST_HEAD = FIXED + 0xffff + CRC_OCTETS;

/** Appends records to a piece of memory that is written as a whole. */
export class RecordWriter {
  /** The checksum of the last record. */
  chain: number;
  readonly #out = new Writer(64 * 1024);
  readonly #head = Buffer.alloc(RECORD_HEAD);

  constructor(chain: number) {
    this.chain = chain;
  }

  get length(): number {
    return this.#out.length;
  }

  /** Valid until the next `add` or `reset`. */
  view(): Buffer {
    return this.#out.view();
  }

  reset(): void {
    this.#out.reset();
  }

  add(message: Uint8Array, position: number, time: number, synced: number): void {
    const head = this.#head;
    head.writeUInt32LE(message.length, 4);
    head.writeUInt16LE(MARK, 8);
    head.writeUIntLE(position, 10, 6);
    head.writeUIntLE(Math.min(Math.max(0, Math.floor(time)), 2 ** 48 - 1), 16, 6);
    head.writeUInt32LE(synced, 22);
    let crc = crc32c(this.chain, head, 4, RECORD_HEAD);
    crc = crc32c(crc, message, 0, message.length);
    head.writeUInt32LE(crc, 0);
    this.chain = crc;
    this.#out.raw(head);
    this.#out.raw(message);
  }
}

/** Reads the fields of a record's head in place. */
export const recordHead = {
  crc: (bytes: Buffer, at: number): number => u32(bytes, at),
  length: (bytes: Buffer, at: number): number => u32(bytes, at + 4),
  hasMark: (bytes: Buffer, at: number): boolean => bytes[at + 8] === MARK_LOW && bytes[at + 9] === MARK_HIGH,
  position: (bytes: Buffer, at: number): number => u48(bytes, at + 10),
  time: (bytes: Buffer, at: number): number => u48(bytes, at + 16),
  synced: (bytes: Buffer, at: number): number => u32(bytes, at + 22),
};

function u32(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

function u48(bytes: Buffer, at: number): number {
  return u32(bytes, at) + ((bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8)) * 0x1_0000_0000;
}

/** Whether what stands at a place may be a record that ends before `end`, as far as its head tells. */
export function isPlausible(bytes: Buffer, at: number, end: number): boolean {
  if (at + RECORD_HEAD > end || !recordHead.hasMark(bytes, at)) return false;
  const length = recordHead.length(bytes, at);
  return length > 0 && length <= STATE_LIMITS.recordOctets && at + RECORD_HEAD + length <= end;
}
