/**
 * Entries in the order of their positions and those who follow them: what every log has in memory. The
 * oldest entries are let go once all have had them.
 */
import type { Entry, Proposal } from '../core/entries.ts';
import type { OnEntry } from './log.ts';

interface Follower {
  readonly onEntry: OnEntry;
  /** Of the last entry that it was given. */
  position: number;
  /** True while it is being given entries: one that appends in turn is not called inside its own call. */
  busy: boolean;
}

interface Held {
  readonly entry: Entry;
  readonly notKept: string | undefined;
}

export class Feed {
  readonly #entriesHeld: number;
  readonly #onError: (error: unknown) => void;
  readonly #followers = new Set<Follower>();
  /** Positions `first` to `last`, without a gap. */
  #entries: Held[] = [];
  #first: number;

  /** `after`: the position before the first one that will be added. */
  constructor(after: number, entriesHeld: number, onError: (error: unknown) => void) {
    if (!Number.isInteger(entriesHeld) || entriesHeld < 1) {
      throw new RangeError(`entriesHeld must be a whole number above 0, got ${entriesHeld}`);
    }
    this.#first = after + 1;
    this.#entriesHeld = entriesHeld;
    this.#onError = onError;
  }

  get first(): number {
    return this.#first;
  }

  get last(): number {
    return this.#first + this.#entries.length - 1;
  }

  /** Gives a proposal the next position and hands it to all. */
  add(proposal: Proposal, notKept?: string): number {
    const position = this.last + 1;
    this.#entries.push({ entry: { position, proposal }, notKept });
    for (const follower of this.#followers) this.#feed(follower);
    this.#trim();
    return position;
  }

  follow(after: number, onEntry: OnEntry): () => void {
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

  /** Hands out nothing any more. */
  clear(): void {
    this.#followers.clear();
  }

  #feed(follower: Follower): void {
    if (follower.busy) return;
    follower.busy = true;
    while (this.#followers.has(follower) && follower.position < this.last) {
      follower.position += 1;
      const held = this.#entries[follower.position - this.#first];
      try {
        if (held) follower.onEntry(held.entry, held.notKept);
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
