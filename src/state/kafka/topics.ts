/** The two topics of a log: made with the settings that it needs, or looked at for what is wrong with theirs. */
import type { Admin } from '@platformatic/kafka';
import { KAFKA_LIMITS } from '../../core/limits.ts';
import { reasonOf } from './reasons.ts';
import { kafkaCode, type Session } from './session.ts';

export interface Topics {
  /** Every entry, and notes of load; never compacted. */
  readonly log: string;
  /** The last snapshot under one key. */
  readonly snapshots: string;
}

export function topicsOf(log: string): Topics {
  return { log, snapshots: `${log}.snapshots` };
}

export interface Checked {
  readonly brokers: number;
  /** Without these no log can be kept. */
  readonly faults: readonly string[];
  /** With these it is less than it could be. */
  readonly complaints: readonly string[];
}

/** Of ConfigResource in Kafka's protocol. */
const TOPIC = 2;

type Settings = Readonly<Record<string, string>>;

function logSettings(least: number): Settings {
  return {
    'cleanup.policy': 'delete',
    // Only what a snapshot holds is ever deleted, and by an instance.
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'min.insync.replicas': String(least),
    'unclean.leader.election.enable': 'false',
    'max.message.bytes': String(KAFKA_LIMITS.recordBytes),
  };
}

function snapshotSettings(least: number): Settings {
  return {
    'cleanup.policy': 'compact',
    'min.insync.replicas': String(least),
    'unclean.leader.election.enable': 'false',
    'max.message.bytes': String(KAFKA_LIMITS.snapshotBytes),
  };
}

export async function ensureTopics(session: Session, topics: Topics): Promise<Checked> {
  const { admin } = session;
  const { brokers } = await admin.metadata({ topics: [], forceUpdate: true });
  const replicas = Math.min(KAFKA_LIMITS.replicas, brokers.size);
  const least = replicas >= KAFKA_LIMITS.replicas ? KAFKA_LIMITS.leastReplicas : 1;
  const complaints: string[] = [];
  const faults: string[] = [];
  const there = new Set(await admin.listTopics());
  for (const [topic, settings] of [
    [topics.log, logSettings(least)],
    [topics.snapshots, snapshotSettings(least)],
  ] as const) {
    if (there.has(topic) || !(await make(admin, topic, replicas, settings))) {
      const found = await look(admin, topic, settings, Math.min(KAFKA_LIMITS.replicas, brokers.size));
      faults.push(...found.faults);
      complaints.push(...found.complaints);
    }
  }
  if (replicas < KAFKA_LIMITS.replicas) {
    complaints.push(
      `the cluster has ${brokers.size} broker(s): with fewer than ${KAFKA_LIMITS.replicas} the loss of one can lose the log`,
    );
  }
  return { brokers: brokers.size, faults, complaints };
}

/** False: somebody else has made it meanwhile. */
async function make(admin: Admin, topic: string, replicas: number, settings: Settings): Promise<boolean> {
  const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
  try {
    await admin.createTopics({ topics: [topic], partitions: 1, replicas, configs });
    return true;
  } catch (error) {
    if (kafkaCode(error) === 'TOPIC_ALREADY_EXISTS') return false;
    throw new Error(`the topic ${topic} is not there and cannot be made: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

async function look(admin: Admin, topic: string, wanted: Settings, replicas: number) {
  const faults: string[] = [];
  const complaints: string[] = [];
  const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
  const partitions = metadata.topics.get(topic)?.partitions ?? [];
  if (partitions.length !== 1) {
    faults.push(`the topic ${topic} has ${partitions.length} partitions; a log is one list: make it with 1`);
  }
  const copies = partitions[0]?.replicas.length ?? 0;
  if (copies < replicas)
    complaints.push(`the topic ${topic} has ${copies} replica(s); make it with ${replicas}`);
  let found: Map<string, string>;
  try {
    found = await settingsOf(admin, topic, Object.keys(wanted));
  } catch (error) {
    complaints.push(`the settings of the topic ${topic} cannot be read: ${reasonOf(error)}`);
    return { faults, complaints };
  }
  for (const [name, value] of Object.entries(wanted)) {
    const actual = found.get(name);
    if (actual === undefined || serves(name, actual, value)) continue;
    const says = `the topic ${topic} has ${name}=${actual}; set it to ${value}`;
    if (name === 'cleanup.policy') faults.push(says);
    else complaints.push(says);
  }
  return { faults, complaints };
}

async function settingsOf(admin: Admin, topic: string, names: string[]): Promise<Map<string, string>> {
  const [answer] = await admin.describeConfigs({
    resources: [{ resourceType: TOPIC, resourceName: topic, configurationKeys: names }],
    includeSynonyms: false,
    includeDocumentation: false,
  });
  return new Map(answer?.configs.map(({ name, value }) => [name, value ?? '']) ?? []);
}

/** Whether a setting does at least what it should. */
function serves(name: string, actual: string, wanted: string): boolean {
  if (name === 'min.insync.replicas' || name === 'max.message.bytes') return Number(actual) >= Number(wanted);
  return actual === wanted;
}
