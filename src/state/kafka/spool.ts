/**
 * Changes that wait for a log that is away, in a local file, so that they survive this process too.
 *
 *   file   = magic:8 octets "HMSPOOL1" record*
 *   record = length:u32 crc32c:u32 (little-endian) message      the message of one proposal, see codec.ts
 *
 * It is only ever appended to, and emptied as a whole once the log has all of it. A record that is torn or
 * does not match its checksum ends the file: what is behind was never promised.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { KAFKA_LIMITS } from '../../core/limits.ts';
import { crc32c } from '../crc32c.ts';

const MAGIC = Buffer.from('HMSPOOL1');
const HEAD = 8;

export class Spool {
  readonly #file: FileHandle;
  #size: number;
  /** Writes follow one another. */
  #tail: Promise<void> = Promise.resolve();
  /** Messages in it. */
  count: number;

  private constructor(file: FileHandle, size: number, count: number) {
    this.#file = file;
    this.#size = size;
    this.count = count;
  }

  /** Opens the file of this folder, and reads what an earlier life left in it. */
  static async open(folder: string): Promise<{ spool: Spool; left: Buffer[] }> {
    await mkdir(folder, { recursive: true });
    const file = await open(join(folder, 'spool'), 'a+');
    const { size } = await file.stat();
    if (size > KAFKA_LIMITS.spoolBytes) {
      await file.close();
      throw new Error(
        `${join(folder, 'spool')} has ${size} octets, more than any that this writes: look at it`,
      );
    }
    const bytes = Buffer.alloc(size);
    if (size > 0) await file.read(bytes, 0, size, 0);
    const { messages, end } = parse(bytes);
    if (end < size) await file.truncate(end);
    return { spool: new Spool(file, end, messages.length), left: messages };
  }

  /** Resolves once all of it is on the disk. Rejects where it cannot be: then none of it counts. */
  add(messages: readonly Buffer[]): Promise<void> {
    const parts = messages.flatMap(message => [headOf(message), message]);
    if (this.#size === 0) parts.unshift(MAGIC);
    const bytes = Buffer.concat(parts);
    if (this.#size + bytes.length > KAFKA_LIMITS.spoolBytes) {
      return Promise.reject(new Error(`the file of waiting changes is full (${this.#size} octets)`));
    }
    const start = this.#size;
    this.#size += bytes.length;
    this.count += messages.length;
    return this.#after(async () => {
      await this.#file.write(bytes, 0, bytes.length, start);
      await this.#file.datasync();
    });
  }

  /** The log has all of it. */
  clear(): Promise<void> {
    if (this.#size === 0) return Promise.resolve();
    this.#size = 0;
    this.count = 0;
    return this.#after(async () => {
      await this.#file.truncate(0);
      await this.#file.datasync();
    });
  }

  async close(): Promise<void> {
    await this.#tail.catch(() => {});
    await this.#file.close();
  }

  #after(step: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(step);
    this.#tail = done.catch(() => {});
    return done;
  }
}

function headOf(message: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt32LE(message.length, 0);
  head.writeUInt32LE(crc32c(0, message, 0, message.length), 4);
  return head;
}

function parse(bytes: Buffer): { messages: Buffer[]; end: number } {
  const messages: Buffer[] = [];
  if (bytes.length < MAGIC.length || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return { messages, end: 0 };
  let at = MAGIC.length;
  while (at + HEAD <= bytes.length) {
    const end = at + HEAD + bytes.readUInt32LE(at);
    if (end > bytes.length || end === at + HEAD) break;
    if (crc32c(0, bytes, at + HEAD, end) !== bytes.readUInt32LE(at + 4)) break;
    messages.push(bytes.subarray(at + HEAD, end));
    at = end;
  }
  return { messages, end: messages.length === 0 ? 0 : at };
}
