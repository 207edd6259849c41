/** Limits of what is counted and remembered for operators. */

/** What the history of the last 15 minutes may take. */
export const HISTORY_LIMITS = {
  /** Time between two points of the near past, ms, and how many there are: 3 minutes. */
  stepMs: 2_000,
  points: 90,
  /** Points of the near past that make one of the far past, and how many of those there are: 15 minutes. */
  folded: 5,
  farPoints: 90,
  /** Backends that have a history: each takes 10 KiB, all of them 20 MiB. */
  backends: 2_048,
  /** Pools that have one. */
  pools: 256,
  /** Work on a step that is done at a time, ms: calls wait for it. */
  sliceMs: 2,
} as const;

/** What is counted one by one; what comes beyond a limit is counted as `other`. */
export const METRIC_LIMITS = {
  /** Methods of calls. A caller chooses paths, so one counts by itself only once a backend has served it. */
  methods: 256,
  /** Pairs of a pool and a backend that have attempts: each takes 1.5 KiB here and 30 lines of a scrape. */
  attempts: 4_096,
  /** Backends that are told of: 17 lines of a scrape each. */
  backends: 2_048,
  /** Pools. */
  pools: 256,
  /** How long a pair is told of after its backend has left, ms: what happened last is to be scraped too. */
  leftMs: 60_000,
  /** Work on a scrape that is done at a time, ms: calls wait for it. */
  sliceMs: 3,
  /** Scrapes at once: one or two collectors, and a person. Each of them costs its time. */
  scrapes: 4,
} as const;
