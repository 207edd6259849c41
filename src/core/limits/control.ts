/** Limits of the control API. */

export const CONTROL = {
  /** A registration at all its limits is about 110 KiB; nothing else comes near it. */
  messageBytes: 128 * 1024,
  /** Calls open at once on one connection: a caller's channels share one, with one watch each. */
  streamsPerConnection: 512,
  /**
   * Octets that are held for all calls together: of messages that have not come whole, and of answers that are not
   * read. 1,000 registrations at all their limits, or 2,000 watches that stall. Who holds most is cut off.
   */
  heldBytes: 128 * 1024 ** 2,
  /** Output of a connection that waits for its reader before no more DATA is taken for it: a chunk of a watch and some. */
  outputBytes: 128 * 1024,
  /** Open connections: above 10,000 backends and as many callers; each costs some 6 KiB. */
  connections: 25_000,
  /** Connections that the kernel keeps until they are accepted: all backends come back at once after a restart. */
  backlog: 4096,
  /** Silent connections are pinged this often, and cut where the ping is not answered. */
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  /** Each connection is looked at this often, ms: a part of them each `TRANSPORT.watchMs`, of which it is a multiple. */
  watchMs: 1_000,

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
  /** What an operator waits for the log to take a change, ms: below what the command line waits for an answer. */
  settleMs: 3_000,
  /** A drain longer than a day is a server that should be removed. */
  drainMs: 24 * 3_600_000,

  /** After a start, backends of a recovered list have this long to report again: their back-off ends at 20 s. */
  recoveryGraceMs: 30_000,
  /** A port that neither takes nor refuses a connection by then tells nothing. */
  probeTimeoutMs: 200,
  /** A newcomer under an id that is in use waits this long for the older stream to answer a PING. */
  pingMs: 3_000,

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
  /** A registration that the log has not taken by then is answered all the same: well before a backend gives up. */
  keptWithinMs: 1_000,
  /** A report stream must begin with a registration within this. */
  registrationMs: 10_000,
  /** Changes of a registration on one stream: each is an entry of the log. */
  registrationsPerStream: 1_000,
  /** Messages to a backend that does not read them. */
  reporterBacklog: 64,
  /** Backends that may have a report stream open. */
  reporters: 20_000,
} as const;
