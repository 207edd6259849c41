/** Token buckets: how often a peer may do what costs it less than us. */

/** A bucket's size and its refill. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export class Budget {
  #tokens: number;
  #at = 0;
  readonly #rate: Rate;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Part of the burst that is spent, 0 to 1. */
  get spent(): number {
    return 1 - this.#tokens / this.#rate.burst;
  }

  /** Takes one token. @param now monotonic clock, ms @returns false where there is none */
  take(now: number): boolean {
    const { burst, perSecond } = this.#rate;
    // A clock that stands still or was never set refills nothing.
    if (now > this.#at) {
      if (this.#tokens < burst) {
        this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) * perSecond) / 1000);
      }
      this.#at = now;
    }
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Adds tokens for work that the peer has earned them by, up to `most`: the burst where nothing else is said. */
  earn(tokens: number, most = this.#rate.burst): void {
    if (this.#tokens < most) this.#tokens = Math.min(most, this.#tokens + tokens);
  }
}
