/** Limits of the two SDKs. */

/** The SDK of backends: `heapmesh/backend`. */
export const REPORTER_LIMITS = {
  /** Balancers that one backend reports to, learned ones included; each costs a connection. */
  balancers: 64,
  /** Where a balancer names no interval: that of the balancer's own default. */
  reportIntervalMs: 1_000,
  /** A balancer that asks for more than 100 reports a second is mistaken. */
  minReportIntervalMs: 10,
  /** A balancer that asks for less than one a minute could not tell a silent backend. */
  maxReportIntervalMs: 60_000,
  /** A balancer answers within its 3 s PING of an older stream of the same id, and some. */
  registrationTimeoutMs: 5_000,
  /** A stream whose balancer takes nothing for this long, or for three intervals, is given up. */
  stalledMs: 10_000,
  /** A restarted balancer is back within this more often than not. */
  firstRetryMs: 100,
  /** Back-off of gRPC (connection-backoff.md). */
  retryFactor: 1.6,
  /** A balancer that was away is found again within half a minute. */
  maxRetryMs: 20_000,
  /** After a refusal: the reason goes away by a change of configuration, or by another backend's end. */
  refusedRetryMs: 10_000,
  /** A stream that lived this long has proved its balancer, and the back-off begins anew. */
  steadyMs: 5_000,
  /** Time between reports once deregistered: the balancer waits for one without calls in flight. */
  leavingReportMs: 100,
  /** A balancer that is gone ejects a silent backend after three intervals; it is waited for as long. */
  gonePatienceMs: 3_000,
  /** Time for a last message to leave when a reporter is closed. */
  closeGraceMs: 500,
  /** What Kubernetes gives a pod by default is 30 s: the rest is for the server's own end. */
  drainTimeoutMs: 20_000,
  /** How long no call must have begun before a drain is over: news of it travels to callers meanwhile. */
  settleMs: 1_000,
  /** How long the server may take to end once drained, before it is forced. */
  shutdownTimeoutMs: 5_000,
  /** Custom metrics a report, by kind: half of what a balancer takes. */
  metrics: 64,
  /** What a balancer takes: a fraction above this is a figure of another kind. */
  utilization: 1e6,
  /** Quotas of a cgroup can change while it runs; reading them for every report would be waste. */
  quotaRereadMs: 10_000,
  /** A caller's cancel that comes within this of the call's deadline is the deadline. */
  deadlineSlackMs: 25,
  /** A message of a balancer is small: the longest is a list of control addresses. */
  messageBytes: 256 * 1_024,
} as const;

/** The SDK of callers: `heapmesh/client`. */
export const CALLER_LIMITS = {
  /** Balancers of one target; a caller talks to one of them at a time. */
  balancers: 16,
  /** As the control API takes them: `CONTROL.clientIdBytes`. */
  optionBytes: 256,
  /** A message of a watch is below 64 KiB; grpc-js would take 4 MiB by default. */
  messageBytes: 1024 * 1024,
  /** A balancer that has taken a watch and sends no list for this long is passed over. */
  firstMessageMs: 5_000,
  /** A restarted balancer is back within this more often than not. */
  firstRetryMs: 100,
  /** Back-off of gRPC (connection-backoff.md). */
  retryFactor: 1.6,
  /** The last list goes stale meanwhile, so a balancer that came back is found soon. */
  maxRetryMs: 5_000,
  /** A watch that lived this long has proved its balancer, and the back-off begins anew. */
  steadyMs: 5_000,
  /**
   * How long a server that a new snapshot does not name is kept while its connection stands: a balancer
   * that was restarted without a log knows nobody until the backends come back, which takes them up to
   * one and a half times `REPORTER_LIMITS.maxRetryMs`.
   */
  unconfirmedMs: 30_000,
  /** Connections that a channel opens by itself; beyond these, one at a time as the load asks for them. */
  eagerConnections: 100,
  /** Own calls in flight on the best connected server from which one more connection is opened. */
  busyCalls: 4,
  /** How often scores age. */
  tickMs: 50,
  /** A picked call that waits longer than this for its call credentials counts no more. */
  unstartedMs: 10_000,
  /** Time for one pick, over all balancers. */
  pickTimeoutMs: 2_000,
  /** A timer of a caller that fires so much late, ms, tells of a process that had no turn: 50 ms is a long collection. */
  lateMs: 50,
  /** The API says so: `CONTROL.excludeIds`. */
  excludeIds: 32,
  /** Outcomes that wait for one balancer; the oldest gives way. About 1 MiB. */
  outcomeQueue: 10_000,
  /** Outcomes go out together after this time or number, whichever is first: sooner than a report interval. */
  flushMs: 20,
  flushOutcomes: 128,
  /** A stream of outcomes is ended this often, since the balancer's counts come with its end. */
  outcomeStreamMs: 30_000,
  /** Time for the last outcomes when a client is closed. */
  closeGraceMs: 1_000,
  /** Attempts of `call()`; more would multiply an overload. */
  callAttempts: 3,
} as const;
