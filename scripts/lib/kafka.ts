/**
 * Real Kafka brokers for tests, benchmarks and the run with several instances: nodes in KRaft mode, each
 * broker and controller at once, on free ports, their data in a temporary folder that goes with them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolPath } from '../tools/install.ts';

export interface KafkaOptions {
  /** 1, or 3 where replication is the point. Default 1. */
  readonly nodes?: number;
  /** By node, the address that it listens on; 127.0.0.1 by default. */
  readonly hosts?: readonly string[];
  /** By node, what goes before the broker's command, such as `ip netns exec NAME`. */
  readonly within?: readonly (readonly string[])[];
  /** Further lines of every node's server.properties. */
  readonly properties?: readonly string[];
  /** Further listeners of the only node by their names in capitals, and their schemes: `SSL`, `SASL_SSL`. */
  readonly listeners?: Readonly<Record<string, string>>;
}

export interface KafkaNode {
  /** 1, 2, 3. */
  readonly id: number;
  /** `host:port` for clients. */
  readonly address: string;
  readonly pid: number;
  /** What it wrote, the last 64 KiB. */
  printed(): string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again, on its ports and its data; resolves when it takes connections. */
  start(): Promise<void>;
  /** It does nothing any more, and its connections stand. */
  freeze(): void;
  thaw(): void;
}

export interface Kafka {
  /** `host:port` of each broker. */
  readonly brokers: readonly string[];
  readonly nodes: readonly KafkaNode[];
  /** By name, `host:port` of the further listeners. */
  readonly listeners: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 120_000;
const PRINTED_KEPT = 64 * 1024;

/** What starts fast and stays small: no server here lives long enough for an optimising compiler. */
const JVM = ['-Xms64m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a cluster; resolves when every broker takes connections and knows of a leader. */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const count = options.nodes ?? 1;
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-kafka-'));
  const ids = Array.from({ length: count }, (_, i) => i + 1);
  const hosts = ids.map(id => options.hosts?.[id - 1] ?? '127.0.0.1');
  const further = Object.entries(options.listeners ?? {});
  const ports = await freePorts(2 * count + further.length, options.hosts === undefined);
  const addresses = further.map(([name], i) => [name, `${hosts[0]}:${ports[2 * count + i]}`] as const);
  const listens = addresses.map(([name, address]) => `,${name}://${address}`).join('');
  const schemes = further.map(([name, scheme]) => `,${name}:${scheme}`).join('');
  const clusterId = uuid();
  const voters = ids.map((id, i) => `${id}@${hosts[i]}:${ports[2 * i + 1]}`).join(',');
  const nodes: Node[] = [];
  try {
    for (const [i, id] of ids.entries()) {
      const data = join(folder, `node-${id}`);
      mkdirSync(data);
      const [host, port] = [hosts[i] as string, ports[2 * i] as number];
      writeFileSync(
        join(data, 'meta.properties'),
        `version=1\ncluster.id=${clusterId}\nnode.id=${id}\ndirectory.id=${uuid()}\n`,
      );
      const file = join(folder, `node-${id}.properties`);
      const listeners = `CLIENTS://${host}:${port},CONTROLLER://${host}:${ports[2 * i + 1]}${listens}`;
      writeFileSync(
        file,
        [
          'process.roles=broker,controller',
          `node.id=${id}`,
          `listeners=${listeners}`,
          `advertised.listeners=CLIENTS://${host}:${port}${listens}`,
          `listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT${schemes}`,
          'controller.listener.names=CONTROLLER',
          'inter.broker.listener.name=CLIENTS',
          `controller.quorum.voters=${voters}`,
          `log.dirs=${data}`,
          ...settings(count),
          ...(options.properties ?? []),
        ].join('\n'),
      );
      nodes.push(new Node(id, host, port, file, options.within?.[i] ?? []));
    }
    await Promise.all(nodes.map(node => node.start()));
  } catch (error) {
    await Promise.all(nodes.map(node => node.kill()));
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    nodes,
    brokers: nodes.map(node => node.address),
    listeners: Object.fromEntries(addresses),
    async stop() {
      await Promise.all(nodes.map(node => node.kill()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Takes note of a dead or a slow peer within seconds rather than half a minute, and needs little memory. */
function settings(count: number): string[] {
  const replicas = Math.min(3, count);
  return [
    'auto.create.topics.enable=false',
    `default.replication.factor=${replicas}`,
    `offsets.topic.replication.factor=${replicas}`,
    `transaction.state.log.replication.factor=${replicas}`,
    'transaction.state.log.min.isr=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.num.partitions=1',
    'group.initial.rebalance.delay.ms=0',
    'num.network.threads=1',
    'num.io.threads=2',
    'num.recovery.threads.per.data.dir=1',
    'background.threads=1',
    'log.cleaner.dedupe.buffer.size=2097152',
    'broker.heartbeat.interval.ms=500',
    'broker.session.timeout.ms=3000',
    'controller.quorum.election.timeout.ms=1000',
    'controller.quorum.fetch.timeout.ms=2000',
    'replica.lag.time.max.ms=3000',
    'replica.fetch.wait.max.ms=200',
    'leader.imbalance.check.interval.seconds=5',
  ];
}

class Node implements KafkaNode {
  readonly id: number;
  readonly address: string;
  readonly #host: string;
  readonly #port: number;
  readonly #file: string;
  readonly #within: readonly string[];
  #child: ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  #printed = '';

  constructor(id: number, host: string, port: number, file: string, within: readonly string[]) {
    this.id = id;
    this.#host = host;
    this.#port = port;
    this.address = `${host}:${port}`;
    this.#file = file;
    this.#within = within;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  printed(): string {
    return this.#printed;
  }

  async start(): Promise<void> {
    const log = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dlog4j2.level=ERROR'];
    const java = ['java', ...JVM, ...log, '-cp', join(toolPath('kafka'), '*'), 'kafka.Kafka', this.#file];
    const [program, ...args] = [...this.#within, ...java] as [string, ...string[]];
    // `ip netns exec` replaces itself by the program, so the pid is the broker's.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#printed = (this.#printed + text).slice(-PRINTED_KEPT);
      });
    }
    let over = false;
    this.#ended = once(child, 'exit').then(() => {
      over = true;
      running.delete(child);
    });
    for (const start = Date.now(); ; await sleep(50)) {
      if (over) throw new Error(`the Kafka node ${this.id} ended:\n${this.#printed}`);
      if (await this.#accepts()) return;
      if (Date.now() - start > READY_WITHIN_MS) {
        await this.kill();
        throw new Error(`the Kafka node ${this.id} does not listen on ${this.address}:\n${this.#printed}`);
      }
    }
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
    this.#child = undefined;
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async #accepts(): Promise<boolean> {
    // Another namespace's port cannot be tried from here; what starts there is waited for by its clients.
    if (this.#within.length > 0) return this.#child?.pid !== undefined;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect(this.#port, this.#host);
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    return promise.finally(() => socket.destroy());
  }
}

/** As Kafka writes one: 16 octets in base64 for URLs. One that begins with a dash is taken for an option. */
function uuid(): string {
  for (;;) {
    const text = randomBytes(16).toString('base64url');
    if (!text.startsWith('-')) return text;
  }
}

/** Ports below the range from which the kernel takes those of outgoing connections. */
async function freePorts(count: number, probe: boolean): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (ports.has(port) || (probe && !(await isFree(port)))) continue;
    ports.add(port);
  }
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
