/** Limits of scaling. */

export const SCALING_LIMITS = {
  /** How often pools are looked at, ms: half of the shortest usual report interval. */
  lookMs: 500,
  /** Work on a look that is done at a time, ms: calls wait for it. */
  sliceMs: 2,
  /** Between long looks because of failures, times what one took: together they get a fifth of the time at most. */
  rest: 4,
  /** A report older than this many intervals says nothing of now. */
  freshIntervals: 3,
  /** Share of the threshold below which a server counts as relieved (hysteresis; the HPA's tolerance is 10 %). */
  relief: 0.9,
  /** Wait before an addition that failed is tried again, ms. */
  retryMs: 5_000,
  /** Servers that scaling may have added at once, by default: a mistake in a threshold must not start a hundred. */
  max: 10,
  mostMax: 1_000,
  /** Decisions that are remembered for people. */
  decisions: 256,
  /** Time that a draining server gets for its calls, ms. */
  drainMs: 30_000,
  /** Words of the command line of `scaling.command`. */
  commandWords: 64,
  /** What a command may print, octets; more is dropped. */
  outputBytes: 64 * 1024,
  /** Time that a command gets to end by SIGTERM before SIGKILL, ms. */
  killMs: 2_000,
} as const;
