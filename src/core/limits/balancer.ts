/** Limits of the balancer itself: heap, load table, leases, pools, registry. */

export const HEAP_LIMITS = {
  /** Items of a heap before its arrays first double: most pools are smaller, and it costs 2 KiB. */
  initialCapacity: 64,
  /** Items are slots of the load table: 16 million backends, 512 MiB of heap arrays, are a mistake. */
  maxItems: 2 ** 24,
} as const;

export const LEASE_LIMITS = {
  /** Open calls of one instance; a handle has 22 bits for it. The oldest lease gives way beyond that. */
  open: 2 ** 22,
  /** Leases looked at for expiry in one tick: some milliseconds at most. */
  expiryLooks: 20_000,
} as const;

/** What is believed of load, whoever tells it; beyond it, numbers that others are computed from would not be finite. */
export const LOAD_LIMITS = {
  /** Calls in flight: counts are Int32. */
  inFlight: 0x7fff_ffff,
  /** Calls a second. */
  rate: 1e12,
  /** Least utilization that says something; less is unknown, like 0. */
  minUtilization: 1e-6,
  maxUtilization: 1e6,
  /** What a report may cover, and how old it may be, ms: a day. */
  windowMs: 24 * 3_600_000,
  /** Learned by another balancer, calls/s. */
  minCapacity: 1e-9,
  maxCapacity: 1e18,
  /** A call that took longer says nothing, ms: three years. */
  latencyMs: 1e11,
  minWeight: 1e-6,
  maxWeight: 1e6,
} as const;

export const MESH_LIMITS = {
  /** Warm-ups that end in one tick: each is an entry of the log, and a fleet ends them together; some 3 ms. */
  warmUpsEnded: 32,
  /** Warming servers that one tick looks at: some microseconds, and a fleet of 10,000 within half a second. */
  warmUpLooks: 1_000,
  /** How often time is told to the mesh, ms: half of the shortest sweep, and fine enough for a lease. */
  tickMs: 50,
} as const;

export const POOL_LIMITS = {
  /** Members whose scores one tick computes anew: below 1 ms, so that no call waits for a sweep. */
  sweepMembers: 4_096,
  /** Shortest time in which all members of a pool are swept once, ms. */
  sweepFloorMs: 100,
  /**
   * Zones of a pool with heaps of their own: each costs memory by the pool's size, and a look a pick. More are
   * a mistake, such as host names for zones; servers of those stand with the ones that name no zone.
   */
  zones: 64,
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
  /** Instances that share a log; more are names that nobody retired. Part of the fold. */
  instances: 256,
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
