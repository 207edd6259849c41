/** Limits of the logs. */

export const MEMORY_LOG_LIMITS = {
  /** Entries kept for followers that start late; nothing else reads them again. Some MiB. */
  entries: 16_384,
} as const;
