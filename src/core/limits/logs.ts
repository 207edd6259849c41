/** Limits of the log. */

export const LOG_LIMITS = {
  /** Octets that wait where nobody takes the output (a stopped reader, a full disk); what comes beyond them is dropped and counted. */
  waitingBytes: 1024 ** 2,
  /** How long the output gets to take what waits at the end of the process, ms. */
  flushMs: 1_000,
  /** Until a write that failed for the moment (EAGAIN, ENOSPC) is tried again, ms. */
  retryMs: 250,
  /** Lines of the same fault that are written in a window of `foldMs`; more are counted, and told at its end. */
  sameLines: 3,
  foldMs: 10_000,
  /** Different faults that are counted at once; beyond them all others are one. */
  faults: 256,
  /** Characters of a value of metadata in a line. */
  metadataValue: 256,
  /** Names of metadata that may be logged. */
  metadataNames: 32,
  /** How often open streams are looked at for the access log, ms. */
  tickMs: 1_000,
} as const;
