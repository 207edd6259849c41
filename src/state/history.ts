/** The state as it stood at a time, from what the files of a log still have. */
import type { Decision } from '../core/decision.ts';
import type { LoadNote } from '../core/load-note.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { Message } from './codec.ts';
import { decodeDecision } from './decision-codec.ts';
import type { Files } from './files.ts';
import { type FileHead, namesAmong } from './format.ts';
import { Replay } from './recovery.ts';
import { readHead, scanFile } from './scan.ts';
import { readSnapshot } from './snapshot-file.ts';

export interface Past {
  readonly snapshot: Snapshot;
  /** Notes of load, one an instance, none of them later than the time. */
  readonly loads: readonly LoadNote[];
  /** The instance that wrote. */
  readonly origin: string;
  readonly epoch: number;
  /** Of the last record before the time, ms since 1970; undefined where there is none. */
  readonly lastWritten: number | undefined;
}

/** Undefined where what is left of the log begins later. Times are those at which entries were written. */
export async function stateAt(files: Files, time: number): Promise<Past | undefined> {
  const names = namesAmong(await files.list());
  let basis: { snapshot: Snapshot; head: FileHead; notes: readonly Buffer[] } | undefined;
  for (const { name } of names.snapshots) {
    const one = await readSnapshot(files, name);
    if (one.head.time <= time) basis = one;
  }
  const replay = new Replay(basis?.snapshot);
  for (const note of basis?.notes ?? []) replay.note(note, 0, note.length);
  let head = basis?.head;
  let lastWritten: number | undefined = basis?.head.time;
  let hole = false;
  for (const { name } of names.logs) {
    const scan = await scanFile(files, name, (bytes, start, end, position, written) => {
      if (written > time || hole) return;
      if (bytes[start] === Message.PROPOSAL && position > replay.position + 1) {
        hole = true;
        return;
      }
      // A note that is older than the snapshot is in it already, or was followed by one.
      if (bytes[start] === Message.LOADS && position < replay.snapshotPosition) return;
      replay.record(bytes, start, end, position);
      lastWritten = written;
    });
    if (scan.head !== undefined && scan.head.time <= time) head = scan.head;
  }
  if (hole || lastWritten === undefined) return undefined;
  const { snapshot, loads } = replay.done();
  return { snapshot, loads, origin: head?.origin ?? '', epoch: head?.epoch ?? 0, lastWritten };
}

/** Noted picks that are wanted, in the order in which they were made. @param wanted `epoch`: of the life that noted it */
export async function decisionsOf(
  files: Files,
  wanted: (decision: Decision, epoch: number) => boolean,
): Promise<Decision[]> {
  const found: Decision[] = [];
  for (const { name } of namesAmong(await files.list()).logs) {
    const epoch = (await readHead(files, name))?.epoch ?? 0;
    await scanFile(files, name, (bytes, start, end) => {
      if (bytes[start] !== Message.DECISION) return;
      const decision = decodeDecision(bytes.subarray(start, end));
      if (wanted(decision, epoch)) found.push(decision);
    });
  }
  return found.sort((a, b) => a.time - b.time);
}
