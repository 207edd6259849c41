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
} as const;
