/** Limits of traces. */

export const TRACING_LIMITS = {
  /** Spans that wait for the collector, as the SDK of OpenTelemetry has it (OTEL_BSP_MAX_QUEUE_SIZE), and more: a proxy makes several a call. */
  spanQueue: 8_192,
  /** Spans sent at once, as the SDK has it: their encoding holds the loop for 1 to 2 ms (OTEL_BSP_MAX_EXPORT_BATCH_SIZE). */
  spanBatch: 512,
  /** How long a batch that is not full waits, ms (OTEL_BSP_SCHEDULE_DELAY; its default of 5 s is long for who looks). */
  spanDelayMs: 1_000,
  /** A batch that the collector has not taken by then is given up, ms (OTEL_BSP_EXPORT_TIMEOUT). */
  exportTimeoutMs: 30_000,
  /** What spans that wait get at the end of the process, ms. */
  spanGraceMs: 2_000,
  /** Events of a span: a call that is sent again and again says no more after these (OTEL_SPAN_EVENT_COUNT_LIMIT is 128). */
  spanEvents: 32,
  /** Characters of what others may make as long as they like: paths, causes. */
  spanText: 512,
  /** Time that a stream's segment lasts, ms: one that stays open is found while it is open. */
  segmentMs: 60_000,
  /** How often open streams are looked at, ms. */
  tickMs: 1_000,
  /** Leases whose pick was traced and whose outcome is waited for; the oldest gives way. */
  leases: 10_000,
  /** How often those whose time is up are looked for, ms. */
  leaseSweepMs: 1_000,
} as const;
