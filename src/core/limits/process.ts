/** Limits of the process around it: configuration, start and end, the admin endpoint. */

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

export const PROCESS_LIMITS = {
  /** What open calls of the control API get to end at a graceful end, ms: half of a pod's usual grace. */
  closeGraceMs: 15_000,
} as const;

export const ADMIN_LIMITS = {
  /** Connections at once: probes and a scraper need a handful. */
  connections: 256,
  /** A request that is not there whole by then is a slow-header attack, ms. */
  requestTimeoutMs: 10_000,
  /** No page here needs more. */
  headerBytes: 8 * 1024,
  /** Bytes of a request's body: the largest describes one server, which at its limits has some 10 KiB. */
  bodyBytes: 64 * 1024,
  /** Names in `admin.allowedHosts`. */
  allowedHosts: 64,

  /** Event streams at once: a console has one, and none while nobody looks at it. */
  streams: 32,
  /** Time between two messages of a stream, ms. */
  streamMs: 1_000,
  /** Characters of one message of a stream, about; what does not fit has its turn in a later one. */
  messageChars: 48 * 1024,
  /** How long work for readers holds up calls at a time, ms: a garbage collection takes as long. */
  sliceMs: 2,
  /** Rows that are read in one message time, 5 µs each: of larger meshes each row has its turn after some seconds. */
  rowsPerTick: 2_500,
  /** Nodes of a heap that are told of: four levels below the root, more than a screen can show. */
  heapNodes: 341,
  /** Nodes of a heap in one answer to a program: 4 ms of work. */
  heapListed: 1_000,
  /** Servers, and pools, that left and that a slow stream can be told of; one that lags behind that begins anew. */
  departed: 4_096,
  /** Pools that are listed. */
  pools: 512,
  /** Events in one message of a stream, and at its start. */
  events: 200,
  /** Failed and slow calls that are kept, each kind. */
  calls: 200,
  /** Of them, noted a second, each kind: more could not be read. */
  callsPerSecond: 10,
  /** No call that took less is slow, ms. */
  slowMs: 50,
  /** Connections of each kind, and open calls, that are listed. */
  listed: 200,
} as const;
