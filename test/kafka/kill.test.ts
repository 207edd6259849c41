/**
 * Instances on three real brokers that are killed while they change things, over and over, and brokers that are killed
 * meanwhile: every change that was acknowledged is on the log, once and in its order, and none is invented.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kafka, startKafka } from '../../scripts/lib/kafka.ts';
import type { Entry } from '../../src/core/entries.ts';
import { until } from '../instances/fleet.ts';
import { endWriters, Writer } from '../state/writers.ts';
import { generator, SEED } from '../support/seed.ts';
import { highestOf } from './numbered.ts';
import { member, removeFolders } from './support.ts';

/** `make soak` asks for a tenth of the kills on files: a life on Kafka takes ten times as long. */
const CYCLES = Number(process.env.HEAPMESH_KAFKA_KILL_CYCLES ?? 12);
const LANES = ['lb-1', 'lb-2'];
/** Kills of all lanes between two of a broker. */
const BROKER_EACH = Math.max(6, Math.min(20, CYCLES / 2));
const TOLD_EACH = 50;

let kafka: Kafka;
before(async () => {
  kafka = await startKafka({ nodes: 3 });
});
after(async () => {
  await kafka?.stop();
  removeFolders();
});

test(`${CYCLES} times killed while writing to Kafka: nothing acknowledged is lost, doubled or invented`, {
  timeout: 120_000 + CYCLES * 10_000,
}, async () => {
  const random = generator();
  const root = await mkdtemp(join(tmpdir(), 'heapmesh-kafka-kill-'));
  const cache = join(root, 'cache');
  const writer = (id: string, seed: number): Writer =>
    new Writer('../kafka/writer.ts', [kafka.brokers.join(), id, join(root, id), String(seed)], cache);
  // One that ends by itself leaves its compiled modules to all that are killed.
  await writer('unused', 0).end();

  const watcher = await member('watcher', { brokers: kafka.brokers });
  const entries: Entry[] = [];
  watcher.log.follow(watcher.log.last, entry => entries.push(entry));
  const acknowledged = new Map(LANES.map(id => [id, 0]));
  let [kills, brokers, over] = [0, 0, false];

  const lane = async (id: string): Promise<void> => {
    let known = 0;
    let next = writer(id, 1);
    for (let cycle = 0; cycle < CYCLES / LANES.length; cycle++) {
      const now = next;
      now.begin();
      const found = await now.line();
      const where = `seed ${SEED}, ${id}, cycle ${cycle}: ${found} ${now.errors}`;
      const [, n] = /^found (\d+)$/.exec(found ?? '') ?? assert.fail(where);
      assert.ok(Number(n) >= known, `${where}, but ${known} were acknowledged`);
      known = Number(n);
      next = writer(id, cycle + 2);
      const stopAt = known + Math.floor(random() * 40);
      const hear = (line: string | undefined): void => {
        assert.match(line ?? '', /^\d+$/, `${where} ${now.errors}`);
        known = Math.max(known, Number(line));
      };
      while (known < stopAt) hear(await now.line());
      await sleep(random() * 30);
      for (const line of await now.kill()) hear(line);
      acknowledged.set(id, known);
      kills++;
      if (kills % TOLD_EACH === 0) {
        const all = [...acknowledged.values()].reduce((sum, each) => sum + each, 0);
        console.log(`# ${kills} kills, ${brokers} of a broker, ${all} acknowledged changes, none lost`);
      }
    }
    await next.kill();
  };
  const breaking = async (): Promise<void> => {
    for (let at = BROKER_EACH; !over; at += BROKER_EACH) {
      while (!over && kills < at) await sleep(100);
      if (over) return;
      const node = kafka.nodes[Math.floor(random() * kafka.nodes.length)];
      await node?.kill();
      brokers++;
      await sleep(2_000);
      await node?.start();
    }
  };
  try {
    const broken = breaking();
    await Promise.all(LANES.map(lane)).finally(() => {
      over = true;
    });
    await broken;
    // Another life of each says what its last one left behind.
    for (const id of LANES) {
      const last = writer(id, 0);
      last.begin();
      const n = Number(/^found (\d+)$/.exec((await last.line()) ?? '')?.[1] ?? assert.fail(last.errors));
      await last.kill();
      assert.ok(n >= (acknowledged.get(id) ?? 0));
    }
    const fresh = await member('fresh', { brokers: kafka.brokers });
    await until('the watcher has read all', () => watcher.registry.position >= fresh.registry.position);
    for (const id of LANES) {
      const all = highestOf(fresh.registry, id);
      assert.ok(
        all >= (acknowledged.get(id) ?? 0),
        `${id}: ${all} on the log, ${acknowledged.get(id)} acknowledged`,
      );
      const numbers = entries
        .filter(({ proposal }) => proposal.origin === id && proposal.cause.startsWith('change '))
        .map(({ proposal }) => Number(proposal.cause.slice(7)));
      assert.deepEqual(
        numbers.slice(0, all),
        Array.from({ length: all }, (_, i) => i + 1),
        `${id}: each once, in its order`,
      );
    }
    await fresh.close();
  } finally {
    over = true;
    endWriters();
    await watcher.close();
    await rm(root, { recursive: true, force: true });
  }
  const all = [...acknowledged.values()].reduce((sum, each) => sum + each, 0);
  console.log(`# ${kills} kills on Kafka, ${brokers} of a broker, ${all} acknowledged changes, none lost`);
});
