/** Instances by what they write into a log that they share: who is alive, who is retired, who comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { INSTANCE_LIMITS } from '../../src/core/limits.ts';
import { Roster } from '../../src/instances/roster.ts';
import { claim, foreign, Held } from '../core/registry-support.ts';
import { Time } from './time.ts';

async function setUp() {
  const time = new Time();
  const held = new Held('lb-2');
  let answers = true;
  const told: string[][] = [];
  let reclaimed = 0;
  const roster: Roster = new Roster({
    id: 'lb-2',
    epoch: 1,
    registry: held.registry,
    clock: time,
    own: { control: 'h2:1', proxy: 'h2:2' },
    logAnswers: () => answers,
    onChange: () =>
      told.push(
        roster
          .list()
          .filter(one => one.alive)
          .map(one => one.id),
      ),
    onRetired: () => reclaimed++,
  });
  held.settle();
  await turn();
  let n = 0;
  const other = (body: Parameters<typeof foreign>[0], origin = 'lb-1') => {
    held.entries.push({ position: held.entries.length + 1, proposal: foreign(body, ++n, { origin }) });
    held.takeIn();
    roster.heard(origin);
  };
  return {
    time,
    held,
    roster,
    told,
    other,
    setAnswers: (value: boolean) => {
      answers = value;
    },
    reclaimed: () => reclaimed,
  };
}

test('it joins, hears of others, and retires one that is silent for long', async () => {
  const { time, held, roster, told, other } = await setUp();
  assert.equal(held.registry.instances()[0]?.control, 'h2:1');
  other({ kind: 'join', control: 'h1:1', proxy: 'h1:2' });
  other(claim('x'));
  assert.deepEqual(told.at(-1), ['lb-1']);
  time.pass(INSTANCE_LIMITS.silentMs + INSTANCE_LIMITS.pollMs);
  assert.deepEqual(told.at(-1), [], 'silent: named to nobody');
  assert.equal(held.registry.get('x')?.state, 'WARMING', 'and nothing else yet');
  time.pass(INSTANCE_LIMITS.retireMs);
  held.settle();
  assert.equal(held.registry.instances().length, 1);
  assert.equal(held.registry.get('x')?.state, 'EJECTED');
  roster.close();
});

test('while the log does not answer, nobody is retired', async () => {
  const { time, held, roster, other, setAnswers } = await setUp();
  other({ kind: 'join', control: 'h1:1', proxy: 'h1:2' });
  setAnswers(false);
  time.pass(10 * INSTANCE_LIMITS.retireMs);
  setAnswers(true);
  time.pass(INSTANCE_LIMITS.silentMs / 2);
  held.settle();
  assert.equal(held.registry.instances().length, 2);
  assert.equal(roster.list()[0]?.alive, true, 'its silence counts from when the log is back');
  roster.close();
});

test('one that was taken for gone joins again and claims anew; one that leaves does not', async () => {
  const { time, held, roster, other, reclaimed } = await setUp();
  other({ kind: 'join', control: 'h1:1', proxy: 'h1:2' });
  other({ kind: 'retire', instance: 'lb-2', epoch: 1 });
  time.pass(INSTANCE_LIMITS.pollMs);
  held.settle();
  assert.equal(reclaimed(), 1);
  assert.equal(
    held.registry.instances().some(one => one.id === 'lb-2' && one.present),
    true,
  );
  await turn();
  time.pass(INSTANCE_LIMITS.pollMs);
  assert.equal(reclaimed(), 1);

  const left = roster.leave();
  held.settle();
  time.pass(INSTANCE_LIMITS.leaveMs);
  await left;
  time.pass(5 * INSTANCE_LIMITS.pollMs);
  held.settle();
  assert.equal(held.registry.instances().find(one => one.id === 'lb-2')?.present, false);
  roster.close();
});
