/**
 * The whole of a fold as plain data: what a new life starts from instead of reading every entry. It
 * holds what the fold reads, its order included: of two stores with the same snapshot, both do the same
 * with every entry that follows.
 */
import { digestOf } from './digest.ts';
import type { InstanceFact } from './instances.ts';
import type { ServerRecord } from './record.ts';
import { RecordStore } from './store.ts';

export interface Snapshot {
  /** Of the last entry in it; 0 where there is none. */
  readonly position: number;
  /** By id. Records are immutable: these are the store's own. */
  readonly records: readonly ServerRecord[];
  /** Ids of which operators' words alone are held, the oldest first. */
  readonly words: readonly string[];
  /** Failure and the server that answered it, the oldest first. */
  readonly answers: readonly (readonly [failure: string, id: string])[];
  /** By id. */
  readonly instances: readonly InstanceFact[];
  /** Entries of kinds that this version did not know, by whether it needed to. */
  readonly skipped: number;
  readonly notUnderstood: number;
}

/** Of a fold that has read nothing. */
export const EMPTY_SNAPSHOT: Snapshot = {
  position: 0,
  records: [],
  words: [],
  answers: [],
  instances: [],
  skipped: 0,
  notUnderstood: 0,
};

/** Takes as long as copying a list of the records: none of them is looked into. */
export function snapshotOf(
  store: RecordStore,
  counts: { readonly position: number; readonly skipped: number; readonly notUnderstood: number },
): Snapshot {
  return {
    position: counts.position,
    records: [...store.records()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    words: [...store.words()],
    answers: [...store.answers()],
    instances: [...store.instances()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    skipped: counts.skipped,
    notUnderstood: counts.notUnderstood,
  };
}

export function storeOf(snapshot: Snapshot, options?: { readonly tracks: boolean }): RecordStore {
  const store = new RecordStore(options);
  // Words first and in their order: it decides who is forgotten first.
  const byId = new Map(snapshot.records.map(record => [record.id, record]));
  for (const id of snapshot.words) store.put(id, byId.get(id));
  for (const record of snapshot.records) if (store.get(record.id) === undefined) store.put(record.id, record);
  for (const [failure, id] of snapshot.answers) store.setAnswer(failure, id);
  for (const fact of snapshot.instances) store.setInstance(fact.id, fact);
  store.takeChanges();
  return store;
}

/** Of the facts in it; neither observations nor load nor the position count. See `digestOf`. */
export function snapshotDigest(snapshot: Snapshot): string {
  return digestOf(snapshot.records, snapshot.answers, snapshot.instances);
}
