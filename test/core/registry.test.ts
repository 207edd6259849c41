import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerState } from '../../src/core/core.ts';
import type { Body, Precondition, Proposal } from '../../src/core/entries.ts';
import { byId, claim, done, foreign, Held, server, sorted, viewsFromNothing } from './registry-support.ts';

test('the strongest claim is in force, the newest among equals, and the operator’s weight above all', async () => {
  const entries: Held['entries'] = [];
  const one = new Held('lb-1', entries);
  const two = new Held('lb-2', entries);
  const zone = () => one.registry.get('a')?.spec.zone;
  const say = async (
    held: Held,
    source: 'dns' | 'config' | 'command' | 'stream' | 'operator',
    named: string,
  ) => {
    await done(held, { kind: 'claim', source, spec: server('a', { zone: named }) });
    one.takeIn();
    two.takeIn();
  };
  await say(one, 'config', 'config-1');
  await say(one, 'dns', 'dns');
  assert.equal(zone(), 'config-1');
  await say(two, 'config', 'config-2');
  assert.equal(zone(), 'config-2');
  await say(one, 'config', 'config-1 anew');
  assert.equal(zone(), 'config-1 anew');
  await say(one, 'stream', 'stream');
  await say(one, 'command', 'command');
  assert.equal(zone(), 'stream');
  await say(two, 'operator', 'by two');
  await say(one, 'operator', 'by one');
  assert.equal(zone(), 'by one');
  assert.deepEqual(one.registry.get('a')?.sources, ['operator', 'stream', 'command', 'config', 'dns']);

  await done(one, { kind: 'weight', id: 'a', weight: 7 });
  await done(two, { kind: 'unclaim', source: 'operator', id: 'a', how: 'left' });
  one.takeIn();
  assert.equal(zone(), 'stream', 'operators share one claim, so that either takes it back');
  assert.equal(one.registry.get('a')?.spec.weight, 7);
  assert.equal(one.registry.get('a')?.weightOverridden, true);
  await done(one, { kind: 'weight', id: 'a', weight: 0 });
  assert.equal(one.registry.get('a')?.spec.weight, 1);
});

test('a set replaces what the source claimed from this origin, and nothing else', async () => {
  const entries: Held['entries'] = [];
  const one = new Held('lb-1', entries);
  const two = new Held('lb-2', entries);
  const ids = () => [...byId(one.registry.list()).keys()].sort();
  await done(two, { kind: 'claim', source: 'config', spec: server('of two') });
  one.takeIn();
  await done(one, claim('by stream'));
  await done(one, {
    kind: 'replace',
    source: 'config',
    specs: [server('a'), server('b'), server('by stream')],
  });
  assert.deepEqual(ids(), ['a', 'b', 'by stream', 'of two']);
  await done(one, { kind: 'remove', id: 'b' });
  const settled = await done(one, { kind: 'replace', source: 'config', specs: [server('b'), server('c')] });
  assert.deepEqual(ids(), ['by stream', 'c', 'of two']);
  assert.equal(settled.applied, true);
  assert.match(
    settled.why,
    /^1 of 2 refused: b was removed by an operator at 1970-01-01T00:16:\d\d\.000Z: test$/,
  );
  await done(one, { kind: 'undrain', id: 'b' });
  assert.deepEqual(ids(), ['b', 'by stream', 'c', 'of two'], 'the claim that was there at the removal');
});

test('a drained server’s claims leave: the stream of each instance in its time, what scaling started at once', async () => {
  const entries: Held['entries'] = [];
  const one = new Held('lb-1', entries);
  const two = new Held('lb-2', entries);
  const drain = (by: 'backend' | 'scaling'): Body => ({
    kind: 'drain',
    id: 'a',
    by,
    timeoutMs: 1000,
    afterwards: 'remove',
  });
  await done(one, claim('a'));
  await done(two, claim('a'));
  await done(one, drain('backend'), 'SIGTERM');
  await done(one, { kind: 'drained', id: 'a' }, 'empty on lb-1');
  assert.equal(one.registry.get('a')?.state, 'DRAINING', 'lb-2 may have calls there still');
  assert.equal(one.registry.get('a')?.cause, 'empty on lb-1; stream still claims it');
  assert.match((await done(one, { kind: 'drained', id: 'a' })).why, /known to be empty/);
  two.takeIn();
  await done(two, { kind: 'drained', id: 'a' }, 'empty on lb-2');
  assert.equal(two.registry.get('a'), undefined);

  one.takeIn();
  await done(one, claim('a'));
  two.takeIn();
  await done(two, claim('a'));
  await done(two, { kind: 'claim', source: 'command', spec: server('a') });
  await done(two, drain('scaling'), 'too many');
  one.takeIn();
  await done(one, { kind: 'drained', id: 'a' });
  assert.equal(one.registry.get('a'), undefined, 'claims by stream and by command, of both');
});

test('an operator’s weight stays for a server that comes back', async () => {
  const held = new Held();
  await done(held, claim('a'));
  await done(held, { kind: 'weight', id: 'a', weight: 3 });
  await done(held, { kind: 'unclaim', source: 'stream', id: 'a', how: 'left' });
  assert.equal(held.registry.get('a'), undefined);
  await done(held, claim('a'));
  assert.equal(held.registry.get('a')?.spec.weight, 3);
});

test('each precondition holds or says what it found', async () => {
  const held = new Held();
  const weigh: Body = { kind: 'weight', id: 'a', weight: 2 };
  const tried = async (precondition: Precondition, body: Body = weigh) =>
    (await done(held, body, 'test', [precondition])).why;
  const version = (number: number): Precondition => ({ kind: 'version', id: 'a', version: number });

  assert.equal(await tried(version(1), claim('a')), 'there is no server a; version 1 was expected');
  assert.equal(await tried(version(0), claim('a')), '');
  assert.equal(await tried(version(0), claim('a')), 'a is already known');
  assert.equal(await tried(version(2)), 'a is at version 1, not 2');
  assert.equal(await tried(version(1)), '');
  await done(held, { kind: 'observe', id: 'a', observation: { phase: 'active', healthy: true } });
  assert.equal(
    await tried(version(2), { kind: 'weight', id: 'a', weight: 4 }),
    '',
    'observations are no versions',
  );
  await done(held, { kind: 'remove', id: 'a' });
  assert.equal(await tried(version(0), { kind: 'claim', source: 'operator', spec: server('a') }), '');

  const from = (address: string): Precondition => ({ kind: 'address', id: 'b', address });
  assert.equal(await tried(from('b.test:1'), claim('b', { address: 'b.test:1' })), '');
  assert.equal(await tried(from('b.test:1'), claim('b', { address: 'b.test:1' })), '');
  assert.equal(
    await tried(from('b.test:2'), claim('b', { address: 'b.test:2' })),
    'b is claimed at b.test:1 by stream on lb-1, not at b.test:2',
  );
  await done(held, { kind: 'unclaim', source: 'stream', id: 'b', how: 'lost' });
  assert.equal(
    await tried(from('b.test:2'), claim('b', { address: 'b.test:2' })),
    '',
    'who is lost does not count',
  );

  const standby: Precondition = { kind: 'standby', id: 's' };
  assert.equal(await tried(standby), 'there is no server s');
  await done(held, claim('s', { standby: true }));
  assert.equal(await tried(standby), '');
  await done(held, { kind: 'observe', id: 's', observation: { phase: 'warming', healthy: false } });
  assert.equal(await tried(standby), 's cannot be activated: it is not healthy for lb-1');
  await done(held, { kind: 'observe', id: 's', observation: { phase: 'warming', healthy: true } });
  const unanswered: Precondition = { kind: 'unanswered', failure: 'a is down' };
  assert.equal(await tried(unanswered), '');
  assert.equal(await tried(unanswered, { kind: 'activate', id: 's', failure: 'a is down' }), '');
  assert.equal(await tried(unanswered), 'the failure a is down was answered by s');
  assert.equal(await tried(standby), 's is no standby: it is in service already');

  const both = held.registry.propose(weigh, 'test', [version(99), unanswered]);
  held.settle();
  assert.match((await both).why, /not 99/, 'the first that does not hold is named');
});

test('several instances that answer one failure activate one standby', async () => {
  const entries: Held['entries'] = [];
  const all = [1, 2, 3].map(i => new Held(`lb-${i}`, entries));
  const [one] = all as [Held, ...Held[]];
  for (const id of ['s1', 's2', 's3']) await done(one, claim(id, { standby: true }));
  for (const held of all) held.takeIn();
  const answers = all.map((held, i) =>
    held.registry.propose({ kind: 'activate', id: `s${i + 1}`, failure: 'a failed at 12:00' }, 'a failed'),
  );
  for (const [i, held] of all.entries())
    assert.equal(held.registry.get(`s${i + 1}`)?.state, 'WARMING', 'at once');
  for (const i of [1, 0, 2]) all[i]?.order();
  for (const held of all) held.takeIn();
  assert.deepEqual(
    (await Promise.all(answers)).map(a => a.applied),
    [false, true, false],
  );
  for (const { registry } of all) {
    assert.deepEqual(
      ['s1', 's2', 's3'].map(id => registry.get(id)?.state),
      ['STANDBY', 'WARMING', 'STANDBY'],
    );
  }
});

test('what one instance ejects is advice to the others', async () => {
  const entries: Held['entries'] = [];
  const one = new Held('lb-1', entries);
  const two = new Held('lb-2', entries);
  await done(one, claim('a'));
  two.takeIn();
  await done(
    one,
    { kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: false } },
    'no answer',
  );
  const digest = two.registry.digest();
  two.takeIn();
  assert.equal(one.registry.get('a')?.state, 'EJECTED');
  assert.equal(one.registry.get('a')?.healthy, false);
  assert.equal(one.registry.get('a')?.advice, undefined);
  assert.equal(two.registry.get('a')?.state, 'WARMING');
  assert.equal(two.registry.get('a')?.healthy, true);
  const time = entries.at(-1)?.proposal.time;
  assert.deepEqual(two.registry.get('a')?.advice, [{ instanceId: 'lb-1', cause: 'no answer', time }]);
  assert.equal(two.registry.digest(), digest, 'no fact');
});

test('a proposal that the log fails is taken back, and listeners hear of it', async () => {
  const held = new Held();
  await done(held, claim('a'));
  const seen: (ServerState | undefined)[][] = [];
  held.registry.onChange((_id, before, after) => seen.push([before?.state, after?.state]));
  const drain: Body = { kind: 'drain', id: 'a', by: 'operator', timeoutMs: 0, afterwards: 'stay' };
  const failing = held.registry.propose(drain, 'operator');
  const weighing = held.registry.propose({ kind: 'weight', id: 'a', weight: 2 }, 'operator');
  held.registry.reject(2, new Error('disk full'));
  await assert.rejects(failing, /disk full/);
  assert.equal(held.registry.get('a')?.state, 'WARMING');
  assert.equal(held.registry.get('a')?.spec.weight, 2, 'others stay');
  assert.deepEqual(seen, [
    ['WARMING', 'DRAINING'],
    ['DRAINING', 'DRAINING'],
    ['DRAINING', 'WARMING'],
  ]);
  // The log had it after all: then it counts, like anyone's.
  held.settle();
  assert.equal(held.registry.get('a')?.state, 'DRAINING');
  assert.equal((await weighing).applied, true);
  held.registry.reject(2, new Error('again'));
  held.registry.reject(77, new Error('never made'));
});

test('an append that throws rejects the proposal, and the next one goes on', async () => {
  let broken = true;
  const made: Proposal[] = [];
  const held = new Held('lb-1', [], {
    append: proposal => {
      if (broken) throw new Error('no log');
      made.push(proposal);
    },
  });
  await assert.rejects(held.registry.propose(claim('a'), 'test'), /no log/);
  assert.equal(held.registry.get('a'), undefined);
  assert.equal(held.registry.pending, 0);
  broken = false;
  held.registry.propose(claim('a'), 'test');
  assert.equal(made[0]?.n, 2);
  assert.equal(held.registry.get('a')?.state, 'WARMING');
});

test('a proposal that waits takes in what a foreign entry before it makes possible', () => {
  // Refused at first, the claim shares no server with the set behind it; once it holds, the set ends it.
  const held = new Held('lb-1');
  held.entries.push({
    position: 1,
    proposal: foreign({ kind: 'claim', source: 'dns', spec: server('x') }, 1),
  });
  held.entries.push({ position: 2, proposal: foreign({ kind: 'remove', id: 'x' }, 2) });
  held.takeIn();
  held.registry.propose({ kind: 'claim', source: 'config', spec: server('x') }, 'config');
  held.registry.propose({ kind: 'replace', source: 'config', specs: [] }, 'config');
  assert.equal(held.registry.get('x'), undefined);
  held.entries.push({ position: 3, proposal: foreign({ kind: 'undrain', id: 'x' }, 3) });
  held.takeIn();
  assert.deepEqual(held.registry.get('x')?.sources, ['dns']);
  const waiting = viewsFromNothing('lb-1', held.entries, held.waiting);
  assert.deepEqual(sorted(byId(held.registry.list())), sorted(waiting));
});

test('entries of an earlier life of the instance are not its own', () => {
  const held = new Held('lb-1');
  held.registry.propose(claim('a'), 'mine');
  const old: Proposal = { origin: 'lb-1', epoch: 0, n: 1, time: 1, cause: 'old', body: claim('b') };
  held.registry.ingest({ position: 1, proposal: old });
  assert.equal(held.registry.pending, 1);
  assert.deepEqual([...byId(held.registry.list()).keys()].sort(), ['a', 'b']);
});

test('an entry that was taken in before is ignored', async () => {
  const held = new Held();
  await done(held, claim('a'));
  await done(held, { kind: 'weight', id: 'a', weight: 2 });
  const before = held.registry.get('a');
  for (const entry of held.entries) held.registry.ingest(entry);
  assert.deepEqual(held.registry.get('a'), before);
  assert.equal(held.registry.position, 2);
});

test('ids that JavaScript has names for are ids like others', async () => {
  const held = new Held();
  for (const id of ['__proto__', 'constructor', 'toString', '']) {
    await done(held, claim(id, { labels: { ['__proto__']: 'x', constructor: 'y' } }));
    assert.equal(held.registry.get(id)?.state, 'WARMING');
  }
  assert.equal([...held.registry.list()].length, 4);
});
