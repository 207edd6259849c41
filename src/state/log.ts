/** The write-ahead log: what gives proposals their positions and keeps them. */
import type { Entry, Proposal } from '../core/entries.ts';

export interface Log {
  /**
   * Appends a proposal. Resolves with its position once it is as durable as this log can make it;
   * rejects where it could not be kept. The entry reaches followers before the promise resolves.
   */
  append(proposal: Proposal): Promise<number>;
  /**
   * Hands over every entry behind `after`, in order, those that are there now before it returns
   * where the log is local. Returns a function that ends it. Throws a RangeError for a position
   * before `first` - 1 (its entries are gone, so there would be a hole) or behind `last`.
   */
  follow(after: number, onEntry: (entry: Entry) => void): () => void;
  /** The oldest position that can still be read; 1 where nothing was cut. */
  readonly first: number;
  /** The position of the last entry; 0 where there is none. */
  readonly last: number;
  close(): Promise<void>;
}
