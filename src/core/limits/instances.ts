/** Limits of what instances know of each other. */

export const INSTANCE_LIMITS = {
  /** Peers of one instance: backends report to each of them, and an SDK takes 64. */
  peers: 64,
  /** How often a peer is asked whether it is there, ms. */
  pollMs: 1_000,
  /** A peer that does not answer by then has missed a poll, ms. */
  pollTimeoutMs: 1_000,
  /** Polls missed in a row until a peer counts as gone: one may be a pause of its garbage collector. */
  missedPolls: 2,
  /** Time of a peer for the list of its servers, for one that begins, ms: it may have 10,000. */
  joinAskMs: 2_000,
  /** One that begins and has some of its peers' servers waits for the others as long as one comes within this time, ms. */
  joinQuietMs: 3_000,
  /** One that has none waits so long, ms: the peers look names up each 5 s, and DNS of a cluster may be 30 s old. */
  joinMostMs: 60_000,
  /** How often the names of peers are looked up anew, ms: what DNS of a cluster keeps them for. */
  resolveMs: 5_000,
  /** Names that a peer's name may stand for. */
  addressesPerName: 64,

  /** Who shares a log writes at least this often: its note of load, ms. */
  noteMs: 5_000,
  /** Silence on a shared log after which an instance is not named to backends and callers any more: two notes and some, ms. */
  silentMs: 12_000,
  /** Silence after which it is retired: a restart is over by then, and backends have found their way back, ms. */
  retireMs: 30_000,
  /** What the next in turn waits in addition, ms. */
  retireTurnMs: 5_000,
  /** Time for the word that this instance leaves, ms. */
  leaveMs: 1_000,
} as const;
