/** The write-ahead log: what gives proposals their positions and keeps them. */
import type { Entry, Proposal } from '../core/entries.ts';
import type { LoadNote } from '../core/load-note.ts';
import type { Snapshot } from '../core/snapshot.ts';

export interface Log {
  readonly kind: 'memory' | 'file' | 'kafka';
  /**
   * Appends a proposal. Resolves with its position once it is as durable as this log can make it;
   * rejects where it could not be kept. The entry reaches followers before the promise resolves; where
   * it is rejected, it reaches them with `notKept`, or not at all.
   */
  append(proposal: Proposal): Promise<number>;
  /**
   * Hands over every entry behind `after`, in order, those that are there now before it returns
   * where the log is local. Returns a function that ends it. Throws a RangeError for a position
   * before `first` - 1 (its entries are gone, so there would be a hole) or behind `last`.
   */
  follow(after: number, onEntry: OnEntry): () => void;
  /**
   * Notes the load of all backends behind the entries: never waited for, and a note that was not
   * written yet gives way to the next.
   */
  noteLoads(note: LoadNote): void;
  /** The oldest position that can still be read; 1 where nothing was cut. */
  readonly first: number;
  /** The position of the last entry; 0 where there is none. */
  readonly last: number;
  status(): LogStatus;
  /** Calls for every change of `status().state`. Returns what ends it. */
  onStatus(listener: (status: LogStatus) => void): () => void;
  close(): Promise<void>;
}

/**
 * Takes an entry. `notKept` says why the log could not keep it: it holds as long as this process does, so
 * that health, registrations and all else go on, and whoever waits for it to be durable is told.
 */
export type OnEntry = (entry: Entry, notKept?: string) => void;

export interface LogStatus {
  /**
   * `healthy`; `behind`: changes wait, and are kept later; `read-only`: they are not kept any more, and
   * this instance goes on from memory.
   */
  readonly state: 'healthy' | 'behind' | 'read-only';
  /** What is wrong and what to do; empty where it is healthy. */
  readonly why: string;
  /** Proposals that have no answer yet. */
  readonly pending: number;
  /** Position up to which entries are durable. */
  readonly durable: number;
  /** For `/readyz`, metrics and the console: figures of this kind of log by name. */
  readonly figures: Readonly<Record<string, number>>;
}

/** What an earlier life left. */
export interface Recovered {
  /** The fold of all entries that were kept. */
  readonly snapshot: Snapshot;
  /** The last notes of load, one an instance. */
  readonly loads: readonly LoadNote[];
  /** The highest epoch that this instance had; 0 where it is new. The next life takes a higher one. */
  readonly epoch: number;
}

/** A log is opened asynchronously, and brings what it had before anybody follows it. */
export interface OpenedLog {
  readonly log: Log;
  readonly recovered: Recovered;
}
