/** 10,000 servers in the log of a real broker: what a new instance has when it is ready, and what steady ones write. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Kafka, startKafka } from '../../scripts/lib/kafka.ts';
import type { NotedLoad } from '../../src/core/load-note.ts';
import { Message } from '../../src/state/codec.ts';
import { Session } from '../../src/state/kafka/session.ts';
import { decodeLoads } from '../../src/state/load-codec.ts';
import { server } from '../core/registry-support.ts';
import { Ending, startInstance, until } from '../instances/fleet.ts';
import { folder, member, removeFolders } from './support.ts';

const SERVERS = 10_000;
const ending = new Ending();
let kafka: Kafka;
before(async () => {
  kafka = await startKafka();
});
after(async () => {
  await ending.all();
  await kafka?.stop();
  removeFolders();
});

const ids = Array.from({ length: SERVERS }, (_, i) => `server-${i}.pod.example`);

function loadOf(id: string, i: number): NotedLoad {
  return {
    id,
    ageMs: 500,
    intervalMs: 1_000,
    inFlight: i % 7,
    utilization: 0.5,
    capacity: 100,
    others: 1,
    failure: 0,
  };
}

test('a new instance begins with all of them; steady ones hardly write', { timeout: 240_000 }, async t => {
  const { brokers } = kafka;
  const seed = ending.add(await member('seed', { brokers }), one => one.close());
  const figures = () => seed.log.status().figures;
  // Not by their streams: whoever does not report within half a minute is ejected then.
  const claim = (id: string) => ({ kind: 'claim', source: 'operator', spec: server(id) }) as const;
  const observed = { phase: 'active', healthy: true } as const;
  for (const id of ids.slice(1)) seed.registry.propose(claim(id), 'registered');
  await until('all but one are in the log', () => seed.log.status().pending === 0);
  // The one that makes a snapshot due is read when everything is written: it is written all the same.
  seed.registry.propose(claim(ids[0] as string), 'registered');
  // Where it stands is known when its mark is read.
  await until('a snapshot is written', () => (figures().snapshotPosition ?? 0) > 0);
  assert.equal(figures().snapshotsWritten, 1);
  assert.equal(figures().snapshotPosition, SERVERS);
  for (const id of ids) seed.registry.propose({ kind: 'observe', id, observation: observed }, 'warm');
  seed.log.noteLoads({ origin: 'seed', epoch: 1, time: Date.now(), rows: ids.map(loadOf).sort(byId) });
  await until('all of it is in the log', () => seed.log.status().pending === 0);
  await seed.close();

  const start = async (i: number) => {
    const state = `state: { log: kafka, brokers: [${brokers.join(', ')}], directory: ${folder()} }`;
    const config = `instance: { id: lb-${i} }\n${state}\nhealth: { check: none }\n`;
    const began = performance.now();
    const instance = ending.add(await startInstance(`lb-${i}`, config), one => one.stop());
    const ms = performance.now() - began;
    return { instance, ms, cpu: cpuSeconds(instance.served.child.pid ?? 0) };
  };
  const first = await start(1);
  const { detail } = await first.instance.ready();
  assert.equal(detail.servers, SERVERS, 'ready with all of them');
  const log = detail.log as Record<string, number>;
  assert.ok((log.snapshotPosition ?? 0) > 0, 'from a snapshot');
  t.diagnostic(
    `ready with ${SERVERS} servers ${first.ms.toFixed(0)} ms after its start from the sources, ${first.cpu.toFixed(2)} s of CPU`,
  );

  const others = await Promise.all([start(2), start(3)]);
  const session = new Session({ brokers, clientId: 'test' }, 0);
  const end = async () => (await session.bounds('heapmesh.log')).end;
  let read = await end();
  /** Reads on until each instance has noted its load once more. */
  const eachNotes = async (what: string) => {
    const silent = new Set(['lb-1', 'lb-2', 'lb-3']);
    await until(what, async () => {
      const { records, next } = await session.fetch('heapmesh.log', read, 500);
      read = next;
      for (const { value } of records) {
        if (value[0] === Message.LOADS) silent.delete(decodeLoads(value).origin);
      }
      return silent.size === 0;
    });
  };
  // What a start has to say is said before the first note.
  await eachNotes('all three have noted their load');
  const from = read;
  const began = performance.now();
  await eachNotes('all three have noted it again');
  const seconds = (performance.now() - began) / 1_000;
  const records = read - from;
  await session.close();
  t.diagnostic(
    `${records} records in ${seconds.toFixed(1)} s of three instances with ${SERVERS} steady servers`,
  );
  assert.ok(records <= 3 + 10 * seconds, `${records} records`);
  // At once, since each takes its time to end.
  await Promise.all([first, ...others].map(({ instance }) => instance.stop()));
});

function byId(a: NotedLoad, b: NotedLoad): number {
  return a.id < b.id ? -1 : 1;
}

/** Of a process so far, as Linux counts it; NaN elsewhere. */
function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    // Ticks of 10 ms.
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return Number.NaN;
  }
}
