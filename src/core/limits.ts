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
  /** Warm-ups that end in one tick: each is an entry of the log, and a fleet ends them together; some milliseconds. */
  warmUpsEnded: 200,
  /** How often time is told to the mesh, ms: half of the shortest sweep, and fine enough for a lease. */
  tickMs: 50,
} as const;

export const PROCESS_LIMITS = {
  /** What open calls of the control API get to end at a graceful end, ms: half of a pod's usual grace. */
  closeGraceMs: 15_000,
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
  /** A report stream must begin with a registration within this. */
  registrationMs: 10_000,
  /** Changes of a registration on one stream: each is an entry of the log. */
  registrationsPerStream: 1_000,
  /** Messages to a backend that does not read them. */
  reporterBacklog: 64,
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

export const ADMIN_LIMITS = {
  /** Connections at once: probes and a scraper need a handful. */
  connections: 256,
  /** A request that is not there whole by then is a slow-header attack, ms. */
  requestTimeoutMs: 10_000,
  /** No page here needs more. */
  headerBytes: 8 * 1024,
} as const;

/** What one HTTP/2 connection may cost, whatever its peer does. All of them can be set per connection. */
export const HTTP2_LIMITS = {
  /** Streams that a peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS); HAProxy advertises the same. */
  maxConcurrentStreams: 100,
  /** SETTINGS_INITIAL_WINDOW_SIZE: what one stalled stream can make us hold. */
  streamWindowBytes: 64 * 1024,
  /** Window of the connection: what may be under way between two turns of the event loop. */
  connectionWindowBytes: 1024 ** 2,
  /**
   * Bytes of DATA that the streams of a connection hold together before the connection's window is no longer
   * given back at once. All stalled streams at the default fit (100 × 64 KiB), so that none stalls a neighbour.
   */
  heldBytes: 8 * 1024 ** 2,
  /** SETTINGS_MAX_FRAME_SIZE, the protocol's smallest; we send no longer frames either. */
  frameBytes: 16_384,
  /** Decoded size of a header list, each field counted with 32 more (RFC 9113 6.5.2); Envoy's 60 KiB, Go's 64. */
  headerListBytes: 64 * 1024,
  /** Fields of a header list, cookie crumbs counted one by one: many empty fields cost more than their octets. */
  headerFields: 128,
  /** Octets of a header block as they arrive: twice the list, as Huffman codes can be longer than what they code. */
  headerBlockBytes: 128 * 1024,
  /** CONTINUATION frames of one header block, as nghttp2: with 16 KiB each they exceed any block we take. */
  continuationFrames: 8,
  /** SETTINGS_HEADER_TABLE_SIZE, the protocol's default. */
  headerTableBytes: 4096,
  /** Most that our encoder's table takes, whatever the peer offers (hyper's rule). */
  encoderTableBytes: 4096,
  /** Field names kept as objects, process-wide; a power of two. Meshes use a few dozen. */
  namesRemembered: 1024,
  /** Octets of a field name that is kept as an object. */
  nameBytesRemembered: 128,
  /** Header blocks that a connection remembers by their octets; a power of two. A caller uses few methods. */
  blocksRemembered: 16,
  /** Octets of a block that is remembered. Longer ones have values of their own and do not come again. */
  blockBytesRemembered: 512,
  /** Decoded size of a list that is remembered, so that a short block of large indexed fields is not kept. */
  listBytesRemembered: 4096,
  /** Distinct header lists remembered process-wide; a power of two: 4 MiB at most. */
  listsRemembered: 1024,
  /** Looks in vain after which the memory of blocks rests, and for how many blocks it then does. */
  blockMisses: 32,
  blockRest: 256,
  /** Bytes of an output slab: four whole DATA frames, more than a turn of the event loop mostly writes. */
  slabBytes: 64 * 1024 + 1024,
  /** Bytes of the slab that a turn's output begins in: the answers of some unary calls. */
  smallSlabBytes: 4096,
  /** Free slabs that are kept for the next turn, process-wide: 8 MiB of large ones and 4 MiB of small ones at most. */
  slabsKept: 128,
  smallSlabsKept: 1024,
  /** Output that waits for a slow reader before no more DATA is taken for it. */
  outputBytes: 256 * 1024,
  /** Output that waits, at which a peer that keeps asking for answers without reading them is cut off. */
  outputBytesHard: 1024 ** 2,
  /** Streams reset by the peer right after they were opened: burst and rate (nghttp2: 1000 and 33/s). */
  rapidResets: { burst: 1000, perSecond: 100 },
  /**
   * A stream reset after this long was no rapid reset, ms: its caller gave up, as all callers do at their deadlines
   * when backends hang. With 100 streams at once they are at most 500 a second.
   */
  rapidResetAgeMs: 200,
  /** Rapid resets that each call brought to its end earns: callers that hedge cancel the slower one (Envoy: half may). */
  rapidResetsPerDone: 1,
  /** Part of the burst of rapid resets at which a GOAWAY asks the peer to leave, before the connection is closed. */
  rapidResetWarning: 0.75,
  /** Streams that a peer makes us reset (MadeYouReset): burst and rate (Sōzu: 500). */
  faults: { burst: 500, perSecond: 10 },
  /** PING: grpc-go sends one for each round trip with DATA, so that each frame of ours earns one more. */
  pings: { burst: 1000, perSecond: 100 },
  /** SETTINGS. */
  settings: { burst: 100, perSecond: 10 },
  /** PRIORITY: each opened stream earns 100 (Envoy). */
  priorities: { burst: 1000, perSecond: 100 },
  prioritiesPerStream: 100,
  /** WINDOW_UPDATE: each opened stream earns 2 and each DATA frame sent 20 (Envoy). */
  windowUpdates: { burst: 2000, perSecond: 200 },
  windowUpdatesPerStream: 2,
  windowUpdatesPerData: 20,
  /** Most that DATA earns: what 100,000 small frames under way may be answered by, at once. */
  windowUpdatesEarned: 2_000_000,
  /** DATA that carries next to nothing and ends nothing. */
  tinyData: { burst: 1000, perSecond: 100 },
  /** DATA shorter than this is such: a gRPC message begins with 5 octets, so that whole messages are no shorter. */
  tinyDataBytes: 5,
  /** DATA of this length earns one that is shorter: windows leave remainders. */
  fullDataBytes: 1024,
  /** Frames that are only ignored: of unknown types, or on streams that are over. Each stream earns some. */
  strays: { burst: 1000, perSecond: 100 },
  straysPerStream: 8,
  /** Octets of GOAWAY debug data that are kept for the log. */
  debugBytes: 256,
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

/** The transparent proxy. Those that a user may set are defaults of `proxy:` in the configuration. */
export const PROXY_LIMITS = {
  /** Connections of callers at once: 10,000 idle ones and room for as many again. */
  connections: 20_000,
  /** Connections that the kernel keeps until they are accepted: all callers come back at once after a restart. */
  backlog: 4096,
  /** A caller that has sent no preface and SETTINGS by then is none, ms. */
  prefaceMs: 10_000,
  /** SETTINGS of ours that are not acknowledged by then end the connection (RFC 9113 6.5.3), ms. */
  settingsAckMs: 10_000,
  /** A caller's connection without a call is closed after this, ms: two hours, as gRPC keeps them. */
  idleMs: 2 * 60 * 60_000,
  /** A peer that takes none of what waits for it for this long is cut off, ms. */
  stalledWriteMs: 30_000,
  /** What a broken or ended connection gets to take our last words, ms. */
  lingerMs: 1_000,
  /** How often connections are looked at for these, ms. */
  watchMs: 250,

  /** Buffer that all sockets read into: as much as Node reads at once by itself. */
  readBytes: 64 * 1024,

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
  /** Heads of requests kept for reuse: some 5 KiB each, with their octets. */
  heldLists: 1024,
  /** Fields of such a head: gRPC's own, tracing, and a dozen or two of metadata. */
  heldFields: 48,
  /** Size of a head that is kept for reuse, so that a few large ones do not stay. */
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
  /** Time that a graceful end of a caller's connection waits for the answer to its PING, ms. */
  goawayMs: 5_000,
  /** Methods whose route is remembered; paths that a caller makes up push others out. */
  routes: 4096,
  /** Length of a path that is remembered. */
  routeBytes: 256,
  /** Time that a drain gives to calls that are open, ms; below the 30 s of a pod's usual grace. */
  drainMs: 25_000,
} as const;
