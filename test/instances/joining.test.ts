/** How long an instance that begins waits for the servers of its peers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { arrival } from '../../src/instances/joining.ts';
import { claim, Held } from '../core/registry-support.ts';
import { Time } from './time.ts';

async function setUp(ids: readonly string[], known: readonly string[] = []) {
  const [time, held] = [new Time(), new Held('lb-2')];
  const { registry } = held;
  const come = (id: string): void => void registry.propose(claim(id), 'registered itself');
  known.forEach(come);
  const awaited = arrival({ ids, registry, clock: time, quietMs: 3_000, mostMs: 10_000 });
  let over = false;
  awaited.over.then(() => {
    over = true;
  });
  const isOver = async (): Promise<boolean> => {
    await turn();
    return over;
  };
  return { time, come, awaited, isOver };
}

test('nobody is waited for where there is nobody, or all are known from the log', async () => {
  assert.equal(await (await setUp([])).isOver(), true);
  assert.equal(await (await setUp(['x', 'y'], ['y', 'x', 'z'])).isOver(), true);
});

test('it is over with the last one', async () => {
  const { come, awaited, isOver } = await setUp(['x', 'y', 'z'], ['z']);
  come('w');
  come('x');
  assert.equal(awaited.missing(), 1);
  assert.equal(await isOver(), false);
  come('y');
  assert.equal(await isOver(), true);
});

test('who does not come is waited for as long as others do, and longer where none is there', async () => {
  const { time, come, awaited, isOver } = await setUp(['x', 'y', 'z']);
  time.pass(5_000);
  come('x');
  time.pass(2_900);
  assert.equal(await isOver(), false);
  // Neither one that nobody waits for nor one that is here already is a reason to wait longer.
  come('x');
  come('w');
  time.pass(100);
  assert.equal(await isOver(), true);
  assert.equal(awaited.missing(), 2);
});

test('some that the log has are enough to wait no longer than for the next', async () => {
  const { time, isOver } = await setUp(['x', 'y'], ['y']);
  time.pass(2_900);
  assert.equal(await isOver(), false);
  time.pass(100);
  assert.equal(await isOver(), true);
});

test('and not for ever, and not by one that ends', async () => {
  const ids = Array.from({ length: 20 }, (_, i) => `s${i}`);
  const { time, come, isOver } = await setUp(ids);
  for (const id of ids.slice(0, 9)) {
    time.pass(1_000);
    come(id);
  }
  assert.equal(await isOver(), false);
  time.pass(1_000);
  assert.equal(await isOver(), true);

  const none = await setUp(['x']);
  none.time.pass(9_900);
  assert.equal(await none.isOver(), false);
  none.time.pass(100);
  assert.equal(await none.isOver(), true);

  const given = await setUp(['x']);
  given.awaited.giveUp();
  assert.equal(await given.isOver(), true);
});
