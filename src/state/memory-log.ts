/**
 * The log of an instance that keeps no state: entries live as long as the process, the oldest are let
 * go. Followers have each entry before `append` returns.
 */
import type { Proposal } from '../core/entries.ts';
import { MEMORY_LOG_LIMITS } from '../core/limits.ts';
import { Feed } from './feed.ts';
import type { Log, LogStatus, OnEntry } from './log.ts';

export interface MemoryLogOptions {
  /** Entries kept at least for followers that start late, and at most half as many more. Default 16,384. */
  readonly entriesHeld?: number;
  /** Takes what a follower threw; the others and the log go on. By default it is dropped. */
  readonly onError?: (error: unknown) => void;
}

export class MemoryLog implements Log {
  readonly kind = 'memory';
  readonly #feed: Feed;
  #closed = false;

  constructor(options: MemoryLogOptions = {}) {
    const { entriesHeld = MEMORY_LOG_LIMITS.entries, onError = () => {} } = options;
    this.#feed = new Feed(0, entriesHeld, onError);
  }

  get first(): number {
    return this.#feed.first;
  }

  get last(): number {
    return this.#feed.last;
  }

  append(proposal: Proposal): Promise<number> {
    if (this.#closed) return Promise.reject(new Error('the log is closed: it takes no more entries'));
    return Promise.resolve(this.#feed.add(proposal));
  }

  follow(after: number, onEntry: OnEntry): () => void {
    if (this.#closed) throw new Error('the log is closed: it cannot be followed');
    return this.#feed.follow(after, onEntry);
  }

  /** Load lives in the load table, which ends with this log. */
  noteLoads(): void {}

  status(): LogStatus {
    return { state: 'healthy', why: '', pending: 0, durable: this.last, figures: {} };
  }

  onStatus(): () => void {
    return () => {};
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#feed.clear();
    return Promise.resolve();
  }
}
