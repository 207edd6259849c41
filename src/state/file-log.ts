/**
 * The log of one instance in files of one directory.
 *
 *   append ──> waiting ──> one write and one sync for all that wait ──> followers ──> resolved
 *
 * Nothing here blocks the event loop, and nothing waits for it but who appends. Where the disk fails,
 * entries go on to followers from memory and say that they were not kept: after a failed sync until the
 * process ends, since what the kernel still holds is unknown then; after a full disk until there is room,
 * and then a snapshot has what was not kept meanwhile.
 */
import type { Proposal } from '../core/entries.ts';
import { MEMORY_LOG_LIMITS, STATE_LIMITS } from '../core/limits.ts';
import type { LoadNote } from '../core/load-note.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { Behind } from './behind.ts';
import { encodeProposal, Message } from './codec.ts';
import { Feed } from './feed.ts';
import type { Files, OpenFile } from './files.ts';
import { encodeHead, logName, RecordWriter } from './format.ts';
import type { Log, LogStatus, OnEntry } from './log.ts';
import type { RecoveredLog } from './recovery.ts';
import { cutHistory } from './retention.ts';
import { writeSnapshot } from './snapshot-file.ts';

export interface FileLogOptions {
  readonly files: Files;
  readonly recovered: RecoveredLog;
  readonly origin: string;
  readonly epoch: number;
  /** Wall clock, ms since 1970. */
  readonly wallClock: () => number;
  /** Calls once, `ms` from now; returns what calls it off. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** Octets of files that are kept behind the newest snapshot, for looking back. */
  readonly historyOctets: number;
  /** A file ends above this. Default 64 MiB. */
  readonly fileOctets?: number;
  /** Something that people should know, and faults of followers. */
  readonly onNote: (level: 'info' | 'warn' | 'error', text: string) => void;
  readonly onError: (error: unknown) => void;
}

interface Waiting {
  readonly proposal: Proposal;
  readonly message: Buffer;
  resolve(position: number): void;
  reject(error: Error): void;
}

/** Why nothing is kept: a disk without room comes back, one that failed does not. */
interface Trouble {
  readonly kind: 'full' | 'failed';
  readonly why: string;
}

export class FileLog implements Log {
  readonly kind = 'file';
  readonly #options: FileLogOptions;
  readonly #files: Files;
  readonly #fileOctets: number;
  readonly #feed: Feed;
  readonly #listeners = new Set<(status: LogStatus) => void>();
  readonly #writer: RecordWriter;

  #file: OpenFile | undefined;
  #sequence: number;
  /** Of the present file: all that was written, and what of it is durable. */
  #size = 0;
  #synced = 0;
  #durable: number;

  #waiting: Waiting[] = [];
  readonly #behind: Behind;
  #busy = false;
  #idle: Promise<void> = Promise.resolve();
  #trouble: Trouble | undefined;
  #callOffRetry: (() => void) | undefined;
  #closing = false;

  #takeSnapshot: (() => Snapshot) | undefined;
  #snapshotting: Promise<void> | undefined;
  #snapshotPosition: number;
  /** Position at which the last one was begun. */
  #snapshotTried: number;
  #syncs = 0;
  #snapshots = 0;
  #notKept = 0;

  private constructor(options: FileLogOptions) {
    const { recovered } = options;
    this.#options = options;
    this.#files = options.files;
    this.#fileOctets = options.fileOctets ?? STATE_LIMITS.fileOctets;
    this.#feed = new Feed(recovered.snapshot.position, MEMORY_LOG_LIMITS.entries, options.onError);
    this.#durable = recovered.snapshot.position;
    this.#snapshotPosition = recovered.snapshot.position - recovered.entries;
    this.#snapshotTried = this.#snapshotPosition;
    this.#sequence = recovered.sequence - 1;
    this.#writer = new RecordWriter(recovered.chain);
    this.#behind = new Behind(recovered.notes);
  }

  /** Begins the next file of the directory; rejects where that cannot be done. */
  static async start(options: FileLogOptions): Promise<FileLog> {
    const log = new FileLog(options);
    await log.#begin(log.last + 1, false);
    return log;
  }

  get first(): number {
    return this.#feed.first;
  }

  get last(): number {
    return this.#feed.last;
  }

  /**
   * Where snapshots come from: the state of a follower that has taken in all entries. Without it the log
   * is never cut, and a full disk is not left behind.
   */
  snapshotFrom(take: () => Snapshot): void {
    this.#takeSnapshot = take;
    const { entries, files } = this.#options.recovered;
    if (entries > STATE_LIMITS.snapshotEntries || files > STATE_LIMITS.startFiles) this.snapshot();
  }

  append(proposal: Proposal): Promise<number> {
    if (this.#closing) return Promise.reject(new Error('the log is closed: it takes no more entries'));
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    let message: Buffer;
    try {
      message = encodeProposal(proposal);
      if (message.length > STATE_LIMITS.recordOctets)
        throw new RangeError(`${message.length} octets are too many`);
    } catch (error) {
      reject(error);
      return promise;
    }
    const one = { proposal, message, resolve, reject };
    if (this.#trouble !== undefined && !this.#busy) this.#fail([one], this.#trouble.why);
    else {
      this.#waiting.push(one);
      this.#kick();
    }
    return promise;
  }

  follow(after: number, onEntry: OnEntry): () => void {
    if (this.#closing) throw new Error('the log is closed: it cannot be followed');
    return this.#feed.follow(after, onEntry);
  }

  noteLoads(note: LoadNote): void {
    if (this.#trouble !== undefined || this.#closing) return;
    this.#behind.note(note);
    this.#kick();
  }

  /**
   * Adds a message that is no entry behind what waits; nobody waits for it. False: it was dropped, since as many
   * wait as may, or the log keeps nothing now.
   */
  aside(message: Buffer): boolean {
    if (this.#trouble !== undefined || this.#closing) {
      this.#behind.dropped++;
      return false;
    }
    if (!this.#behind.add(message)) return false;
    this.#kick();
    return true;
  }

  /** Messages of `aside` so far: those that were to be written, and those that were dropped. */
  get asides(): { readonly taken: number; readonly dropped: number } {
    return this.#behind;
  }

  status(): LogStatus {
    return {
      state: this.#trouble === undefined ? 'healthy' : 'read-only',
      why: this.#trouble?.why ?? '',
      pending: this.#waiting.length,
      durable: this.#durable,
      figures: {
        file: this.#sequence,
        fileOctets: this.#size,
        syncs: this.#syncs,
        snapshots: this.#snapshots,
        snapshotPosition: this.#snapshotPosition,
        notKept: this.#notKept,
      },
    };
  }

  onStatus(listener: (status: LogStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Writes a snapshot and lets go of what it makes needless; one at a time. Resolves in any case. */
  snapshot(): Promise<void> {
    this.#snapshotting ??= this.#makeSnapshot().finally(() => {
      this.#snapshotting = undefined;
    });
    return this.#snapshotting;
  }

  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#callOffRetry?.();
      this.#kick();
    }
    await this.#idle;
    await this.#snapshotting;
    const file = this.#file;
    this.#file = undefined;
    this.#feed.clear();
    if (file === undefined) return;
    try {
      if (this.#trouble === undefined) await this.#end(file);
    } catch (error) {
      this.#options.onNote('warn', `the log's end could not be written: ${messageOf(error)}`);
    } finally {
      await file.close();
    }
  }

  /** What says, behind the last entries, that they were durable. */
  async #end(file: OpenFile): Promise<void> {
    if (this.#synced < this.#size) await file.sync();
    this.#writer.reset();
    this.#writer.add(Buffer.of(Message.END), this.last, this.#options.wallClock(), this.#size);
    await file.write(this.#writer.view(), this.#size);
    await file.sync();
  }

  #kick(): void {
    if (this.#busy) return;
    this.#busy = true;
    // A turn later, so that all changes of one turn share a sync.
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = promise;
    setImmediate(() => {
      this.#run().then(resolve, error => {
        this.#options.onError(error);
        resolve();
      });
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 || !this.#behind.isEmpty) {
      const batch = this.#nextBatch();
      if (this.#trouble === undefined) {
        await this.#commit(batch);
        continue;
      }
      this.#behind.drop();
      this.#fail(batch, this.#trouble.why);
    }
    this.#busy = false;
  }

  #nextBatch(): Waiting[] {
    let octets = 0;
    let count = 0;
    for (const { message } of this.#waiting) {
      octets += message.length;
      if (count > 0 && octets > STATE_LIMITS.batchOctets) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    let syncing = false;
    try {
      if (this.#size >= this.#fileOctets) {
        await this.#begin(this.last + 1, false);
        void this.snapshot();
      }
      const file = this.#file as OpenFile;
      const now = this.#options.wallClock();
      this.#writer.reset();
      let position = this.last;
      for (const { message } of batch) this.#writer.add(message, ++position, now, this.#synced);
      this.#behind.writeTo(this.#writer, position, now, this.#synced);
      await file.write(this.#writer.view(), this.#size);
      this.#size += this.#writer.length;
      if (batch.length === 0) return;
      syncing = true;
      await file.sync();
      this.#syncs++;
      this.#synced = this.#size;
      this.#durable = position;
    } catch (error) {
      await this.#troubled(error, syncing);
      this.#fail(batch, this.#trouble?.why ?? '');
      return;
    }
    for (const { proposal, resolve } of batch) resolve(this.#feed.add(proposal));
    if (this.last - this.#snapshotTried > STATE_LIMITS.snapshotEntries) void this.snapshot();
  }

  /** The next file; the one before is whole and durable first. */
  async #begin(first: number, fresh: boolean): Promise<void> {
    const { origin, epoch, wallClock } = this.#options;
    const before = this.#file;
    if (before !== undefined && !fresh) {
      if (this.#synced < this.#size) await before.sync();
      this.#synced = this.#size;
    }
    const sequence = this.#sequence + 1;
    const { bytes, chain } = encodeHead({
      kind: 'entries',
      sequence,
      first,
      chain: fresh ? 0 : this.#writer.chain,
      fresh,
      epoch,
      time: wallClock(),
      origin,
    });
    const name = logName(sequence);
    const file = await this.#files.create(name);
    try {
      await file.write(bytes, 0);
      await file.sync();
      await this.#files.sync();
    } catch (error) {
      await file.close();
      await this.#files.remove(name).catch(() => {});
      throw error;
    }
    this.#file = file;
    this.#sequence = sequence;
    this.#size = this.#synced = bytes.length;
    this.#writer.chain = chain;
    await before?.close();
  }

  /** Entries that cannot be kept: followers get them all the same, and whoever waits is told. */
  #fail(batch: readonly Waiting[], why: string): void {
    for (const { proposal, reject } of batch) {
      this.#notKept++;
      this.#feed.add(proposal, why);
      reject(new Error(why));
    }
  }

  /** A write or a sync failed. A sync is never tried again: what it did not write may be gone from memory too. */
  async #troubled(error: unknown, syncing: boolean): Promise<void> {
    const { directory } = this.#files;
    if (!syncing && isFull(error) && this.#takeSnapshot !== undefined && (await this.#takeBack())) {
      const why = `the disk of ${directory} is full: changes are not kept. Free some space; it is tried every ${STATE_LIMITS.fullRetryMs / 1000} s`;
      this.#setTrouble({ kind: 'full', why });
      this.#retryLater();
      return;
    }
    const what = syncing ? 'a sync' : 'a write';
    const why = `${what} of the log in ${directory} failed (${messageOf(error)}): changes are not kept any more. Look at the disk, then restart this instance`;
    this.#setTrouble({ kind: 'failed', why });
  }

  /** What was written of a batch that is not kept must not come back at the next start. */
  async #takeBack(): Promise<boolean> {
    try {
      await this.#file?.truncate(this.#synced);
      await this.#file?.sync();
      return true;
    } catch {
      return false;
    }
  }

  #setTrouble(trouble: Trouble | undefined): void {
    this.#trouble = trouble;
    if (trouble === undefined) this.#options.onNote('warn', 'the log is written again: changes are kept');
    else this.#options.onNote('error', trouble.why);
    const status = this.status();
    for (const listener of this.#listeners) listener(status);
  }

  #retryLater(): void {
    this.#callOffRetry = this.#options.after(STATE_LIMITS.fullRetryMs, () => {
      this.#callOffRetry = undefined;
      if (this.#closing) return;
      // Failing what waited: soon over.
      if (this.#busy) {
        this.#retryLater();
        return;
      }
      this.#busy = true;
      this.#idle = this.#leaveFull().catch(this.#options.onError);
    });
  }

  /** A snapshot of what was not kept, and a file that goes on from it. What is appended meanwhile waits. */
  async #leaveFull(): Promise<void> {
    try {
      await this.#snapshotting;
      await this.#writeSnapshot();
      await this.#begin(this.last + 1, true);
      this.#durable = this.last;
      this.#setTrouble(undefined);
    } catch (error) {
      if (isFull(error)) this.#retryLater();
      else await this.#troubled(error, false);
    }
    await this.#run();
  }

  async #makeSnapshot(): Promise<void> {
    if (this.#takeSnapshot === undefined || this.#trouble !== undefined) return;
    try {
      await this.#writeSnapshot();
      const removed = await cutHistory(this.#files, {
        present: this.#sequence,
        historyOctets: this.#options.historyOctets,
      });
      if (removed.length > 0) this.#options.onNote('info', `the log let go of ${removed.join(', ')}`);
    } catch (error) {
      // The log itself is whole; it only stays longer.
      this.#options.onNote('warn', `no snapshot of the log could be written: ${messageOf(error)}`);
    }
  }

  async #writeSnapshot(): Promise<void> {
    const snapshot = this.#takeSnapshot?.();
    if (snapshot === undefined) return;
    this.#snapshotTried = snapshot.position;
    if (snapshot.notUnderstood + snapshot.skipped > 0) {
      const count = snapshot.notUnderstood + snapshot.skipped;
      throw new Error(`${count} entries are of a newer version, and are kept for it`);
    }
    const { origin, epoch, wallClock } = this.#options;
    await writeSnapshot(this.#files, snapshot, this.#behind.lastNotes, {
      sequence: this.#sequence,
      epoch,
      time: wallClock(),
      origin,
    });
    this.#snapshots++;
    this.#snapshotPosition = snapshot.position;
  }
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
