/** A snapshot as a file: written beside, made durable, then given its name; read whole or not at all. */
import type { Snapshot } from '../core/snapshot.ts';
import { CodecError } from './bytes.ts';
import { Message } from './codec.ts';
import type { Files } from './files.ts';
import { encodeHead, type FileHead, PART, RecordWriter, snapshotName } from './format.ts';
import { scanFile } from './scan.ts';
import { encodeSnapshot, SnapshotReader } from './snapshot-codec.ts';

export interface SnapshotFile {
  readonly head: FileHead;
  readonly snapshot: Snapshot;
  /** Notes of load as messages, the last one an instance. */
  readonly notes: readonly Buffer[];
}

/**
 * Writes a snapshot and what was noted of load. Other work has its turn between its parts. What an earlier
 * attempt left is overwritten.
 */
export async function writeSnapshot(
  files: Files,
  snapshot: Snapshot,
  notes: readonly Uint8Array[],
  about: {
    readonly sequence: number;
    readonly epoch: number;
    readonly time: number;
    readonly origin: string;
  },
): Promise<string> {
  const name = snapshotName(snapshot.position);
  const part = `${name}${PART}`;
  await removeIfThere(files, part);
  const { bytes, chain } = encodeHead({
    ...about,
    kind: 'snapshot',
    first: snapshot.position + 1,
    chain: 0,
    fresh: true,
  });
  const file = await files.create(part);
  try {
    await file.write(bytes, 0);
    let at = bytes.length;
    const out = new RecordWriter(chain);
    const write = async (): Promise<void> => {
      await file.write(out.view(), at);
      at += out.length;
      out.reset();
    };
    for (const message of encodeSnapshot(snapshot)) {
      out.add(message, snapshot.position, about.time, 0);
      await write();
    }
    for (const note of notes) out.add(note, snapshot.position, about.time, 0);
    await write();
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(part, name);
  await files.sync();
  return name;
}

/** Where a snapshot is damaged, and why. */
export class BadSnapshot extends Error {
  readonly at: number;

  constructor(at: number, why: string) {
    super(why);
    this.at = at;
  }
}

/** @throws BadSnapshot; FormatError where a newer version wrote it. */
export async function readSnapshot(files: Files, name: string): Promise<SnapshotFile> {
  const reader = new SnapshotReader();
  const notes: Buffer[] = [];
  let snapshot: Snapshot | undefined;
  let wrong: BadSnapshot | undefined;
  const scan = await scanFile(files, name, (bytes, start, end, _position, _time, at) => {
    if (wrong !== undefined) return;
    try {
      const type = bytes[start];
      if (type === Message.SNAPSHOT) snapshot = reader.take(bytes.subarray(start, end)) ?? snapshot;
      else if (type === Message.LOADS) notes.push(Buffer.from(bytes.subarray(start, end)));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      wrong = new BadSnapshot(at, error.message);
    }
  });
  if (wrong !== undefined) throw wrong;
  if (scan.fault !== undefined || scan.head === undefined)
    throw new BadSnapshot(scan.end, scan.fault?.why ?? '');
  if (snapshot === undefined) throw new BadSnapshot(scan.end, 'the snapshot has no end');
  return { head: scan.head, snapshot, notes };
}

export async function removeIfThere(files: Files, name: string): Promise<void> {
  try {
    await files.remove(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
