/** Reads one file of the log from its beginning, record by record, as far as it is whole. */
import { STATE_LIMITS } from '../core/limits.ts';
import { Message } from './codec.ts';
import { crc32c } from './crc32c.ts';
import type { Files, OpenFile } from './files.ts';
import {
  decodeHead,
  type FileHead,
  FormatError,
  isPlausible,
  LONGEST_HEAD,
  RECORD_HEAD,
  recordHead,
} from './format.ts';

/** Takes a record: its message lies in `bytes` from `start` to `end`, and there only during the call. */
export type OnRecord = (
  bytes: Buffer,
  start: number,
  end: number,
  position: number,
  time: number,
  at: number,
) => void;

export interface Scan {
  /** Undefined where the header is torn. */
  readonly head: FileHead | undefined;
  readonly size: number;
  /** Where the first record begins. */
  readonly begin: number;
  /** Up to here it is whole. */
  readonly end: number;
  /** The checksum there. */
  readonly chain: number;
  /** Position of the last entry; that before `head.first` where there is none. */
  readonly last: number;
  readonly records: number;
  /** What is wrong at `end`, where something is. */
  readonly fault?: Fault;
}

export interface Fault {
  readonly why: string;
  /** True where what stands behind it says that it had been durable: damage, no torn end. */
  readonly wasDurable: boolean;
}

/** @throws FormatError for what is no file of the log, or one of a newer version. */
export async function scanFile(files: Files, name: string, onRecord: OnRecord): Promise<Scan> {
  const file = await files.open(name, 'read');
  try {
    return await new Scanner(file, onRecord).scan();
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(`${files.directory}/${name}: ${error.message}`);
    throw error;
  } finally {
    await file.close();
  }
}

/** The header alone; undefined where it is torn. */
export async function readHead(files: Files, name: string): Promise<FileHead | undefined> {
  const file = await files.open(name, 'read');
  try {
    const bytes = Buffer.allocUnsafe(Math.min(LONGEST_HEAD, Math.max(1, await file.size())));
    const octets = await fill(file, bytes, 0, 0);
    return decodeHead(bytes.subarray(0, octets))?.head;
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(`${files.directory}/${name}: ${error.message}`);
    throw error;
  } finally {
    await file.close();
  }
}

/** Reads until `into` is full or the file ends; how much there is in it then. */
async function fill(file: OpenFile, into: Uint8Array, offset: number, at: number): Promise<number> {
  let filled = offset;
  while (filled < into.length) {
    const read = await file.read(into, filled, at + filled - offset);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}

class Scanner {
  readonly #file: OpenFile;
  readonly #onRecord: OnRecord;
  #size = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #filled = 0;
  /** Place in the file of the first octet in memory. */
  #base = 0;
  /** Of the next record, in memory. */
  #at = 0;
  #chain = 0;
  #last = 0;
  #records = 0;

  constructor(file: OpenFile, onRecord: OnRecord) {
    this.#file = file;
    this.#onRecord = onRecord;
  }

  async scan(): Promise<Scan> {
    this.#size = await this.#file.size();
    this.#bytes = Buffer.allocUnsafe(Math.min(STATE_LIMITS.readOctets, Math.max(64, this.#size)));
    this.#filled = await fill(this.#file, this.#bytes, 0, 0);
    const first = decodeHead(this.#bytes.subarray(0, this.#filled));
    if (first === undefined) return this.#ended(undefined, 0, 'the header is torn');
    this.#at = first.octets;
    this.#chain = first.chain;
    this.#last = first.head.first - 1;
    for (;;) {
      const why = this.#readWhole();
      if (why !== '') return this.#ended(first.head, first.octets, why);
      if (this.#base + this.#filled >= this.#size) break;
      await this.#more();
    }
    const left = this.#filled - this.#at;
    return this.#ended(
      first.head,
      first.octets,
      left === 0 ? '' : `a record is cut off after ${left} octets`,
    );
  }

  /** Reads all that lie whole in memory; says what is wrong where something is. */
  #readWhole(): string {
    const bytes = this.#bytes;
    while (this.#filled - this.#at >= RECORD_HEAD) {
      const at = this.#at;
      const place = this.#base + at;
      const length = recordHead.length(bytes, at);
      if (!recordHead.hasMark(bytes, at)) return 'there is no record';
      if (length === 0 || length > STATE_LIMITS.recordOctets) return `a record of ${length} octets`;
      if (place + RECORD_HEAD + length > this.#size) return 'a record is cut off';
      const start = at + RECORD_HEAD;
      const end = start + length;
      if (end > this.#filled) return '';
      const crc = crc32c(this.#chain, bytes, at + 4, end);
      if (crc !== recordHead.crc(bytes, at)) return 'the checksum of a record is wrong';
      const position = recordHead.position(bytes, at);
      const expected = bytes[start] === Message.PROPOSAL ? this.#last + 1 : this.#last;
      if (position !== expected) return `a record of position ${position} where ${expected} belongs`;
      this.#chain = crc;
      this.#last = position;
      this.#records++;
      this.#at = end;
      this.#onRecord(bytes, start, end, position, recordHead.time(bytes, at), place);
    }
    return '';
  }

  /** Brings what follows into memory, the begun record first. */
  async #more(): Promise<void> {
    const left = this.#filled - this.#at;
    const wanted = left < RECORD_HEAD ? 0 : RECORD_HEAD + recordHead.length(this.#bytes, this.#at);
    const rest = this.#size - this.#base - this.#at;
    const room = Math.min(rest, Math.max(wanted, STATE_LIMITS.readOctets));
    const into = room > this.#bytes.length ? Buffer.allocUnsafe(room) : this.#bytes;
    this.#bytes.copy(into, 0, this.#at, this.#filled);
    this.#base += this.#at;
    this.#bytes = into;
    this.#at = 0;
    this.#filled = await fill(this.#file, into, left, this.#base + left);
    // Somebody cut the file while it was read.
    if (this.#filled === left) this.#size = this.#base + left;
  }

  async #ended(head: FileHead | undefined, begin: number, why: string): Promise<Scan> {
    const end = this.#base + this.#at;
    const whole = {
      head,
      size: this.#size,
      begin,
      end,
      chain: this.#chain,
      last: this.#last,
      records: this.#records,
    };
    return why === '' ? whole : { ...whole, fault: { why, wasDurable: await this.#wasDurable(end) } };
  }

  /** Whether a record behind the place says that more than it had been durable when it was written. */
  async #wasDurable(place: number): Promise<boolean> {
    const step = STATE_LIMITS.readOctets;
    const bytes = Buffer.allocUnsafe(step + RECORD_HEAD);
    for (let base = place + 1; base < this.#size; base += step) {
      const filled = await fill(this.#file, bytes, 0, base);
      // All heads are looked at as if the file went on: only what they say counts.
      for (let at = 0; at < step && at + RECORD_HEAD <= filled; at++) {
        if (!isPlausible(bytes, at, this.#size - base)) continue;
        const synced = recordHead.synced(bytes, at);
        if (synced > place && synced <= base + at && recordHead.position(bytes, at) >= this.#last)
          return true;
      }
    }
    return false;
  }
}
