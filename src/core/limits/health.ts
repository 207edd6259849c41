/** Limits of discovery and of judging servers' health. */

export const HEALTH_LIMITS = {
  /** How often observers look at time, ms: what is due is late by no more than this. */
  lookMs: 100,
  /** Checks under way at once: each is a connection that may be opening; 10,000 servers each 5 s need some 20. */
  checksAtOnce: 256,
  /** Checks that begin in one turn of the event loop: 60 µs each, and calls wait for them. */
  beginsAtOnce: 16,
  /** Octets of an answer to a check or of one load report; a real one has a few dozen. */
  answerBytes: 64 * 1024,
  /** What a check's connection gets to open, ms; the check's own time-out counts beside it. */
  connectMs: 5_000,
  /**
   * A look that comes later than this tells of ourselves: the process was stopped or starved, and what it did
   * not hear meanwhile says nothing of anybody, ms.
   */
  stallMs: 1_000,
  /** Least backends that an instance must lose before it suspects itself. */
  suspectLosses: 4,
  /** Servers observed anew in one look when a suspicion begins or ends: each is an entry of the log. */
  doubtsAtOnce: 500,
  /** A silent server with calls open that nothing comes back from is hung no sooner than this, ms ... */
  hungMs: 2_000,
  /** ... and no sooner than this many report intervals after its last report. */
  hungIntervals: 3,
  /** How long such a server is watched before it is given up, ms: one answer in that time clears it. */
  hungWatchMs: 1_000,
} as const;

export const DISCOVERY_LIMITS = {
  /** Names that are resolved at once. */
  lookupsAtOnce: 16,
  /** An answer that has not come by then has failed, ms. */
  lookupMs: 5_000,
  /** Addresses taken from one name: a headless service has as many as it has pods. */
  addressesPerName: 4_096,
  /** Least time between two look-ups of one name, however often its connections fail, ms. */
  againMs: 1_000,
  /** What the start waits for first answers, ms: a call that comes right after it should find a backend. */
  firstAnswerMs: 1_000,
} as const;

export const ORCA_LIMITS = {
  /** Streams of load that are opened at once. */
  opensAtOnce: 64,
  /** First wait before a stream is opened again, its factor and its end, ms. */
  firstRetryMs: 1_000,
  retryFactor: 1.6,
  maxRetryMs: 60_000,
  /** A server without the service may have got it with its next version: it is asked again after this, ms. */
  unimplementedMs: 10 * 60_000,
} as const;
