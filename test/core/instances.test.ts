/** Instances as facts: who joined, who left, and what becomes of the claims of one that is retired. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REGISTRY_LIMITS } from '../../src/core/limits.ts';
import { claim, done, foreign, Held } from './registry-support.ts';

const JOIN = { kind: 'join', control: '10.0.0.2:4701', proxy: '10.0.0.2:4700' } as const;

function withOther(): { held: Held; take: (...args: Parameters<typeof foreign>) => void } {
  const held = new Held('lb-1');
  return {
    held,
    take(...args) {
      held.entries.push({ position: held.entries.length + 1, proposal: foreign(...args) });
      held.takeIn();
    },
  };
}

test('an instance joins, leaves and joins again in a later life', async () => {
  const { held, take } = withOther();
  let told = 0;
  held.registry.onInstances(() => told++);
  await done(held, { kind: 'join', control: '10.0.0.1:4701', proxy: '10.0.0.1:4700' });
  take(JOIN, 1);
  const before = held.registry.digest();
  assert.deepEqual(
    held.registry.instances().map(one => [one.id, one.epoch, one.control, one.present]),
    [
      ['lb-1', 1, '10.0.0.1:4701', true],
      ['lb-2', 1, '10.0.0.2:4701', true],
    ],
  );
  take({ kind: 'leave' }, 2);
  assert.equal(held.registry.instances()[1]?.present, false);
  assert.notEqual(held.registry.digest(), before, 'who serves is a fact');
  assert.equal(told, 3);
  take(JOIN, 1, { epoch: 2 });
  assert.deepEqual(held.registry.instances()[1]?.epoch, 2);
  const again = await done(held, { kind: 'leave' });
  assert.equal(again.applied, true);
  assert.match((await done(held, { kind: 'leave' })).why, /lb-1 is not there/);
});

test('what a retired instance alone claimed is lost, what others claim stays', async () => {
  const { held, take } = withOther();
  take(JOIN, 1);
  take(claim('theirs'), 2);
  take(claim('both'), 3);
  take({ kind: 'observe', id: 'both', observation: { phase: 'ejected', healthy: false } }, 4);
  await done(held, claim('both'));
  await done(held, claim('mine'));
  assert.equal(held.registry.get('both')?.advice?.length, 1);

  assert.match((await done(held, { kind: 'retire', instance: 'lb-3', epoch: 1 })).why, /no instance lb-3/);
  assert.match((await done(held, { kind: 'retire', instance: 'lb-2', epoch: 0 })).why, /begun a new life/);
  const retired = await done(held, { kind: 'retire', instance: 'lb-2', epoch: 1 }, 'silent for 30 s');
  assert.equal(retired.applied, true);
  assert.deepEqual(
    ['theirs', 'both', 'mine'].map(id => held.registry.get(id)?.state),
    ['EJECTED', 'WARMING', 'WARMING'],
  );
  assert.equal(held.registry.get('both')?.advice, undefined, 'what it saw is forgotten');
  assert.match(held.registry.get('theirs')?.cause ?? '', /silent for 30 s/);
  assert.deepEqual(held.registry.instances(), []);
});

test('a life that is over cannot take the place of a later one', () => {
  const { held, take } = withOther();
  take(JOIN, 1, { epoch: 2 });
  take({ kind: 'join', control: 'old:1', proxy: 'old:2' }, 1, { epoch: 1 });
  assert.equal(held.registry.instances()[0]?.control, JOIN.control);
});

test('instances are bounded', () => {
  const { held, take } = withOther();
  for (let i = 0; i <= REGISTRY_LIMITS.instances; i++) take(JOIN, 1, { origin: `lb-${i + 10}` });
  assert.equal(held.registry.instances().length, REGISTRY_LIMITS.instances);
});
