/** Limits of sockets with HTTP/2 connections on them, of the proxy and of the control API. */

export const TRANSPORT = {
  /** Buffer that all sockets read into: as much as Node reads at once by itself. */
  readBytes: 64 * 1024,
  /** A caller that has sent no preface and SETTINGS by then is none, ms. */
  prefaceMs: 10_000,
  /** SETTINGS of ours that are not acknowledged by then end the connection (RFC 9113 6.5.3), ms. */
  settingsAckMs: 10_000,
  /** A peer that takes none of what waits for it for this long is cut off, ms. */
  stalledWriteMs: 30_000,
  /** What a broken or ended connection gets to take our last words, ms. */
  lingerMs: 1_000,
  /** Time that a graceful end of a caller's connection waits for the answer to its PING, ms. */
  goawayMs: 5_000,
  /** How often connections are looked at for these, ms. */
  watchMs: 250,
} as const;
