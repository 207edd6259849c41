/** What others hear of the registry: changes, events, the digest; and what it says of entries that it does not know. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Body, Precondition } from '../../src/core/entries.ts';
import type { RegistryEvent } from '../../src/core/registry.ts';
import { claim, done, foreign, Held, server } from './registry-support.ts';

test('an entry of an unknown kind is kept as a no-op, and counted by whether it may be skipped', async () => {
  const held = new Held();
  const unknown = (maySkip: boolean): Body => ({ kind: 'unknown', name: 'shard', maySkip, raw: 1 });
  const digest = held.registry.digest();
  const events: RegistryEvent[] = [];
  held.registry.onEvent(event => events.push(event));
  assert.deepEqual(await done(held, unknown(true)), {
    position: 1,
    applied: false,
    why: "this version does not know the kind 'shard'; it may be skipped",
  });
  assert.deepEqual([held.registry.skipped, held.registry.notUnderstood], [1, 0]);
  assert.equal((await done(held, unknown(false))).applied, false);
  assert.deepEqual([held.registry.skipped, held.registry.notUnderstood], [1, 1]);
  const later = { kind: 'quorum', of: 3 } as unknown as Precondition;
  assert.equal((await done(held, claim('a'), 'test', [later])).applied, false);
  assert.equal((await done(held, { kind: 'split' } as unknown as Body)).applied, false);
  assert.deepEqual([held.registry.skipped, held.registry.notUnderstood], [1, 3]);
  assert.equal(held.registry.digest(), digest);
  assert.deepEqual(
    events.map(e => [e.kind, e.serverId]),
    [
      ['refused', ''],
      ['refused', ''],
      ['refused', 'a'],
      ['refused', ''],
    ],
  );
});

test('listeners that throw hinder nothing, and those that propose are heard in order', async () => {
  const errors: unknown[] = [];
  const held = new Held('lb-1', [], { onError: error => errors.push(error) });
  const heard: string[] = [];
  held.registry.onChange(() => {
    throw new Error('mine');
  });
  held.registry.onChange((id, _before, after) => {
    if (after?.state === 'WARMING') {
      held.registry.propose(
        { kind: 'observe', id, observation: { phase: 'active', healthy: true } },
        'quick',
      );
    }
  });
  held.registry.onChange((id, before, after) => heard.push(`${id} ${before?.state} ${after?.state}`));
  held.registry.onEvent(() => {
    throw new Error('mine too');
  });
  const end = held.registry.onEvent(event => heard.push(`event ${event.kind} ${event.state}`));
  held.registry.propose(claim('a'), 'test');
  assert.deepEqual(heard, ['a undefined WARMING', 'a WARMING ACTIVE']);
  assert.deepEqual(
    held.waiting.map(p => p.n),
    [1, 2],
  );
  held.settle();
  assert.deepEqual(heard.slice(2), ['event registered WARMING', 'event state_changed ACTIVE']);
  assert.deepEqual(
    errors.map(e => (e as Error).message),
    ['mine', 'mine', 'mine too', 'mine too'],
  );
  end();
  await done(held, { kind: 'remove', id: 'a' });
  assert.equal(heard.length, 5, 'the change, and no event');

  const silent = new Held('lb-1', [], {
    onError: () => {
      throw new Error('worse');
    },
  });
  silent.registry.onChange(() => {
    throw new Error('bad');
  });
  silent.registry.propose(claim('a'), 'test');
  assert.equal(silent.registry.get('a')?.state, 'WARMING');
});

test('events tell what changed, with cause, time, origin and the services before and after', async () => {
  const held = new Held();
  const kinds = async (body: Body, cause: string) => {
    await done(held, body, cause);
    const events = held.registry.eventsAfter(held.registry.position - 1) ?? [];
    return events.map(e => `${e.kind} ${e.state ?? '-'}: ${e.cause}`);
  };
  assert.deepEqual(await kinds(claim('a'), 'registered'), ['registered WARMING: registered']);
  assert.deepEqual(await kinds(claim('a'), 'again'), []);
  assert.deepEqual(await kinds(claim('a', { zone: 'z', weight: 2 }), 'moved'), [
    'weight_changed WARMING: moved',
    'changed WARMING: moved',
  ]);
  assert.deepEqual(await kinds(claim('a', { zone: 'z', weight: 2, services: ['other.v1.S'] }), 'serves'), [
    'changed WARMING: serves',
  ]);
  const [last] = (held.registry.eventsAfter(3) ?? []).slice(-1);
  assert.deepEqual(last, {
    position: 4,
    instanceId: 'lb-1',
    time: held.entries[3]?.proposal.time,
    serverId: 'a',
    kind: 'changed',
    state: 'WARMING',
    cause: 'serves',
    services: ['other.v1.S', 'echo.v1.EchoService'],
  });
  assert.deepEqual(await kinds({ kind: 'weight', id: 'a', weight: 5 }, 'op'), ['weight_changed WARMING: op']);
  const drain: Body = { kind: 'drain', id: 'a', by: 'operator', timeoutMs: 0, afterwards: 'stay' };
  assert.deepEqual(await kinds(drain, 'upgrade'), ['state_changed DRAINING: upgrade']);
  assert.deepEqual(await kinds({ kind: 'drained', id: 'a' }, 'it is empty'), [
    'changed DRAINING: it is empty',
  ]);
  assert.deepEqual(await kinds({ kind: 'drained', id: 'a' }, 'again'), [
    'refused DRAINING: a is known to be empty',
  ]);
  assert.equal(held.registry.get('a')?.drain?.empty, true);
  assert.deepEqual(await kinds({ kind: 'remove', id: 'a' }, 'done'), ['removed -: done']);
  const refused = await kinds(claim('a'), 'registered');
  assert.match(refused[0] ?? '', /^refused -: a was removed by an operator at .*: done$/);
});

test('events are kept up to a limit, and a reader is told when it has missed some', async () => {
  const held = new Held('lb-1', [], { eventsHeld: 4 });
  assert.deepEqual(held.registry.eventsAfter(0), []);
  for (let i = 1; i <= 6; i++) await done(held, claim(`s${i}`));
  const positions = (after: number) => held.registry.eventsAfter(after)?.map(e => e.position);
  assert.equal(positions(1), undefined);
  assert.deepEqual(positions(2), [3, 4, 5, 6]);
  assert.deepEqual(positions(5), [6]);
  assert.deepEqual(positions(6), []);
  assert.equal(positions(7), undefined, 'this list has not got there');
  // Three events of one entry, the first of which is pushed out: behind the entry before it there is a hole.
  await done(held, { kind: 'replace', source: 'dns', specs: ['x', 'y', 'z'].map(id => server(id)) });
  await done(held, claim('v'));
  await done(held, claim('w'));
  assert.equal(positions(6), undefined);
  assert.deepEqual(positions(7), [8, 9]);
  assert.throws(() => new Held('lb-1', [], { eventsHeld: 0 }), /above 0/);

  const late = new Held('lb-2');
  late.registry.ingest({ position: 40, proposal: foreign(claim('a'), 1) });
  assert.equal(late.registry.eventsAfter(38), undefined, 'it began behind this');
  assert.equal(late.registry.eventsAfter(39)?.length, 1);
});

test('the digest tells every fact apart, and nothing else', async () => {
  const digests = new Set<string>();
  const held = new Held();
  const next = async (body: Body) => {
    assert.equal((await done(held, body)).why, '');
    const digest = held.registry.digest();
    assert(!digests.has(digest), JSON.stringify(body));
    assert.match(digest, /^[0-9a-f]{16}$/);
    digests.add(digest);
  };
  digests.add(held.registry.digest());
  for (const properties of [{}, { zone: 'z' }, { labels: { a: '1' } }, { labels: { a: '1', b: '2' } }]) {
    await next(claim('a', properties));
  }
  const digest = held.registry.digest();
  const otherwise = new Held();
  for (const { body } of held.entries.map(e => e.proposal)) {
    if (body.kind !== 'claim') continue;
    const labels = Object.fromEntries(Object.entries(body.spec.labels).reverse());
    await done(otherwise, { ...body, spec: { ...body.spec, labels } });
  }
  assert.equal(otherwise.registry.digest(), digest, 'labels have no order');
  await done(held, { kind: 'observe', id: 'a', observation: { phase: 'active', healthy: true } });
  assert.equal(held.registry.digest(), digest, 'observations are no facts');
  held.registry.propose({ kind: 'weight', id: 'a', weight: 9 }, 'waits');
  assert.equal(held.registry.digest(), digest, 'what waits is no fact yet');
  held.settle();
  await next({ kind: 'drain', id: 'a', by: 'operator', timeoutMs: 0, afterwards: 'stay' });
  await next({ kind: 'drained', id: 'a' });
  await next({ kind: 'undrain', id: 'a' });
  await next(claim('s', { standby: true }));
  await next({ kind: 'activate', id: 's', failure: 'f' });
  await next({ kind: 'remove', id: 's' });
  await next({ kind: 'unclaim', source: 'stream', id: 'a', how: 'lost' });
});
