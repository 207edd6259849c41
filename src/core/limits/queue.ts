/** Limits of waiting for a server. */

export const QUEUE_LIMITS = {
  /** Calls that wait in one pool, by default: a second of 1,000 calls/s, and at most 64 MiB of held requests. */
  size: 1_024,
  /** What a user may set: above it the waiting calls alone would take some GiB. */
  mostSize: 65_536,
  /** Wait of a call whose own deadline is later or none, ms: people have left by then. */
  maxWaitMs: 10_000,
  /** Memory of the measured service rate, ms: some hundred calls of a pool of a few hundred a second. */
  rateMemoryMs: 2_000,
  /** Share of the queue that should have left before one that met it full comes again. */
  retryShare: 0.1,
  /** Bounds of what a refused caller is asked to wait, ms: not at once, and not longer than anybody remembers. */
  leastPushbackMs: 10,
  mostPushbackMs: 60_000,
} as const;
