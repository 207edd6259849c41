/** Limits of the logs. */

export const MEMORY_LOG_LIMITS = {
  /** Entries kept for followers that start late; nothing else reads them again. Some MiB. */
  entries: 16_384,
} as const;

export const STATE_LIMITS = {
  /**
   * Longest message of a record: a `replace` of 60,000 servers. A length above it is damage, and no
   * memory is taken for it.
   */
  recordOctets: 16 * 2 ** 20,
  /** A file of the log ends above this; then a snapshot follows. Must stay far below the 4 GiB of `synced`. */
  fileOctets: 64 * 2 ** 20,
  /** Written and made durable at once: about 2,000 changes, which take some milliseconds to put together. */
  batchOctets: 256 * 1024,
  /** Read at once while a log is read: larger pieces are not faster. */
  readOctets: 2 ** 20,
  /** Backends of a note between which calls and picks have their turn: well below 1 ms. */
  noteRows: 1_000,
  /** How often a full disk is tried again, ms. */
  fullRetryMs: 5_000,
  /** Entries behind the last snapshot that make a new one: a start folds so many in some 100 ms. */
  snapshotEntries: 50_000,
  /** Files behind the last snapshot with which a start makes a new one: each start adds one. */
  startFiles: 8,
  /** Sampled decisions that wait to be written: beyond it they are dropped, and counted. */
  asides: 4_096,
  /** How long a holder of the directory has to answer, ms. */
  lockAnswerMs: 1_000,
  /** Between looks at another that wants the directory too, ms, and how many of them. */
  lockPauseMs: 50,
  lockAttempts: 100,
  /** Sign of life for other machines, ms: they wait two and a half of it before they take a directory over. */
  lockBeatMs: 2_000,
} as const;

export const DECISION_LIMITS = {
  /** Servers of a noted pick: the picked one and four runners-up; each is about 100 octets. */
  candidates: 5,
} as const;
