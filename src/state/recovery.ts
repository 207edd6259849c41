/**
 * What a directory of the log holds: the newest snapshot, and the entries behind it.
 *
 *   a torn end of the file that was written last    is cut off, and kept beside as `.broken`
 *   anything else that is not whole                 refuses, with the file, the place, and what to do
 *
 * Entries are folded as they are read, so that memory holds the servers and not their history.
 */
import { apply } from '../core/fold.ts';
import { type Snapshot, snapshotOf, storeOf } from '../core/snapshot.ts';
import { idOfKey, RecordStore } from '../core/store.ts';
import { CodecError, Reader } from './bytes.ts';
import { MAY_SKIP, Message, readProposal } from './codec.ts';
import type { Files } from './files.ts';
import { BROKEN, type FileHead, namesAmong } from './format.ts';
import { decodeLoads } from './load-codec.ts';
import type { Recovered } from './log.ts';
import { QuickFold } from './quick-fold.ts';
import { readHead, type Scan, scanFile } from './scan.ts';
import { BadSnapshot, readSnapshot, removeIfThere, type SnapshotFile } from './snapshot-file.ts';

/** The log cannot be read whole. */
export class DamageError extends Error {
  override readonly name = 'DamageError';
  readonly file: string;
  /** Of the file in its directory. */
  readonly fileName: string;
  readonly offset: number;

  constructor(files: Files, name: string, offset: number, why: string) {
    const file = `${files.directory}/${name}`;
    super(
      `${file} is damaged at offset ${offset}: ${why}. ` +
        `\`heapmesh log verify ${files.directory}\` shows all of it; \`heapmesh log repair ${files.directory}\` cuts the log there and keeps what it cuts; ` +
        '`--ignore-state` starts with nothing',
    );
    this.file = file;
    this.fileName = name;
    this.offset = offset;
  }
}

export interface RecoveredLog extends Recovered {
  /** Notes of load as messages. */
  readonly notes: readonly Buffer[];
  /** For the next file: its sequence, and the checksum that it goes on from. */
  readonly sequence: number;
  readonly chain: number;
  /** Entries and files that were read behind the snapshot. */
  readonly entries: number;
  readonly files: number;
  /** The end that was torn, where one was. */
  readonly cut?: {
    readonly file: string;
    readonly at: number;
    readonly octets: number;
    readonly why: string;
  };
  /** Instances that wrote here, the last one last. */
  readonly origin: string;
}

/** `mend`: cuts a torn end off and removes what a crash left; without it nothing in the directory changes. */
export async function recover(
  files: Files,
  { mend }: { readonly mend: boolean } = { mend: true },
): Promise<RecoveredLog> {
  const names = namesAmong(await files.list());
  if (mend) for (const part of names.parts) await removeIfThere(files, part);
  const newest = names.snapshots.at(-1);
  const from = newest && (await start(files, newest.name));
  const replay = new Replay(from?.snapshot);
  for (const note of from?.notes ?? []) replay.note(note, 0, note.length);

  const heads: { name: string; sequence: number; head: FileHead | undefined }[] = [];
  for (const { name, sequence } of names.logs) {
    heads.push({ name, sequence, head: await readHead(files, name) });
  }
  let before: Scan | undefined;
  let read = 0;
  let cut: RecoveredLog['cut'];
  for (const [i, { name, head }] of heads.entries()) {
    const next = heads[i + 1]?.head;
    // All of its entries are in the snapshot.
    if (
      next !== undefined &&
      head !== undefined &&
      next.first <= replay.position + 1 &&
      before === undefined
    ) {
      continue;
    }
    const scan = await replay.file(files, name);
    read++;
    const isLast = i === heads.length - 1;
    if (scan.fault !== undefined) {
      if (!isLast || scan.fault.wasDurable) throw new DamageError(files, name, scan.end, scan.fault.why);
      if (mend) await cutEnd(files, name, scan);
      cut = { file: name, at: scan.end, octets: scan.size - scan.end, why: scan.fault.why };
    }
    if (scan.head !== undefined) {
      const gap = wrongAfter(before, scan.head, replay.snapshotPosition);
      if (gap !== '') throw new DamageError(files, name, 0, gap);
      before = scan;
    }
  }
  // What a killed process had written, and not made durable, is what the next file goes on from.
  if (mend && before !== undefined)
    await makeDurable(files, heads.findLast(one => one.head !== undefined)?.name);
  const all = [from?.head, ...heads.map(one => one.head)].filter(head => head !== undefined);
  return {
    ...replay.done(),
    epoch: all.reduce((epoch, head) => Math.max(epoch, head.epoch), 0),
    origin: all.at(-1)?.origin ?? '',
    sequence: (names.logs.at(-1)?.sequence ?? from?.head.sequence ?? 0) + 1,
    chain: before?.chain ?? 0,
    files: read,
    ...(cut === undefined ? {} : { cut }),
  };
}

async function start(files: Files, name: string): Promise<SnapshotFile> {
  try {
    return await readSnapshot(files, name);
  } catch (error) {
    if (error instanceof BadSnapshot) throw new DamageError(files, name, error.at, error.message);
    throw error;
  }
}

async function makeDurable(files: Files, name: string | undefined): Promise<void> {
  if (name === undefined) return;
  const file = await files.open(name, 'write');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await files.sync();
}

/** What is wrong with a file that follows another, or a snapshot; empty where it follows. */
function wrongAfter(before: Scan | undefined, head: FileHead, snapshotPosition: number): string {
  const last = before?.last ?? snapshotPosition;
  if (head.fresh && head.first <= snapshotPosition + 1) return '';
  if (head.first > last + 1) return `the entries from ${last + 1} to ${head.first - 1} are missing`;
  if (before !== undefined && head.chain !== before.chain) {
    return 'it does not go on from the file before it, which is cut off, or another one is missing';
  }
  return '';
}

/** The torn end is kept beside, durable before it is cut off. */
export async function cutEnd(files: Files, name: string, scan: Scan): Promise<void> {
  const broken = `${name}.${scan.end}${BROKEN}`;
  if (scan.head === undefined) {
    await files.rename(name, broken);
    await files.sync();
    return;
  }
  const file = await files.open(name, 'write');
  try {
    const bytes = Buffer.alloc(scan.size - scan.end);
    let filled = 0;
    while (filled < bytes.length) {
      const got = await file.read(bytes, filled, scan.end + filled);
      if (got === 0) break;
      filled += got;
    }
    await removeIfThere(files, broken);
    const beside = await files.create(broken);
    try {
      await beside.write(bytes.subarray(0, filled), 0);
      await beside.sync();
    } finally {
      await beside.close();
    }
    await files.sync();
    await file.truncate(scan.end);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Nobody asks here what changed. */
const UNTRACKED = { tracks: false };

/** Folds entries as they come. */
export class Replay {
  readonly snapshotPosition: number;
  readonly #store: RecordStore;
  readonly #quick: QuickFold;
  readonly #reader = new Reader();
  readonly #notes = new Map<string, { readonly room: Buffer; octets: number }>();
  #position: number;
  #skipped: number;
  #notUnderstood: number;

  constructor(start: Snapshot | undefined) {
    this.#store = start === undefined ? new RecordStore(UNTRACKED) : storeOf(start, UNTRACKED);
    this.#quick = new QuickFold(this.#store);
    this.#position = this.snapshotPosition = start?.position ?? 0;
    this.#skipped = start?.skipped ?? 0;
    this.#notUnderstood = start?.notUnderstood ?? 0;
  }

  get position(): number {
    return this.#position;
  }

  /** All records of a file. @throws DamageError for one that no version can have written. */
  async file(files: Files, name: string): Promise<Scan> {
    let place = 0;
    try {
      return await scanFile(files, name, (bytes, start, end, position, _time, at) => {
        place = at;
        this.record(bytes, start, end, position);
      });
    } catch (error) {
      if (error instanceof CodecError) throw new DamageError(files, name, place, error.message);
      throw error;
    }
  }

  record(bytes: Buffer, start: number, end: number, position: number): void {
    const type = bytes[start] as number;
    if (type === Message.PROPOSAL) {
      if (position <= this.#position) return;
      this.#position = position;
      if (this.#quick.fold(bytes, start, end)) return;
      const proposal = readProposal(this.#reader.open(bytes, start, end));
      this.#quick.before(proposal);
      const { understood } = apply(this.#store, proposal);
      this.#quick.after(proposal);
      for (const key of this.#store.trim()) {
        const id = idOfKey(key);
        if (id !== undefined) this.#quick.forget(id);
      }
      // Of the rest that is tracked nobody asks, and it must not pile up.
      if (position % 1024 === 0) this.#store.takeChanges();
      if (understood === 'may-skip') this.#skipped++;
      if (understood === 'must-know') this.#notUnderstood++;
    } else if (type === Message.LOADS) {
      this.note(bytes, start, end);
    } else if (!(type & MAY_SKIP)) {
      // Counted like an entry that is not understood: it says that a newer version wrote it.
      this.#notUnderstood++;
    }
  }

  /** A note of load: the last one of an instance counts. */
  note(bytes: Buffer, start: number, end: number): void {
    const from = this.#reader.open(bytes, start, end);
    from.byte();
    const origin = from.string();
    const octets = end - start;
    let note = this.#notes.get(origin);
    if (note === undefined || note.room.length < octets) {
      note = { room: Buffer.allocUnsafe(octets + (octets >> 2)), octets };
      this.#notes.set(origin, note);
    }
    // The next one takes its place, in the same memory.
    bytes.copy(note.room, 0, start, end);
    note.octets = octets;
  }

  done(): Pick<RecoveredLog, 'snapshot' | 'loads' | 'notes' | 'entries'> {
    const counts = {
      position: this.#position,
      skipped: this.#skipped,
      notUnderstood: this.#notUnderstood,
    };
    this.#quick.settle();
    const notes = [...this.#notes.values()].map(({ room, octets }) => Buffer.from(room.subarray(0, octets)));
    return {
      snapshot: snapshotOf(this.#store, counts),
      notes,
      loads: notes.map(decodeLoads),
      entries: this.#position - this.snapshotPosition,
    };
  }
}
