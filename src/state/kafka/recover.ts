/** What a new life begins with: the last snapshot of the cluster, and the records of the log behind it. */
import { EMPTY_SNAPSHOT } from '../../core/snapshot.ts';
import { decodeEnvelope, type Envelope } from './envelope.ts';
import { reasonOf } from './reasons.ts';
import type { Session } from './session.ts';
import { type Checked, ensureTopics, type Topics } from './topics.ts';

export interface Recovery {
  readonly envelope: Envelope;
  /** Records of the log behind it, with their offsets. */
  readonly tail: readonly { readonly offset: number; readonly value: Buffer }[];
  /** Offset to go on from. */
  readonly next: number;
  readonly start: number;
  readonly checked: Checked;
}

/** The log and its snapshots do not fit together: no instance can begin with them. */
export class LogFault extends Error {}

/** @throws LogFault, or whatever the cluster fails with. */
export async function recover(session: Session, topics: Topics): Promise<Recovery> {
  const checked = await ensureTopics(session, topics);
  if (checked.faults.length > 0) throw new LogFault(checked.faults.join('; '));
  const envelope = (await lastSnapshot(session, topics.snapshots)) ?? {
    position: 0,
    fences: [],
    loads: [],
    snapshot: EMPTY_SNAPSHOT,
  };
  const { start, end } = await session.bounds(topics.log);
  const { position } = envelope;
  if (position < start) {
    throw new LogFault(
      `the topic ${topics.log} begins at position ${start + 1}, and the last snapshot ends at ${position}: what was between is gone; ` +
        `something else than Heapmesh deletes from it (look at its retention.ms). Begin a new log: name another topic`,
    );
  }
  if (position > end) {
    throw new LogFault(
      `the last snapshot is of position ${position}, and the topic ${topics.log} ends at ${end}: it was made anew. ` +
        `Begin a new log: name another topic, or delete ${topics.snapshots} too`,
    );
  }
  const tail: { offset: number; value: Buffer }[] = [];
  let next = position;
  while (next < end) {
    const got = await session.fetch(topics.log, next, 100);
    for (const record of got.records) tail.push(record);
    next = got.next;
  }
  return { envelope, tail, next, start, checked };
}

async function lastSnapshot(session: Session, topic: string): Promise<Envelope | undefined> {
  const { start, end } = await session.bounds(topic);
  // Compaction keeps the last record of a key, and there is one key: the last record is the last snapshot.
  for (let at = end - 1; at >= start; at--) {
    const { records } = await session.fetch(topic, at, 1_000);
    const last = records.at(-1);
    if (last === undefined) continue;
    try {
      return await decodeEnvelope(last.value);
    } catch (error) {
      throw new LogFault(
        `the snapshot at offset ${last.offset} of the topic ${topic} cannot be read: ${reasonOf(error)}`,
      );
    }
  }
  return undefined;
}
