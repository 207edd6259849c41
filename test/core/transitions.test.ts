/**
 * The life of a server: what each kind of entry does in each state, and that no script whatever brings
 * about a change of state that is not here.
 *
 *   STANDBY → WARMING → ACTIVE → DRAINING → gone      WARMING|ACTIVE → EJECTED → WARMING
 *   DRAINING → WARMING (undrain)                      DRAINING → STANDBY (scale-in)      any → gone
 *
 * A drain is a fact and WARMING, ACTIVE, EJECTED are what one instance sees, so that DRAINING follows on
 * each of them; it also follows on STANDBY, and on gone where an operator's drain waited for the return.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerState, Source } from '../../src/core/core.ts';
import type { Body } from '../../src/core/entries.ts';
import { generator, SEED } from '../support/seed.ts';
import { Held, server } from './registry-support.ts';

type State = ServerState | 'gone';

const ALLOWED: Record<State, readonly State[]> = {
  gone: ['STANDBY', 'WARMING', 'DRAINING'],
  STANDBY: ['WARMING', 'DRAINING', 'gone'],
  WARMING: ['ACTIVE', 'EJECTED', 'DRAINING', 'gone'],
  ACTIVE: ['EJECTED', 'DRAINING', 'gone'],
  EJECTED: ['WARMING', 'DRAINING', 'gone'],
  DRAINING: ['WARMING', 'STANDBY', 'gone'],
};

const id = 'a';
const claim = (source: Source, properties = {}): Body => ({
  kind: 'claim',
  source,
  spec: server(id, properties),
});
const unclaim = (how: 'left' | 'lost', source: Source = 'stream'): Body => ({
  kind: 'unclaim',
  source,
  id,
  how,
});
const observe = (phase: 'warming' | 'active' | 'ejected', healthy = phase !== 'ejected'): Body => ({
  kind: 'observe',
  id,
  observation: { phase, healthy },
});
const drain = (by: 'operator' | 'backend' | 'scaling', afterwards: 'stay' | 'remove' | 'standby'): Body => ({
  kind: 'drain',
  id,
  by,
  timeoutMs: 30_000,
  afterwards,
});
const only = (kind: 'forget' | 'remove' | 'undrain' | 'drained' | 'activate'): Body => ({ kind, id });

const standby = [claim('stream', { standby: true })];
const warming = [claim('stream')];
const active = [...warming, observe('active')];
const ejected = [...active, observe('ejected')];
const lost = [...active, unclaim('lost')];
const removed = [...active, only('remove')];

/** What was before, what comes, the state after it; `same` is a refusal. */
const TABLE: readonly (readonly [string, readonly Body[], Body, State | 'same'])[] = [
  // Coming into being
  ['gone, stream', [], claim('stream'), 'WARMING'],
  ['gone, config', [], claim('config'), 'WARMING'],
  ['gone, a standby', [], claim('config', { standby: true }), 'STANDBY'],
  ['gone, replace', [], { kind: 'replace', source: 'dns', specs: [server(id)] }, 'WARMING'],
  ['gone, observed', [], observe('active'), 'same'],
  ['gone, drain', [], drain('operator', 'stay'), 'same'],
  ['gone, undrain', [], only('undrain'), 'same'],
  ['gone, drained', [], only('drained'), 'same'],
  ['gone, activate', [], only('activate'), 'same'],
  ['gone, remove', [], only('remove'), 'same'],
  ['gone, forget', [], only('forget'), 'same'],
  ['gone, unclaim', [], unclaim('left'), 'same'],
  ['gone, weight', [], { kind: 'weight', id, weight: 2 }, 'same'],

  // A standby
  ['standby, activate', standby, only('activate'), 'WARMING'],
  ['standby, no longer one', standby, claim('stream'), 'WARMING'],
  ['standby, healthy', standby, observe('warming'), 'STANDBY'],
  ['standby, active for health', standby, observe('active'), 'STANDBY'],
  ['standby, sick', standby, observe('ejected'), 'STANDBY'],
  ['standby, sick, activate', [...standby, observe('ejected')], only('activate'), 'same'],
  [
    'standby, well again, activate',
    [...standby, observe('ejected'), observe('warming')],
    only('activate'),
    'WARMING',
  ],
  ['standby, active for health, activate', [...standby, observe('active')], only('activate'), 'WARMING'],
  ['standby, lost', standby, unclaim('lost'), 'STANDBY'],
  ['standby, lost, activate', [...standby, unclaim('lost')], only('activate'), 'same'],
  ['standby, lost, forget', [...standby, unclaim('lost')], only('forget'), 'gone'],
  ['standby, lost, back', [...standby, unclaim('lost')], claim('stream', { standby: true }), 'STANDBY'],
  ['standby, left', standby, unclaim('left'), 'gone'],
  ['standby, drain', standby, drain('operator', 'stay'), 'DRAINING'],
  ['standby, drain, undrain', [...standby, drain('operator', 'stay')], only('undrain'), 'STANDBY'],
  ['standby, drain, drained', [...standby, drain('backend', 'remove')], only('drained'), 'gone'],
  ['standby, remove', standby, only('remove'), 'gone'],
  ['standby, undrain', standby, only('undrain'), 'same'],
  ['standby, drained', standby, only('drained'), 'same'],

  // Warming and active
  ['warming, proof', warming, observe('active'), 'ACTIVE'],
  ['warming, sick', warming, observe('ejected'), 'EJECTED'],
  ['warming, warming', warming, observe('warming'), 'WARMING'],
  ['warming, activate', warming, only('activate'), 'same'],
  ['warming, drain', warming, drain('operator', 'stay'), 'DRAINING'],
  ['warming, lost', warming, unclaim('lost'), 'EJECTED'],
  ['warming, left', warming, unclaim('left'), 'gone'],
  ['warming, remove', warming, only('remove'), 'gone'],
  ['active, sick', active, observe('ejected'), 'EJECTED'],
  ['active, warming', active, observe('warming'), 'same'],
  ['active, unhealthy once', active, observe('active', false), 'ACTIVE'],
  ['active, drain by operator', active, drain('operator', 'stay'), 'DRAINING'],
  ['active, drain by backend', active, drain('backend', 'remove'), 'DRAINING'],
  ['active, drain by scaling', active, drain('scaling', 'standby'), 'DRAINING'],
  ['active, undrain', active, only('undrain'), 'same'],
  ['active, drained', active, only('drained'), 'same'],
  ['active, forget', active, only('forget'), 'same'],
  ['active, activate', active, only('activate'), 'same'],
  ['active, claimed again', active, claim('stream'), 'ACTIVE'],
  ['active, a standby by its next claim', active, claim('stream', { standby: true }), 'ACTIVE'],
  ['active, lost by one of two', [...active, claim('config')], unclaim('lost'), 'ACTIVE'],
  ['active, left by one of two', [...active, claim('config')], unclaim('left'), 'ACTIVE'],
  ['active, lost', active, unclaim('lost'), 'EJECTED'],
  ['active, left', active, unclaim('left'), 'gone'],
  ['active, not in the next set', active, { kind: 'replace', source: 'stream', specs: [] }, 'gone'],
  ['active, not in the set of another', active, { kind: 'replace', source: 'config', specs: [] }, 'ACTIVE'],
  ['active, remove', active, only('remove'), 'gone'],
  ['active, weight', active, { kind: 'weight', id, weight: 3 }, 'ACTIVE'],
  ['active, weight impossible', active, { kind: 'weight', id, weight: -1 }, 'same'],

  // Ejected, by what was seen and by the loss of the last claim
  ['ejected, better', ejected, observe('warming'), 'WARMING'],
  ['ejected, active at once', ejected, observe('active'), 'same'],
  ['ejected, registers', ejected, claim('stream'), 'WARMING'],
  ['ejected, added', ejected, claim('operator'), 'WARMING'],
  ['ejected, claimed by config', ejected, claim('config'), 'EJECTED'],
  ['ejected, claimed by dns', ejected, claim('dns'), 'EJECTED'],
  ['ejected, drain', ejected, drain('operator', 'stay'), 'DRAINING'],
  ['ejected, left', ejected, unclaim('left'), 'gone'],
  ['ejected, remove', ejected, only('remove'), 'gone'],
  ['ejected, forget', ejected, only('forget'), 'same'],
  ['ejected, lost', ejected, unclaim('lost'), 'EJECTED'],
  ['ejected, lost, claimed by config', [...ejected, unclaim('lost')], claim('config'), 'EJECTED'],
  ['ejected, lost, registers', [...ejected, unclaim('lost')], claim('stream'), 'WARMING'],
  ['lost, registers', lost, claim('stream'), 'WARMING'],
  ['lost, claimed by config', lost, claim('config'), 'WARMING'],
  ['lost, seen active', lost, observe('active'), 'EJECTED'],
  ['lost, seen ejected', lost, observe('ejected'), 'EJECTED'],
  ['lost, forget', lost, only('forget'), 'gone'],
  ['lost, remove', lost, only('remove'), 'gone'],
  ['lost, unclaim', lost, unclaim('left'), 'same'],
  ['lost, drain by operator', lost, drain('operator', 'stay'), 'DRAINING'],
  ['lost, drain by scaling', lost, drain('scaling', 'standby'), 'same'],
  ['lost, drain by backend', lost, drain('backend', 'remove'), 'same'],

  // Draining
  ['draining, undrain', [...active, drain('operator', 'stay')], only('undrain'), 'WARMING'],
  ['draining, sick, undrain', [...ejected, drain('operator', 'stay')], only('undrain'), 'WARMING'],
  ['draining, seen active', [...active, drain('operator', 'stay')], observe('active'), 'DRAINING'],
  ['draining, seen ejected', [...active, drain('operator', 'stay')], observe('ejected'), 'DRAINING'],
  ['draining, activate', [...standby, drain('operator', 'stay')], only('activate'), 'same'],
  ['draining, empty: stay', [...active, drain('operator', 'stay')], only('drained'), 'DRAINING'],
  ['draining, empty again', [...active, drain('operator', 'stay'), only('drained')], only('drained'), 'same'],
  ['draining, empty: remove', [...active, drain('operator', 'remove')], only('drained'), 'gone'],
  ['draining, empty: standby', [...active, drain('operator', 'standby')], only('drained'), 'STANDBY'],
  ['draining, scale-in', [...active, drain('scaling', 'standby')], only('drained'), 'STANDBY'],
  ['draining, scale-in: remove', [...active, drain('scaling', 'remove')], only('drained'), 'gone'],
  ['draining, backend leaves', [...active, drain('backend', 'remove')], only('drained'), 'gone'],
  [
    'draining, backend leaves, config claims it',
    [...active, claim('config'), drain('backend', 'remove')],
    only('drained'),
    'DRAINING',
  ],
  [
    'draining, backend left, comes back',
    [...active, claim('config'), drain('backend', 'remove'), only('drained')],
    claim('stream'),
    'WARMING',
  ],
  ['draining by itself, registers', [...active, drain('backend', 'remove')], claim('stream'), 'WARMING'],
  ['draining by itself, lost', [...active, drain('backend', 'remove')], unclaim('lost'), 'gone'],
  ['draining by scaling, registers', [...active, drain('scaling', 'standby')], claim('stream'), 'DRAINING'],
  ['draining by scaling, lost', [...active, drain('scaling', 'standby')], unclaim('lost'), 'gone'],
  ['draining, scale-in too', [...active, drain('operator', 'stay')], drain('scaling', 'standby'), 'same'],
  ['draining by operator, registers', [...active, drain('operator', 'stay')], claim('stream'), 'DRAINING'],
  ['draining by operator, lost', [...active, drain('operator', 'stay')], unclaim('lost'), 'DRAINING'],
  [
    'draining, lost, undrain',
    [...active, drain('operator', 'stay'), unclaim('lost')],
    only('undrain'),
    'gone',
  ],
  ['draining, lost, forget', [...active, drain('operator', 'stay'), unclaim('lost')], only('forget'), 'gone'],
  [
    'draining, lost, back',
    [...active, drain('operator', 'stay'), unclaim('lost')],
    claim('stream'),
    'DRAINING',
  ],
  ['draining by operator, left', [...active, drain('operator', 'stay')], unclaim('left'), 'gone'],
  [
    'drained by operator, left, back',
    [...active, drain('operator', 'stay'), unclaim('left')],
    claim('stream'),
    'DRAINING',
  ],
  [
    'drained by operator, left, undrain, back',
    [...active, drain('operator', 'stay'), unclaim('left'), only('undrain')],
    claim('stream'),
    'WARMING',
  ],
  [
    'drained by scaling, left, back',
    [...active, drain('scaling', 'standby'), unclaim('left')],
    claim('stream'),
    'WARMING',
  ],
  ['draining, remove', [...active, drain('operator', 'stay')], only('remove'), 'gone'],
  [
    'backend drains where an operator does',
    [...active, drain('operator', 'stay'), drain('backend', 'remove'), only('drained')],
    claim('stream'),
    'DRAINING',
  ],

  // Scaled in, it is a standby like any other
  [
    'scaled in, activate',
    [...active, drain('scaling', 'standby'), only('drained')],
    only('activate'),
    'WARMING',
  ],
  [
    'scaled in, claimed again',
    [...active, drain('scaling', 'standby'), only('drained')],
    claim('stream'),
    'STANDBY',
  ],

  // Removed by an operator
  ['removed, registers', removed, claim('stream'), 'same'],
  ['removed, in a set', removed, { kind: 'replace', source: 'stream', specs: [server(id)] }, 'gone'],
  ['removed, seen', removed, observe('active'), 'same'],
  ['removed, drain', removed, drain('operator', 'stay'), 'same'],
  ['removed, added', removed, claim('operator'), 'WARMING'],
  ['removed, undrain', removed, only('undrain'), 'WARMING'],
  ['removed, left, undrain', [...removed, unclaim('left')], only('undrain'), 'gone'],
  [
    'removed, left, undrain, registers',
    [...removed, unclaim('left'), only('undrain')],
    claim('stream'),
    'WARMING',
  ],
  ['removed, left, registers', [...removed, unclaim('left')], claim('stream'), 'same'],
  ['removed, lost, registers', [...removed, unclaim('lost')], claim('stream'), 'same'],
  ['removed standby, added', [...standby, only('remove')], claim('operator', { standby: true }), 'STANDBY'],
];

for (const [name, before, body, expected] of TABLE) {
  test(`${name}: ${expected}`, async () => {
    const held = new Held();
    const propose = async (b: Body, cause: string) => {
      const settled = held.registry.propose(b, cause);
      held.settle();
      return settled;
    };
    for (const b of before) assert.deepEqual((await propose(b, 'before')).why, '');
    const was = held.registry.get(id);
    const settled = await propose(body, 'the cause');
    const is = held.registry.get(id);
    assert.equal(settled.applied, expected !== 'same', settled.why);
    if (expected === 'same') {
      assert.notEqual(settled.why, '');
      assert.deepEqual(is, was);
      return;
    }
    assert.equal(is?.state ?? 'gone', expected);
    if (is && is.state !== was?.state) {
      assert.equal(is.cause, 'the cause');
      assert.equal(is.stateTime, held.entries.at(-1)?.proposal.time);
    } else if (is) {
      assert.equal(is.stateTime, was?.stateTime, 'the same state since the same time');
    }
  });
}

test('no script brings about another change of state, and every one of them comes about', () => {
  const random = generator(SEED);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const bodies: Body[] = TABLE.flatMap(([, before, body]) => [...before, body]);
  const found = new Map<State, Set<State>>();
  const wanted = Object.values(ALLOWED).reduce((sum, states) => sum + states.length, 0);
  const reached = (): number => [...found.values()].reduce((sum, states) => sum + states.size, 0);
  // Some changes are rare: a seed that has not met one in 60 runs goes on until it has.
  for (let run = 0; run < 60 || (run < 2000 && reached() < wanted); run++) {
    const entries: Held['entries'] = [];
    const instances = [new Held('lb-1', entries), new Held('lb-2', entries)];
    for (const { registry } of instances) {
      const states = new Map<string, State>();
      registry.onEvent(event => {
        if (event.kind === 'refused') return;
        const from = states.get(event.serverId) ?? 'gone';
        const to = event.state ?? 'gone';
        states.set(event.serverId, to);
        if (from === to) return;
        assert(ALLOWED[from].includes(to), `${from} → ${to} by ${JSON.stringify(entries.slice(-3))}`);
        found.set(from, (found.get(from) ?? new Set()).add(to));
      });
    }
    for (let i = 0; i < 500; i++) {
      const one = pick(instances);
      one.registry.propose(pick(bodies), `cause ${i}`);
      if (random() < 0.7) one.order();
      if (random() < 0.7) pick(instances).takeIn(2);
    }
    for (const one of instances) one.settle();
    for (const one of instances) one.takeIn();
    for (const { thrown } of instances) if (thrown.length > 0) throw thrown[0];
  }
  for (const [from, allowed] of Object.entries(ALLOWED)) {
    assert.deepEqual([...(found.get(from as State) ?? [])].sort(), [...allowed].sort(), from);
  }
});
