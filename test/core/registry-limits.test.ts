/** What is bounded, and that waiting proposals follow what is forgotten. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Body } from '../../src/core/entries.ts';
import { REGISTRY_LIMITS } from '../../src/core/limits.ts';
import { claim, done, foreign, Held } from './registry-support.ts';

test('what operators said of ids that are gone is kept up to a limit, the oldest forgotten first', async () => {
  const held = new Held();
  const limit = REGISTRY_LIMITS.operatorsWords;
  for (let i = 0; i <= limit; i++) {
    held.registry.propose(claim(`s${i}`), 'test');
    held.registry.propose({ kind: 'remove', id: `s${i}` }, 'test');
    held.registry.propose({ kind: 'unclaim', source: 'stream', id: `s${i}`, how: 'left' }, 'test');
    held.settle();
  }
  assert.equal((await done(held, claim('s0'))).applied, true, 'forgotten');
  assert.equal((await done(held, claim('s1'))).applied, false);
  assert.equal((await done(held, claim(`s${limit}`))).applied, false);
});

test('an own proposal that waits on what is forgotten by then is applied anew', () => {
  const words = REGISTRY_LIMITS.operatorsWords;
  const gone = (id: string): Body[] => [
    claim(id),
    { kind: 'remove', id },
    { kind: 'unclaim', source: 'stream', id, how: 'left' },
  ];
  for (const own of [false, true]) {
    const held = new Held();
    const heard: string[] = [];
    const take = (bodies: Body[]) => {
      for (const body of bodies) {
        const position = held.entries.length + 1;
        held.entries.push({ position, proposal: foreign(body, position) });
      }
      held.takeIn();
    };
    for (let i = 0; i < words; i++) take(gone(`s${i}`));
    if (own) for (const body of gone('one more')) held.registry.propose(body, 'test');
    held.registry.propose(claim('s0'), 'test');
    assert.equal(held.registry.get('s0'), undefined);
    held.registry.onChange((id, _before, after) => heard.push(`${id} ${after?.state}`));
    if (own) for (let i = 0; i < 3; i++) held.order();
    if (own) held.takeIn();
    else take(gone('one more'));
    assert.equal(held.registry.get('s0')?.state, 'WARMING');
    assert.equal(heard.at(-1), 's0 WARMING');
  }

  const held = new Held();
  const answer = (i: number): void => {
    for (const body of [
      claim(`s${i}`, { standby: true }),
      { kind: 'activate', id: `s${i}`, failure: `f${i}` },
    ] satisfies Body[]) {
      const position = held.entries.length + 1;
      held.entries.push({ position, proposal: foreign(body, position) });
    }
    held.takeIn();
  };
  for (let i = 0; i < REGISTRY_LIMITS.answers; i++) answer(i);
  held.registry.propose(claim('spare', { standby: true }), 'test');
  held.registry.propose({ kind: 'activate', id: 'spare', failure: 'f0' }, 'test');
  assert.equal(held.registry.get('spare')?.state, 'STANDBY');
  answer(REGISTRY_LIMITS.answers);
  assert.equal(held.registry.get('spare')?.state, 'WARMING');
});

test('claims and observations of one server, answers and waiting proposals have limits', async () => {
  const held = new Held();
  const { originsPerServer, answers, pending } = REGISTRY_LIMITS;
  let n = 0;
  const take = (body: Body, origin: string) => {
    n += 1;
    held.entries.push({ position: n, proposal: foreign(body, n, { origin }) });
    held.takeIn();
  };
  for (let i = 0; i < originsPerServer; i++) take(claim('a'), `lb-${i + 10}`);
  take(claim('a', { zone: 'new' }), 'lb-one-more');
  assert.equal(held.registry.get('a')?.spec.zone, '', 'refused');
  take(claim('a', { zone: 'new' }), 'lb-10');
  assert.equal(held.registry.get('a')?.spec.zone, 'new', 'who has one may renew it');
  const eject: Body = { kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: false } };
  for (let i = 0; i <= originsPerServer; i++) take(eject, `eye-${i}`);
  assert.equal(held.registry.get('a')?.advice?.length, originsPerServer);
  assert.equal(held.registry.get('a')?.advice?.[0]?.instanceId, 'eye-1');

  for (let i = 0; i <= answers; i++) {
    take(claim(`s${i}`, { standby: true }), 'lb-2');
    take({ kind: 'activate', id: `s${i}`, failure: `f${i}` }, 'lb-2');
  }
  const unanswered = async (failure: string) => {
    const one = new Held('lb-1', held.entries.slice());
    one.takeIn();
    const settled = one.registry.propose(eject, 'test', [{ kind: 'unanswered', failure }]);
    one.settle();
    return (await settled).applied;
  };
  assert.equal(await unanswered('f0'), true);
  assert.equal(await unanswered('f1'), false);

  const full = new Held();
  const weigh: Body = { kind: 'weight', id: 'nobody', weight: 1 };
  for (let i = 0; i < pending; i++) full.registry.propose(weigh, 'test');
  await assert.rejects(full.registry.propose(weigh, 'test'), /the log has not taken the last 65536 changes/);
  assert.equal(full.waiting.length, pending);
});
