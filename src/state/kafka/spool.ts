/**
 * Changes that wait for a log that is away, in a local file, so that they survive this process too.
 *
 *   file   = magic:8 octets "HMSPOOL1" record*
 *   record = length:u32 crc32c:u32 (little-endian) message      the message of one proposal, see codec.ts
 *
 * It is only ever appended to, and emptied as a whole once the log has all of it. A record that is torn or
 * does not match its checksum ends the file: what is behind was never promised.
 */
import { KAFKA_LIMITS } from '../../core/limits.ts';
import { crc32c } from '../crc32c.ts';
import type { Files, OpenFile } from '../files.ts';

const MAGIC = Buffer.from('HMSPOOL1');
const HEAD = 8;
const NAME = 'spool';

export class Spool {
  readonly #file: OpenFile;
  readonly #path: string;
  /** Up to here it is whole. */
  #size: number;
  /** Writes follow one another. */
  #tail: Promise<void> = Promise.resolve();
  /** Why nothing is written to it any more; empty where it is. */
  #broken = '';
  /** Messages in it. */
  count: number;

  private constructor(file: OpenFile, path: string, size: number, count: number) {
    this.#file = file;
    this.#path = path;
    this.#size = size;
    this.count = count;
  }

  /** Opens the file of this folder, and reads what an earlier life left in it. */
  static async open(files: Files): Promise<{ spool: Spool; left: Buffer[] }> {
    await files.make();
    const path = `${files.directory}/${NAME}`;
    const there = (await files.list()).includes(NAME);
    const file = there ? await files.open(NAME, 'write') : await files.create(NAME);
    try {
      await files.sync();
      const size = await file.size();
      if (size > KAFKA_LIMITS.spoolBytes) {
        throw new Error(`${path} has ${size} octets, more than any that this writes: look at it`);
      }
      const bytes = Buffer.alloc(size);
      for (let at = 0; at < size; ) {
        const got = await file.read(bytes, at, at);
        if (got === 0) break;
        at += got;
      }
      const { messages, end } = parse(bytes);
      if (end < size) await file.truncate(end);
      return { spool: new Spool(file, path, end, messages.length), left: messages };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Resolves once all of it is on the disk. Rejects where it cannot be: then none of it counts. */
  add(messages: readonly Buffer[]): Promise<void> {
    return this.#after(async () => {
      const parts = messages.flatMap(message => [headOf(message), message]);
      if (this.#size === 0) parts.unshift(MAGIC);
      const bytes = Buffer.concat(parts);
      if (this.#size + bytes.length > KAFKA_LIMITS.spoolBytes) {
        throw new Error(`the file of waiting changes is full (${this.#size} octets)`);
      }
      try {
        await this.#file.write(bytes, this.#size);
      } catch (error) {
        // What stands behind a torn record would not be found again.
        await this.#orBroken(this.#file.truncate(this.#size), 'cannot be cut');
        throw error;
      }
      await this.#sync();
      this.#size += bytes.length;
      this.count += messages.length;
    });
  }

  /** The log has all of it. */
  clear(): Promise<void> {
    return this.#after(async () => {
      if (this.#size === 0) return;
      await this.#orBroken(this.#file.truncate(0), 'cannot be cut');
      this.#size = 0;
      this.count = 0;
      await this.#sync();
    });
  }

  async close(): Promise<void> {
    await this.#tail.catch(() => {});
    await this.#file.close();
  }

  /** A sync that failed is never tried again: what it did not write may be gone from memory too. */
  #sync(): Promise<void> {
    return this.#orBroken(this.#file.sync(), 'cannot be made durable');
  }

  async #orBroken(step: Promise<void>, what: string): Promise<void> {
    try {
      await step;
    } catch (error) {
      this.#broken = `${this.#path} ${what}: ${error instanceof Error ? error.message : error}`;
      throw new Error(this.#broken, { cause: error });
    }
  }

  #after(step: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(() => {
      if (this.#broken !== '') throw new Error(this.#broken);
      return step();
    });
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
