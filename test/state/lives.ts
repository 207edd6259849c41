/** Lives of a log on one disk, and what must be so after each: the model is a list of proposals. */
import type { Proposal } from '../../src/core/entries.ts';
import { apply } from '../../src/core/fold.ts';
import { Registry } from '../../src/core/registry.ts';
import { snapshotDigest, snapshotOf } from '../../src/core/snapshot.ts';
import { RecordStore } from '../../src/core/store.ts';
import type { Files } from '../../src/state/files.ts';
import { type OpenedFileLog, type OpenOptions, openFileLog } from '../../src/state/open.ts';
import { server } from '../core/registry-support.ts';

export const NO_LOCK: OpenOptions['lock'] = async () => ({ release: async () => {} });

/** A change that leaves its number in the facts: no two lists of them have the same facts. */
export function numbered(n: number, epoch = 1): Proposal {
  const id = `s${n % 7}`;
  const head = { origin: 'lb-1', epoch, n, time: n, cause: `change ${n}` };
  if (n <= 7) return { ...head, body: { kind: 'claim', source: 'stream', spec: server(id) } };
  return { ...head, body: { kind: 'weight', id, weight: n } };
}

/** Digests of all beginnings of a list: that of the first k proposals at k. */
export function digestsOf(list: readonly Proposal[]): string[] {
  const store = new RecordStore();
  const digest = (position: number): string =>
    snapshotDigest(snapshotOf(store, { position, skipped: 0, notUnderstood: 0 }));
  const digests = [digest(0)];
  for (const [i, proposal] of list.entries()) {
    apply(store, proposal);
    digests.push(digest(i + 1));
  }
  return digests;
}

export interface Life extends OpenedFileLog {
  readonly registry: Registry;
  /** Calls what the log wants to do later. */
  later(): void;
  readonly notes: string[];
}

export async function live(files: Files, options: Partial<OpenOptions> = {}): Promise<Life> {
  let waits: (() => void)[] = [];
  const notes: string[] = [];
  const opened = await openFileLog({
    files,
    origin: 'lb-1',
    wallClock: () => 1_000_000,
    after: (_ms, call) => {
      waits.push(call);
      return () => {
        waits = waits.filter(one => one !== call);
      };
    },
    historyOctets: 0,
    onNote: (_level, text) => notes.push(text),
    onError: error => {
      throw error;
    },
    lock: NO_LOCK,
    ...options,
  });
  const registry = new Registry({
    instanceId: 'lb-1',
    epoch: opened.epoch,
    append: () => {},
    wallClock: () => 0,
  });
  registry.restore(opened.recovered.snapshot);
  opened.log.follow(registry.position, (entry, notKept) => registry.ingest(entry, notKept));
  opened.log.snapshotFrom(() => registry.snapshot());
  return Object.assign(opened, {
    registry,
    notes,
    later: () => {
      const calls = waits;
      waits = [];
      for (const call of calls) call();
    },
  });
}
