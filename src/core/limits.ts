/**
 * Every limit of the project: its name, its default, its reason. One object per area.
 */

export const HEAP_LIMITS = {
  /** Items of a heap before its arrays first double: most pools are smaller, and it costs 2 KiB. */
  initialCapacity: 64,
  /** Items are slots of the load table: 16 million backends, 512 MiB of heap arrays, are a mistake. */
  maxItems: 2 ** 24,
} as const;

/** A file's own; what it says of servers is held to the limits of the control API. */
export const CONFIG_LIMITS = {
  /** Bytes of a configuration file: 10,000 servers take about 2 MiB; more is some other file given by mistake. */
  fileBytes: 16 * 1024 ** 2,
  /** Servers listed in a file: larger meshes come from discovery or register by themselves. */
  servers: 10_000,
  /** Pools with settings of their own; the others share the settings of `*`. */
  pools: 1_000,
  /** Networks in `control.allowBackends`; each registration is compared with all of them. */
  networks: 1_000,
} as const;

export const LEASE_LIMITS = {
  /** Open calls of one instance; a handle has 22 bits for it. The oldest lease gives way beyond that. */
  open: 2 ** 22,
  /** Leases looked at for expiry in one tick: some milliseconds at most. */
  expiryLooks: 20_000,
} as const;

export const POOL_LIMITS = {
  /** Members whose scores one tick computes anew: below 1 ms, so that no call waits for a sweep. */
  sweepMembers: 4_096,
  /** Shortest time in which all members of a pool are swept once, ms. */
  sweepFloorMs: 100,
} as const;

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
  registrationTimeoutMs: 10_000,
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
  /** Custom metrics a report, by kind. */
  metrics: 64,
  /** Quotas of a cgroup can change while it runs; reading them for every report would be waste. */
  quotaRereadMs: 10_000,
  /** A caller's cancel that comes within this of the call's deadline is the deadline. */
  deadlineSlackMs: 25,
  /** A message of a balancer is small: the longest is a list of control addresses. */
  messageBytes: 256 * 1_024,
} as const;

export const CONTROL = {
  /** A registration at all its limits is about 110 KiB; nothing else comes near it. */
  messageBytes: 128 * 1024,
  /** Calls open at once on one connection: a caller's channels share one, with one watch each. */
  streamsPerConnection: 512,
  /**
   * Memory of one HTTP/2 session, MiB: every stream may hold one outgoing chunk (`watchChunkBytes`)
   * that its reader does not take, and nothing may hold more.
   */
  sessionMemoryMiB: 64,
  /** Open connections: above 10,000 backends and as many callers; each costs about 30 KiB. */
  connections: 25_000,
  /** Connections that the kernel keeps until they are accepted: all backends come back at once after a restart. */
  backlog: 4096,
  /** A connection that has sent no HTTP/2 preface by then is no caller. */
  prefaceMs: 10_000,
  /** A connection without a call for this long is closed; callers open it again by themselves. */
  idleConnectionMs: 30 * 60_000,
  /** Silent connections are pinged this often, and cut where the ping is not answered. */
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 20_000,

  /** Bytes in UTF-8 of an id: they are keys of maps, metric labels and terminal columns. */
  idBytes: 256,
  /** RFC 1035 section 2.3.4: a host name has at most 255 octets; with brackets, colon and port. */
  addressBytes: 263,
  /** A fully qualified service name; longer than any that a compiler has been seen to make. */
  serviceBytes: 256,
  /** Services of one backend: each is a place in one more heap. */
  servicesPerBackend: 256,
  zoneBytes: 128,
  /** As Kubernetes: 63 bytes of name behind a prefix of 253. */
  labelKeyBytes: 317,
  labelValueBytes: 512,
  labels: 64,
  /** Weights further apart than this are a mistake of units, and lose one unit of load in rounding. */
  minWeight: 1e-6,
  maxWeight: 1e6,
  maxConcurrency: 1_000_000,
  /** What operators and backends say of a reason. */
  causeBytes: 512,
  /** Entries of each map of a load report; one of them is read. */
  metrics: 128,
  metricNameBytes: 256,
  /** The API says so: callers that have tried this many should give up. */
  excludeIds: 32,
  hashKeyBytes: 1024,
  methodBytes: 512,
  clientIdBytes: 256,
  /** A drain longer than a day is a server that should be removed. */
  drainMs: 24 * 3_600_000,

  /** Watches open at once: each may have one chunk on its way. */
  watchers: 10_000,
  /** Bytes of one message of a watch: well below the 4 MiB that clients take by default. */
  watchChunkBytes: 64 * 1024,
  /** Loads go out in steps of this; phases of watchers are multiples of it. */
  watchTickMs: 50,
  /** Nobody gets loads more often: it is what a balancer can act on, and half a network delay of old. */
  minWatchIntervalMs: 100,
  maxWatchIntervalMs: 60_000,
  /** Removed ids kept for watchers that lag; one that lags behind all of them gets a snapshot. */
  tombstones: 4096,
  /** Followers of events at once, and what one of them may lag behind before it is ended. */
  eventWatchers: 256,
  eventBacklog: 1024,
  /** Questions to server reflection that wait because their asker does not read the answers. */
  reflectionBacklog: 64,
  /** Backends that may have a report stream open. */
  reporters: 20_000,
} as const;

/**
 * Those marked "part of the fold" decide what entries mean: instances that share a log must agree on
 * them, so they are no settings, and a change of one is a change of what the log means.
 */
export const REGISTRY_LIMITS = {
  /**
   * Ids that nobody claims but that an operator removed, drained or weighted. Ids of short-lived
   * servers (pods) never come back, so these would pile up; the oldest is forgotten first. Part of the fold.
   */
  operatorsWords: 4_096,
  /**
   * Claims of one server, and observations of one server: one a source and instance. Far more than
   * instances that run at once; instances with random names leave theirs behind. Part of the fold.
   */
  originsPerServer: 256,
  /** Failures known to be answered by an activation; the oldest is forgotten first. Part of the fold. */
  answers: 1_024,
  /** Events kept for readers that come back: some MiB, and more than a restart of 5,000 servers makes. */
  events: 16_384,
  /**
   * Own proposals that the log has not taken yet: 10,000 servers may change state six times while it
   * is away. Above it a proposal is refused rather than kept in memory.
   */
  pending: 65_536,
} as const;

export const MEMORY_LOG_LIMITS = {
  /** Entries kept for followers that start late; nothing else reads them again. Some MiB. */
  entries: 16_384,
} as const;
