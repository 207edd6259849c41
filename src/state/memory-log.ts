/**
 * The log of an instance that keeps no state: entries live as long as the process, the oldest are let
 * go. Followers have each entry before `append` returns.
 */
import type { Entry, Proposal } from '../core/entries.ts';
import { MEMORY_LOG_LIMITS } from '../core/limits.ts';
import type { Log, LogStatus } from './log.ts';

export interface MemoryLogOptions {
  /** Entries kept at least for followers that start late, and at most half as many more. Default 16,384. */
  readonly entriesHeld?: number;
  /** Takes what a follower threw; the others and the log go on. By default it is dropped. */
  readonly onError?: (error: unknown) => void;
}

interface Follower {
  readonly onEntry: (entry: Entry) => void;
  /** Of the last entry that it was given. */
  position: number;
  /** True while it is being given entries: one that appends in turn is not called inside its own call. */
  busy: boolean;
}

export class MemoryLog implements Log {
  readonly kind = 'memory';
  readonly #entriesHeld: number;
  readonly #onError: (error: unknown) => void;
  readonly #followers = new Set<Follower>();
  /** Positions `first` to `last`, without a gap. */
  #entries: Entry[] = [];
  #first = 1;
  #closed = false;

  constructor(options: MemoryLogOptions = {}) {
    const { entriesHeld = MEMORY_LOG_LIMITS.entries, onError = () => {} } = options;
    if (!Number.isInteger(entriesHeld) || entriesHeld < 1) {
      throw new RangeError(`entriesHeld must be a whole number above 0, got ${entriesHeld}`);
    }
    this.#entriesHeld = entriesHeld;
    this.#onError = onError;
  }

  get first(): number {
    return this.#first;
  }

  get last(): number {
    return this.#first + this.#entries.length - 1;
  }

  append(proposal: Proposal): Promise<number> {
    if (this.#closed) return Promise.reject(new Error('the log is closed: it takes no more entries'));
    const position = this.last + 1;
    this.#entries.push({ position, proposal });
    for (const follower of this.#followers) this.#feed(follower);
    this.#trim();
    return Promise.resolve(position);
  }

  follow(after: number, onEntry: (entry: Entry) => void): () => void {
    if (this.#closed) throw new Error('the log is closed: it cannot be followed');
    if (!Number.isInteger(after) || after < this.#first - 1 || after > this.last) {
      throw new RangeError(
        `this log can be followed behind positions ${this.#first - 1} to ${this.last}, not behind ${after}`,
      );
    }
    const follower: Follower = { onEntry, position: after, busy: false };
    this.#followers.add(follower);
    this.#feed(follower);
    return () => this.#followers.delete(follower);
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
    this.#followers.clear();
    return Promise.resolve();
  }

  #feed(follower: Follower): void {
    if (follower.busy) return;
    follower.busy = true;
    while (this.#followers.has(follower) && follower.position < this.last) {
      follower.position += 1;
      const entry = this.#entries[follower.position - this.#first];
      try {
        if (entry) follower.onEntry(entry);
      } catch (error) {
        this.#onError(error);
      }
    }
    follower.busy = false;
  }

  /** Lets go of the oldest entries, in one go for many; what a follower has not had yet is kept. */
  #trim(): void {
    const surplus = this.#entries.length - this.#entriesHeld;
    // Moving the rest costs as much as there is of it, so half as much must have come in between.
    if (surplus <= this.#entriesHeld / 2) return;
    let last = this.#first + surplus - 1;
    for (const { position } of this.#followers) last = Math.min(last, position);
    this.#entries = this.#entries.slice(last + 1 - this.#first);
    this.#first = last + 1;
  }
}
