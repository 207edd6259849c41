/** What the log needs of a file system: an interface, so that tests can hand in one that fails. */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** One directory. Names are without it. Every failure is an Error with the system's `code`. */
export interface Files {
  readonly directory: string;
  /** Makes the directory where it is not there. */
  make(): Promise<void>;
  list(): Promise<string[]>;
  /** A new file; fails with EEXIST where the name is taken. */
  create(name: string): Promise<OpenFile>;
  open(name: string, mode: 'read' | 'write'): Promise<OpenFile>;
  /** Takes the place of whatever has the new name. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes names durable: files that were created, renamed or removed. */
  sync(): Promise<void>;
}

export interface OpenFile {
  size(): Promise<number>;
  /** Writes all of it at a place. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** Reads into `into` from its `offset` on, from a place of the file; how much, 0 at the end. */
  read(into: Uint8Array, offset: number, at: number): Promise<number>;
  truncate(size: number): Promise<void>;
  /** Makes what was written durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Readable by its owner alone: causes and labels are nobody else's business. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export function filesIn(directory: string): Files {
  const path = (name: string): string => join(directory, name);
  return {
    directory,
    make: async () => {
      await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    },
    list: () => readdir(directory),
    create: async name => wrapped(await open(path(name), 'wx+', FILE_MODE)),
    open: async (name, mode) =>
      wrapped(await open(path(name), mode === 'read' ? constants.O_RDONLY : constants.O_RDWR)),
    rename: (from, to) => rename(path(from), path(to)),
    remove: name => unlink(path(name)),
    sync: async () => {
      const handle = await open(directory, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
  };
}

function wrapped(handle: FileHandle): OpenFile {
  return {
    size: async () => (await handle.stat()).size,
    write: async (bytes, at) => {
      let done = 0;
      while (done < bytes.length) {
        done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      }
    },
    read: async (into, offset, at) => (await handle.read(into, offset, into.length - offset, at)).bytesRead,
    truncate: size => handle.truncate(size),
    // The size is part of what fdatasync makes durable; times are not, and nobody needs them.
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
