/** Opens the log of a directory: takes it for this process alone, reads it, and begins the next file. */
import type { Snapshot } from '../core/snapshot.ts';
import { FileLog, type FileLogOptions } from './file-log.ts';
import type { Files } from './files.ts';
import { BROKEN, namesAmong } from './format.ts';
import type { Lock } from './lock.ts';
import type { OpenedLog } from './log.ts';
import { type RecoveredLog, recover } from './recovery.ts';
import { writeSnapshot } from './snapshot-file.ts';

export interface OpenOptions
  extends Pick<
    FileLogOptions,
    'files' | 'origin' | 'wallClock' | 'after' | 'historyOctets' | 'fileOctets' | 'onNote' | 'onError'
  > {
  /** Keeps other processes out; @throws where one is in. */
  readonly lock: (files: Files) => Promise<Lock>;
  /** Begins with nothing; what is there is put aside. */
  readonly ignoreState?: boolean;
}

export interface OpenedFileLog extends OpenedLog {
  readonly log: FileLog;
  /** Of this life; higher than in all before it. */
  readonly epoch: number;
  close(): Promise<void>;
}

/** @throws DamageError, FormatError, LockedError, or what the file system says. */
export async function openFileLog(options: OpenOptions): Promise<OpenedFileLog> {
  const { files, onNote } = options;
  await files.make();
  const lock = await options.lock(files);
  try {
    if (options.ignoreState === true) await putAside(options);
    const found = await recover(files);
    if (found.cut !== undefined) {
      const { file, at, octets, why } = found.cut;
      onNote(
        'warn',
        `the end of ${files.directory}/${file} was torn (${why}): ${octets} octets from ${at} on are kept in a ${BROKEN} file`,
      );
    }
    const epoch = Math.max(options.wallClock(), found.epoch + 1);
    const recovered = await takenOver(found, { ...options, epoch });
    const log = await FileLog.start({ ...options, recovered, epoch });
    return {
      log,
      recovered,
      epoch,
      close: async () => {
        await log.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** What is ignored is not lost: it is there under other names until somebody removes it. */
async function putAside({ files, wallClock, onNote }: OpenOptions): Promise<void> {
  const { logs, snapshots } = namesAmong(await files.list());
  const all = [...logs, ...snapshots];
  const suffix = `.${Math.floor(wallClock())}.ignored`;
  for (const { name } of all) await files.rename(name, `${name}${suffix}`);
  await files.sync();
  onNote(
    'warn',
    `--ignore-state: this instance begins with nothing; ${all.length} files in ${files.directory} now end in ${suffix}`,
  );
}

/**
 * A directory has one instance. One that has another name now is the same instance: claims and
 * observations that are filed under the old name are its own, and nobody else would ever take them back.
 */
async function takenOver(
  found: RecoveredLog,
  { files, origin, epoch, wallClock, onNote }: OpenOptions & { readonly epoch: number },
): Promise<RecoveredLog> {
  if (found.origin === '' || found.origin === origin) return found;
  onNote(
    'warn',
    `the log is that of instance ${found.origin}, which is now ${origin}: what it claimed is taken over`,
  );
  const renamed = (name: string): string => (name === found.origin ? origin : name);
  const { snapshot } = found;
  const records = snapshot.records.map(record => ({
    ...record,
    claims: record.claims.map(claim => ({ ...claim, origin: renamed(claim.origin) })),
    seen: record.seen.map(seen => ({ ...seen, origin: renamed(seen.origin) })),
  }));
  const instances = snapshot.instances.map(fact => ({ ...fact, id: renamed(fact.id) }));
  const taken: Snapshot = { ...snapshot, records, instances };
  // At once: what is in the files is under the old name still.
  const { sequence } = found;
  await writeSnapshot(files, taken, found.notes, { sequence, epoch, time: wallClock(), origin });
  return { ...found, snapshot: taken, entries: 0, files: 0 };
}
