/**
 * A directory on a disk that does what disks may do: it loses what was not made durable, tears writes
 * apart by sectors, fails to sync, has no room, and stops in the middle of anything; all by one generator.
 */
import type { Files, OpenFile } from '../../src/state/files.ts';

const SECTOR = 512;

interface Write {
  readonly at: number;
  readonly bytes: Buffer;
}

class Inode {
  /** As every process sees it. */
  current: Buffer = Buffer.alloc(0);
  /** As it is after the power was gone, but for `pending`. */
  durable: Buffer = Buffer.alloc(0);
  pending: (Write | { readonly truncate: number })[] = [];
}

type Name = { readonly name: string; readonly inode: Inode | undefined };

export class Disk {
  readonly random: () => number;
  /** Operations until the process stops for good. */
  stopAfter = Number.POSITIVE_INFINITY;
  /** Operations until a sync of a file fails, once. */
  failSyncAfter = Number.POSITIVE_INFINITY;
  /** Octets that still fit. */
  room = Number.POSITIVE_INFINITY;
  operations = 0;
  syncs = 0;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #pendingNames: Name[] = [];

  constructor(random: () => number) {
    this.random = random;
  }

  get stopped(): boolean {
    return this.operations > this.stopAfter;
  }

  /** The directory as the next process finds it: after a kill all that was written, after a power cut not. */
  next(how: 'kill' | 'power cut'): Disk {
    const disk = new Disk(this.random);
    if (how === 'kill') {
      for (const [name, inode] of this.#names) {
        disk.#names.set(name, inode);
      }
      disk.#durableNames = new Map(this.#durableNames);
      disk.#pendingNames = [...this.#pendingNames];
      return disk;
    }
    const names = new Map(this.#durableNames);
    const kept = Math.floor(this.random() * (this.#pendingNames.length + 1));
    for (const { name, inode } of this.#pendingNames.slice(0, kept)) {
      if (inode === undefined) names.delete(name);
      else names.set(name, inode);
    }
    for (const [name, inode] of names) {
      const left = new Inode();
      left.current = Buffer.from(this.#leftOf(inode));
      left.durable = left.current;
      disk.#names.set(name, left);
      disk.#durableNames.set(name, left);
    }
    return disk;
  }

  #leftOf(inode: Inode): Buffer {
    let bytes: Buffer = Buffer.from(inode.durable);
    for (const change of inode.pending) {
      if ('truncate' in change) {
        if (this.random() < 0.5) bytes = bytes.subarray(0, change.truncate);
        continue;
      }
      const all = this.random();
      for (let at = 0; at < change.bytes.length; ) {
        const end = Math.min(change.bytes.length, at + SECTOR - ((change.at + at) % SECTOR));
        const keeps = all < 0.3 || (all < 0.9 && this.random() < 0.5);
        if (keeps) bytes = written(bytes, change.at + at, change.bytes.subarray(at, end));
        at = end;
      }
    }
    return bytes;
  }

  /** What stands in a file, for tests that change it. */
  contents(name: string): Buffer {
    return (this.#names.get(name) as Inode).current;
  }

  names(): string[] {
    return [...this.#names.keys()].sort();
  }

  put(name: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.current = Buffer.from(bytes);
    inode.durable = inode.current;
    this.#names.set(name, inode);
    this.#durableNames.set(name, inode);
  }

  /** A copy that shares nothing. */
  copy(): Disk {
    const disk = new Disk(this.random);
    for (const [name, inode] of this.#names) disk.put(name, inode.current);
    return disk;
  }

  /** What a process works with. */
  files(): Files {
    return {
      directory: 'disk',
      make: () => this.#operation(() => {}),
      list: () => this.#operation(() => [...this.#names.keys()]),
      create: name =>
        this.#operation(() => {
          if (this.#names.has(name)) throw failure('EEXIST', `${name} exists`);
          if (this.room <= 0) throw failure('ENOSPC', 'no space left on device');
          const inode = new Inode();
          this.#rename(name, inode);
          return this.#opened(inode);
        }),
      open: name => this.#operation(() => this.#opened(this.#get(name))),
      rename: (from, to) =>
        this.#operation(() => {
          this.#rename(to, this.#get(from));
          this.#rename(from, undefined);
        }),
      remove: name =>
        this.#operation(() => {
          this.room += this.#get(name).current.length;
          this.#rename(name, undefined);
        }),
      sync: () =>
        this.#operation(() => {
          this.#pendingNames = [];
          this.#durableNames = new Map(this.#names);
        }),
    };
  }

  #get(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw failure('ENOENT', `there is no ${name}`);
    return inode;
  }

  #rename(name: string, inode: Inode | undefined): void {
    this.#pendingNames.push({ name, inode });
    if (inode === undefined) this.#names.delete(name);
    else this.#names.set(name, inode);
  }

  #opened(inode: Inode): OpenFile {
    return {
      size: () => this.#operation(() => inode.current.length),
      write: async (bytes, at) => {
        let whole: Buffer = Buffer.from(bytes);
        let full = false;
        const grows = Math.max(0, at + whole.length - inode.current.length);
        if (grows > this.room) {
          whole = whole.subarray(0, Math.max(0, whole.length - (grows - this.room)));
          full = true;
        }
        // A process that is stopped within a write leaves a part of it.
        if (this.operations === this.stopAfter)
          whole = whole.subarray(0, Math.floor(this.random() * whole.length));
        this.room -= Math.max(0, at + whole.length - inode.current.length);
        inode.current = written(inode.current, at, whole);
        inode.pending.push({ at, bytes: whole });
        await this.#operation(() => {});
        if (full) throw failure('ENOSPC', 'no space left on device');
      },
      read: (into, offset, at) =>
        this.#operation(() =>
          inode.current.copy(into, offset, at, Math.min(inode.current.length, at + 4096)),
        ),
      truncate: size =>
        this.#operation(() => {
          this.room += inode.current.length - size;
          inode.current = Buffer.from(inode.current.subarray(0, size));
          inode.pending.push({ truncate: size });
        }),
      sync: () =>
        this.#operation(() => {
          if (this.operations >= this.failSyncAfter) {
            this.failSyncAfter = Number.POSITIVE_INFINITY;
            // What could not be written is forgotten by the system: a second sync has nothing to do.
            inode.durable = this.#leftOf(inode);
            inode.pending = [];
            throw failure('EIO', 'input/output error');
          }
          this.syncs++;
          inode.durable = inode.current;
          inode.pending = [];
        }),
      close: () => this.#operation(() => {}),
    };
  }

  async #operation<T>(act: () => T): Promise<T> {
    this.operations++;
    if (this.stopped) return new Promise<T>(() => {});
    const done = act();
    await new Promise<void>(resolve => {
      if (this.random() < 0.3) setImmediate(resolve);
      else resolve();
    });
    if (this.stopped) return new Promise<T>(() => {});
    return done;
  }
}

function written(before: Buffer, at: number, bytes: Uint8Array): Buffer {
  const after = Buffer.alloc(Math.max(before.length, at + bytes.length));
  after.set(before);
  after.set(bytes, at);
  return after;
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
