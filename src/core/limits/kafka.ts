/** Limits of the log on Kafka. */

export const KAFKA_LIMITS = {
  /** Brokers named in the configuration; one that answers names the others. */
  brokers: 64,
  /** A broker that takes no connection by then is tried later, ms. */
  connectMs: 2_000,
  /** A request that is not answered by then has failed, ms: above `fetchWaitMs` and a leader's change. */
  requestMs: 5_000,
  /** How long a broker may wait for replicas before it answers an append, ms. */
  produceMs: 4_000,
  /** How long a broker may wait for something to hand out, ms; an entry that comes ends it at once. */
  fetchWaitMs: 500,
  /** Octets of one fetch; a record that is larger comes by itself. */
  fetchBytes: 8 * 1024 * 1024,
  /** Between two tries of a cluster that does not answer, ms. */
  firstRetryMs: 100,
  maxRetryMs: 2_000,
  /** Proposals of one batch, and their octets: far below what a broker takes. */
  batchProposals: 2_000,
  batchBytes: 512 * 1024,
  /** Octets of one record of the log: a `replace` of 10,000 servers has 2 MiB. */
  recordBytes: 16 * 1024 * 1024,
  /** Octets of a snapshot, compressed: some 300,000 servers. */
  snapshotBytes: 64 * 1024 * 1024,
  /** Octets of a snapshot once it is unpacked; what claims to be larger is none. */
  snapshotUnpackedBytes: 1024 * 1024 * 1024,
  /** Records, and their octets, behind a snapshot until the next: what a start reads at most, about. */
  snapshotEveryRecords: 10_000,
  snapshotEveryBytes: 8 * 1024 * 1024,
  /** Records that are kept before a snapshot, for people who ask what was. */
  keptRecords: 100_000,
  /** Replicas of a topic that this makes, and how many of them must have a record: where there are as many brokers. */
  replicas: 3,
  leastReplicas: 2,
  /** How long a start waits for the cluster, ms; without it this instance serves from what it learns by itself. */
  openMs: 10_000,
  /** The log is `behind` once it has not answered for this long, ms. */
  behindMs: 2_000,
  /** Waiting changes go to the local file after this, ms: an append takes some 10 ms where all is well. */
  spoolAfterMs: 500,
  /** Octets of that file: far more than `REGISTRY_LIMITS.pending` proposals take. */
  spoolBytes: 256 * 1024 * 1024,
  /** Origins whose last word is remembered, so that no copy of it and no earlier life counts. Part of the fold. */
  origins: 1_024,
  /** Time for what waits to reach the log at a graceful end, ms. */
  closeMs: 2_000,
} as const;
