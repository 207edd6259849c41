/**
 * Connections to a cluster for one purpose, and the few requests that the log makes of it. A session that
 * failed is given up and made anew, beginning with another broker: what a client remembers of a cluster
 * that has just lost a broker is worth less than a fresh look.
 */
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Admin, Consumer, findErrorBy, Producer, type SASLOptions } from '@platformatic/kafka';
import { KAFKA_LIMITS } from '../../core/limits.ts';

export interface KafkaCluster {
  /** `host:port`. */
  readonly brokers: readonly string[];
  /** For the brokers' own records. */
  readonly clientId: string;
  readonly tls?: ConnectionOptions | undefined;
  readonly sasl?: SASLOptions | undefined;
}

export interface Fetched {
  readonly records: readonly { readonly offset: number; readonly value: Buffer }[];
  /** Where to go on. */
  readonly next: number;
  /** One behind the last record that is replicated. */
  readonly end: number;
  /** Of the first record that is still there. */
  readonly start: number;
}

interface Leader {
  readonly node: number;
  readonly topicId: string;
}

export class Session {
  readonly #options: ReturnType<typeof optionsOf>;
  #consumer: Consumer | undefined;
  #producer: Producer | undefined;
  #admin: Admin | undefined;
  #leaders = new Map<string, Leader>();

  /** `attempt` chooses the broker that is asked first. */
  constructor(cluster: KafkaCluster, attempt: number) {
    this.#options = optionsOf(cluster, attempt);
  }

  get admin(): Admin {
    this.#admin ??= new Admin({ ...this.#options });
    return this.#admin;
  }

  /** Waits for up to `waitMs` where there is nothing behind `offset`. */
  async fetch(topic: string, offset: number, waitMs: number): Promise<Fetched> {
    const { node, topicId } = await this.#leader(topic);
    const partition = {
      partition: 0,
      currentLeaderEpoch: -1,
      lastFetchedEpoch: -1,
      fetchOffset: BigInt(offset),
      partitionMaxBytes: KAFKA_LIMITS.fetchBytes,
    };
    const answer = await this.#reader().fetch({
      node,
      topics: [{ topicId, partitions: [partition] }],
      maxWaitTime: waitMs,
      minBytes: 1,
      maxBytes: KAFKA_LIMITS.fetchBytes,
    });
    const got = answer.responses[0]?.partitions[0];
    // A partition without news is left out of the answer.
    if (got === undefined) return { records: [], next: offset, end: -1, start: -1 };
    const records: { offset: number; value: Buffer }[] = [];
    let next = offset;
    for (const batch of got.records ?? []) {
      const first = Number(batch.firstOffset);
      next = Math.max(next, first + batch.lastOffsetDelta + 1);
      // Markers of transactions are no records of ours.
      if (batch.attributes & 0x20) continue;
      for (const { offsetDelta, value } of batch.records) {
        // A broker hands out whole batches: the first may begin before what was asked for.
        if (first + offsetDelta >= offset && value !== null)
          records.push({ offset: first + offsetDelta, value });
      }
    }
    return { records, next, end: Number(got.highWatermark), start: Number(got.logStartOffset) };
  }

  /** Offset of the first record that is there, and the one behind the last. */
  async bounds(topic: string): Promise<{ start: number; end: number }> {
    const reader = this.#reader();
    const at = async (timestamp: bigint) =>
      Number((await reader.listOffsets({ topics: [topic], timestamp })).get(topic)?.[0] ?? 0n);
    const [start, end] = await Promise.all([at(-2n), at(-1n)]);
    return { start, end };
  }

  /** Appends, in this order, to all replicas that have to have it. Resolves with the offset of the first. */
  async append(topic: string, key: Buffer, values: readonly Buffer[], pack = false): Promise<number> {
    this.#producer ??= new Producer({
      ...this.#options,
      timeout: KAFKA_LIMITS.produceMs,
      idempotent: true,
      // The library takes fewer for "for ever".
      retries: 2,
    });
    const { offsets } = await this.#producer.send({
      messages: values.map(value => ({ topic, partition: 0, key, value })),
      idempotent: true,
      acks: -1,
      compression: pack ? 'zstd' : 'none',
    });
    return Number(offsets?.[0]?.offset ?? -1n);
  }

  /** Never waits long: what does not end by itself is left to its time-outs. */
  async close(): Promise<void> {
    const closing = [this.#consumer?.close(true), this.#producer?.close(true), this.#admin?.close()];
    this.#consumer = this.#producer = this.#admin = undefined;
    await Promise.allSettled(closing);
  }

  #reader(): Consumer {
    this.#consumer ??= new Consumer({ ...this.#options, groupId: this.#options.clientId });
    return this.#consumer;
  }

  async #leader(topic: string): Promise<Leader> {
    const known = this.#leaders.get(topic);
    if (known !== undefined) return known;
    const metadata = await this.#reader().metadata({ topics: [topic], forceUpdate: true });
    const found = metadata.topics.get(topic);
    const node = found?.partitions[0]?.leader ?? -1;
    if (found === undefined || node < 0) throw new Error(`the topic ${topic} has no leader`);
    const leader = { node, topicId: found.id };
    this.#leaders.set(topic, leader);
    return leader;
  }
}

function optionsOf({ brokers, clientId, tls, sasl }: KafkaCluster, attempt: number) {
  const turn = attempt % brokers.length;
  return {
    clientId,
    bootstrapBrokers: [...brokers.slice(turn), ...brokers.slice(0, turn)],
    connectTimeout: KAFKA_LIMITS.connectMs,
    requestTimeout: KAFKA_LIMITS.requestMs,
    retries: 1,
    retryDelay: 50,
    // Brokers behind one address are told apart by the name that is asked for; an IP address is none.
    ...(tls !== undefined && { tls, tlsServerName: tls.servername ?? !brokers.some(hasIp) }),
    ...(sasl !== undefined && { sasl }),
  };
}

function hasIp(broker: string): boolean {
  return isIP(broker.slice(0, broker.lastIndexOf(':')).replace(/^\[|\]$/g, '')) !== 0;
}

/** Kafka's own name of what was wrong, such as `OFFSET_OUT_OF_RANGE`; empty where it is something else. */
export function kafkaCode(error: unknown): string {
  if (!(error instanceof Error)) return '';
  for (const code of CODES) if (findErrorBy(error, 'apiId', code) !== null) return code;
  return '';
}

const CODES = [
  'OFFSET_OUT_OF_RANGE',
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'TOPIC_ALREADY_EXISTS',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_REPLICATION_FACTOR',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
] as const;
