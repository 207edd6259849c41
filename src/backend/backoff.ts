/** When to try again: quick at first, then ever slower, and never in step with others. */
import { REPORTER_LIMITS } from '../core/limits.ts';

/**
 * A delay is drawn from [½, 1½) of a base that grows with every try, so that the backends which one
 * balancer's restart has cut off at the same moment do not come back at the same moment.
 */
export class Backoff {
  readonly #random: () => number;
  #baseMs: number = REPORTER_LIMITS.firstRetryMs;

  /** `random` gives numbers in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next try. */
  next(): number {
    const base = this.#baseMs;
    this.#baseMs = Math.min(base * REPORTER_LIMITS.retryFactor, REPORTER_LIMITS.maxRetryMs);
    return this.spread(base);
  }

  /** `ms` on the mean, drawn from [½, 1½) of it. */
  spread(ms: number): number {
    return ms * (0.5 + this.#random());
  }

  /** To be called once a connection has proved to last. */
  reset(): void {
    this.#baseMs = REPORTER_LIMITS.firstRetryMs;
  }
}
