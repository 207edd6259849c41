/** Binds a log to a registry: own proposals go to the log, entries of the log come back. */
import type { Entry, Proposal } from '../core/entries.ts';
import type { Log } from './log.ts';

/** What of a registry a log speaks to. */
export interface Follower {
  /** Of the last entry that it took in; 0 where there is none. */
  readonly position: number;
  /** `notKept`: why the log could not keep it, where that is so. */
  ingest(entry: Entry, notKept?: string): void;
  /** The log could not keep the own proposal `n`. */
  reject(n: number, error: Error): void;
}

/**
 * A registry wants `append` when it is made, and the log wants a registry that is there. So the order is:
 *
 *   const link = new LogLink(log);
 *   const registry = new Registry({ ..., append: link.append });
 *   link.follow(registry);
 */
export class LogLink {
  readonly #log: Log;
  #follower: Follower | undefined;
  #stop: (() => void) | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Hands a proposal to the log; rejects it at its registry where the log cannot keep it. Throws where
   * `follow` was not called yet: nobody would hear of the entry.
   */
  readonly append = (proposal: Proposal): void => {
    const follower = this.#follower;
    if (follower === undefined) throw new Error('no registry follows this log yet: call follow() first');
    this.#log.append(proposal).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      follower.reject(proposal.n, new Error(`the log could not keep the change: ${why}`, { cause }));
    });
  };

  /**
   * Starts behind the follower's position. Throws where the log no longer reaches back to it, or has
   * not got there: then this is not the log that the follower has followed.
   */
  follow(follower: Follower): void {
    if (this.#follower !== undefined) throw new Error('a registry follows this log already');
    this.#follower = follower;
    try {
      this.#stop = this.#log.follow(follower.position, (entry, notKept) => follower.ingest(entry, notKept));
    } catch (error) {
      this.#follower = undefined;
      throw error;
    }
  }

  /** Ends it: no more entries come. Proposals made after that settle only if the log fails them. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
