/** The log on one real broker: one list for all, whose order settles conflicts; what is told to whom. */
import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Kafka, startKafka } from '../../scripts/lib/kafka.ts';
import { command } from '../cli/process.ts';
import { claim, server } from '../core/registry-support.ts';
import { until } from '../instances/fleet.ts';
import { folder, member, removeFolders } from './support.ts';

let kafka: Kafka;
before(async () => {
  kafka = await startKafka();
});
after(async () => {
  await kafka?.stop();
  removeFolders();
});

test('instances that share a log come to the same facts, and who loses a conflict is told', async () => {
  const { brokers } = kafka;
  const [a, b] = await Promise.all([member('lb-1', { brokers }), member('lb-2', { brokers })]);
  assert.match(a.notes.join(), /has 1 broker\(s\)/, 'one broker is complained about');
  const settled = await a.registry.propose(claim('x'), 'registered');
  assert.equal(settled.applied, true);
  assert.ok(settled.position > 0);
  await until('the other one has it', () => b.registry.get('x') !== undefined);

  // Both claim an id from different addresses: the first in the log's order has it.
  const at = (address: string) =>
    ({ kind: 'claim', source: 'stream', spec: server('y', { address }) }) as const;
  const both = await Promise.all([
    a.registry.propose(at('h1:1'), 'one', [{ kind: 'address', id: 'y', address: 'h1:1' }]),
    b.registry.propose(at('h2:2'), 'two', [{ kind: 'address', id: 'y', address: 'h2:2' }]),
  ]);
  assert.deepEqual(both.map(one => one.applied).sort(), [false, true]);
  const loser = both.find(one => !one.applied);
  assert.match(loser?.why ?? '', /y is claimed at h\d:\d by stream on lb-\d/);

  // A failure that both see activates one standby.
  await a.registry.propose(claim('s1', { standby: true }), 'a standby');
  await a.registry.propose(claim('s2', { standby: true }), 'a standby');
  await until('the standbys are known', () => b.registry.get('s2') !== undefined);
  const answers = await Promise.all(
    [a, b].map((one, i) =>
      one.registry.propose({ kind: 'activate', id: `s${i + 1}`, failure: 'x died' }, 'x died', [
        { kind: 'unanswered', failure: 'x died' },
      ]),
    ),
  );
  assert.equal(answers.filter(one => one.applied).length, 1);
  const last = Math.max(...answers.map(one => one.position));
  await until('both have read all', () => a.registry.position >= last && b.registry.position >= last);
  assert.equal(a.registry.digest(), b.registry.digest());
  assert.equal(a.log.status().state, 'healthy');

  const file = join(folder(), 'heapmesh.yaml');
  writeFileSync(file, `state: { log: kafka, brokers: [${brokers.join(', ')}] }`);
  const dumped = await command(['log', 'dump', '--config', file]);
  assert.equal(dumped.code, 0, dumped.stderr);
  const lines = dumped.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.equal(lines.at(-1).position, last);
  assert.deepEqual(lines[0].body, claim('x'));
  await Promise.all([a.close(), b.close()]);
});

test('a later life begins with what was; an earlier one that still writes does not count', async () => {
  const options = { brokers: kafka.brokers, topic: 'lives' };
  const first = await member('lb-1', options);
  await first.registry.propose(claim('x'), 'registered');
  const second = await member('lb-1', options);
  assert.equal(second.epoch, first.epoch + 1);
  assert.equal(second.registry.get('x')?.state, 'WARMING', 'it has what was');
  await second.registry.propose(claim('y'), 'registered');
  await until('the first one knows', () => first.log.status().state === 'read-only');
  assert.match(first.log.status().why, /another process runs as lb-1/);
  const late = first.registry.propose({ kind: 'remove', id: 'x' }, 'a zombie');
  late.catch(() => {});
  assert.equal(first.registry.get('x'), undefined, 'in its own view it is so');
  await first.close();
  await second.registry.propose(claim('z'), 'registered');
  assert.notEqual(second.registry.get('x'), undefined);

  // Also where it does not know yet that it is over.
  const zombie = await member('lb-3', { ...options, epoch: 5 });
  await zombie.registry.propose(claim('a'), 'registered');
  const heir = await member('lb-3', { ...options, epoch: 6 });
  const race = Promise.allSettled([
    heir.registry.propose(claim('b'), 'registered'),
    zombie.registry.propose({ kind: 'remove', id: 'a' }, 'too late, or just in time'),
  ]);
  await until(
    'the heir has written',
    () => heir.registry.get('b') !== undefined && heir.log.status().pending === 0,
  );
  zombie.registry.propose({ kind: 'remove', id: 'b' }, 'too late').catch(() => {});
  await second.registry.propose(claim('c'), 'registered');
  assert.notEqual(second.registry.get('b'), undefined);
  await Promise.all([zombie.close(), heir.close(), second.close()]);
  void race;
});

test('no cluster: changes hold, wait in a file, and are appended once by the next life', {
  timeout: 240_000,
}, async () => {
  const { brokers } = kafka;
  const a = await member('lb-4', { brokers, topic: 'away' });
  await a.registry.propose(claim('before'), 'registered');
  const notes: string[] = [];
  a.log.onStatus(({ state, why }) => notes.push(`${state} ${why}`));
  await Promise.all(kafka.nodes.map(node => node.kill()));
  const waiting = ['x', 'y', 'z'].map(id => a.registry.propose(claim(id), 'registered'));
  for (const id of ['x', 'y', 'z']) assert.equal(a.registry.get(id)?.state, 'WARMING', 'in force at once');
  await until('it says so', () => a.log.status().state === 'behind');
  await until('they are in the file', () => a.log.status().figures.inFile === 3);
  assert.match(a.log.status().why, /does not answer.*3 changes wait in the local file/);

  // What a crash leaves behind.
  const left = folder();
  cpSync(a.folder, left, { recursive: true });
  const early = await member('lb-5', { brokers, topic: 'away', openMs: 300 });
  assert.equal(early.log.status().state, 'behind', 'one that begins without the cluster');
  early.registry.propose(claim('early'), 'registered').catch(() => {});
  assert.notEqual(early.registry.get('early'), undefined);

  await Promise.all(kafka.nodes.map(node => node.start()));
  await Promise.all(waiting);
  assert.equal(a.log.status().figures.copies, 0);
  await until('the file is empty', () => a.log.status().figures.inFile === 0);
  await until(
    'it catches up',
    () => early.registry.get('before') !== undefined && early.log.status().pending === 0,
  );
  await until('the others have it', () => a.registry.get('early') !== undefined);
  assert.equal(early.registry.digest(), a.registry.digest());
  assert.match(notes.join('\n'), /^behind .*\nhealthy/s);

  // The life after the crash sends what the file holds; it is there already, and counts once.
  await a.close();
  const next = await member('lb-4', { brokers, topic: 'away', directory: left });
  assert.equal(next.epoch, a.epoch + 1);
  await until(
    'it has nothing to say',
    () => next.log.status().pending === 0 && next.log.status().figures.inFile === 0,
  );
  await next.registry.propose({ kind: 'weight', id: 'x', weight: 2 }, 'by the next life');
  await until('all is read', () => early.registry.position === next.registry.position);
  assert.equal(early.registry.digest(), next.registry.digest());
  await Promise.all([early.close(), next.close()]);
});
