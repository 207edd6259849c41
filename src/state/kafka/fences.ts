/**
 * The last word of each origin in the log: what an earlier life of it still writes does not count, and a
 * copy of what it has said counts once. Every reader of the log decides by this alone, and so alike.
 */
import { KAFKA_LIMITS } from '../../core/limits.ts';

export interface Fence {
  readonly origin: string;
  readonly epoch: number;
  /** Number of its last proposal. */
  readonly n: number;
}

export type Passing = 'new' | 'copy' | 'earlier-life';

export class Fences {
  /** The one that spoke last at the end. */
  readonly #last = new Map<string, Fence>();

  constructor(fences: Iterable<Fence> = []) {
    for (const fence of fences) this.#last.set(fence.origin, fence);
  }

  /** Takes note of a proposal, unless it does not count. */
  pass({ origin, epoch, n }: Fence): Passing {
    const last = this.#last.get(origin);
    if (last !== undefined) {
      if (epoch < last.epoch) return 'earlier-life';
      if (epoch === last.epoch && n <= last.n) return 'copy';
      this.#last.delete(origin);
    }
    this.#last.set(origin, { origin, epoch, n });
    if (this.#last.size > KAFKA_LIMITS.origins) this.#last.delete(this.#last.keys().next().value as string);
    return 'new';
  }

  get(origin: string): Fence | undefined {
    return this.#last.get(origin);
  }

  /** The one that spoke last at the end. */
  all(): Fence[] {
    return [...this.#last.values()];
  }
}
