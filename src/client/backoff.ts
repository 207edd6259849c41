/** When to try a balancer again: quick at first, then ever slower, and never in step with others. */
import { CALLER_LIMITS } from '../core/limits.ts';

/**
 * A delay is drawn from [½, 1½) of a base that grows with every try: callers that one balancer's
 * restart has cut off at the same moment do not come back at the same moment.
 */
export class Backoff {
  readonly #random: () => number;
  #baseMs: number = CALLER_LIMITS.firstRetryMs;

  /** `random` gives numbers in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next try. */
  next(): number {
    const base = this.#baseMs;
    this.#baseMs = Math.min(base * CALLER_LIMITS.retryFactor, CALLER_LIMITS.maxRetryMs);
    return base * (0.5 + this.#random());
  }

  /** To be called once a balancer has proved to be there. */
  reset(): void {
    this.#baseMs = CALLER_LIMITS.firstRetryMs;
  }
}
