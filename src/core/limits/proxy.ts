/** Limits of the proxy. */

/** The transparent proxy. Those that a user may set are defaults of `proxy:` in the configuration. */
export const PROXY_LIMITS = {
  /** Connections of callers at once: 10,000 idle ones and room for as many again. */
  connections: 20_000,
  /** Connections that the kernel keeps until they are accepted: all callers come back at once after a restart. */
  backlog: 4096,
  /** A caller's connection without a call is closed after this, ms: two hours, as gRPC keeps them. */
  idleMs: 2 * 60 * 60_000,
  /**
   * How often open streams are looked at, ms: one through which nothing went since the last look is no load, until
   * something does. Longer than the pauses of a stream that works, and one look at 100,000 calls is a millisecond.
   */
  restMs: 2_000,

  /** Connect time-out, ms. */
  connectMs: 5_000,
  /** First wait after a failed connect, its factor and its end, ms (gRPC connection-backoff.md). */
  firstRetryMs: 100,
  retryFactor: 1.6,
  maxRetryMs: 5_000,
  /** Connections to one backend: for peers that take few streams on one. */
  connectionsPerBackend: 16,
  /** Calls that wait for a stream to one backend, beyond what its connections take. */
  waitingPerBackend: 1024,
  /** Silence of a backend that owes answers: after this it is asked for a sign of life (PING), ms ... */
  silencePingMs: 1_000,
  /** ... after this it gets no more calls, or after 3 × the p99 of the minute before if that is more, ms ... */
  silenceMs: 2_500,
  /** ... and after this its connection is given up and its calls end, ms (gRPC keepalive's 20 s). */
  silenceEndMs: 20_000,
  /**
   * PINGs to a backend that has sent neither headers nor DATA meanwhile. grpc-go, grpc-java and C-core count each
   * but the first as a strike where it comes within five minutes, and end the connection at the third strike.
   */
  pingsUnearned: 3,
  /** What is no strike, and how often a stream that says nothing is asked for a sign of life, ms. */
  pingAgainMs: 5 * 60_000 + 5_000,
  /** A connection that lived for less says nothing of its backend's life by its end, ms. */
  steadyMs: 1_000,
  /** A connection to a backend without a call is closed after this, ms. */
  upstreamIdleMs: 10 * 60_000,

  /** Octets of a request that are kept so that it can be sent again. */
  replayBytes: 64 * 1024,
  /** Octets that a call's own buffer keeps for the next call. */
  bufferBytesKept: 16 * 1024,
  /** Calls kept for reuse. */
  callsKept: 4096,
  /** What heads of requests are kept in, for reuse: some 2 KiB each, with their octets. */
  heldLists: 1024,
  /** Fields of such a head: gRPC's own, tracing, and a dozen or two of metadata. */
  heldFields: 48,
  /** Octets that such a one has of its own at most, so that a few large ones do not stay. */
  heldListBytes: 8 * 1024,
  /** Times that one call is sent, where each backend says that it did not begin it. */
  transparentAttempts: 4,
  /** Retries by policy that a pool may make in a second, so that a quiet one can retry at all. */
  retriesPerSecond: 3,
  /** Calls that a retry budget remembers: what a burst of failures may spend at once. */
  retryMemoryCalls: 1_000,
  /** Longest wait that a backend may ask for before a retry (`grpc-retry-pushback-ms`), ms. */
  pushbackMs: 60_000,
  /** A backend's load is taken from its calls' trailers no more often than this, ms: they come with each call. */
  callReportMs: 250,
  /** What a request of ours to answer ourselves (health) may carry, octets. */
  localRequestBytes: 4096,
  /** Methods whose route is remembered; paths that a caller makes up push others out. */
  routes: 4096,
  /** Length of a path that is remembered. */
  routeBytes: 256,
  /** Time that a drain gives to calls that are open, ms; below the 30 s of a pod's usual grace. */
  drainMs: 25_000,
} as const;
