import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget } from '../../src/http2/budget.ts';
import { MAX_WINDOW, overflows, ReceiveWindow } from '../../src/http2/flow.ts';
import { StreamState, StreamTable } from '../../src/http2/streams.ts';
import { generator } from '../support/seed.ts';

test('the table of streams against a plain map, after every operation', () => {
  const random = generator();
  const int = (below: number) => Math.floor(random() * below);
  const table = new StreamTable();
  const model = new Map<number, { slot: number; tag: number }>();
  const queue: number[] = [];
  let id = -1;
  for (let step = 0; step < 20_000; step++) {
    const ids = [...model.keys()];
    const some = ids[int(ids.length)];
    const pick = random();
    if (some === undefined || (pick < 0.35 && model.size < 150)) {
      // Mostly in order, now and then with a jump, so that places in the index collide.
      id += 2 * (1 + (random() < 0.1 ? int(1000) : 0));
      const slot = table.add(random() < 0.5 ? id : 0, 10, 20, step);
      if (table.id(slot) === 0) table.identify(slot, id);
      assert.equal(table.tag(slot), -1);
      assert.equal(table.state(slot), StreamState.OPEN);
      table.setTag(slot, step);
      model.set(id, { slot, tag: step });
    } else if (pick < 0.65) {
      const { slot } = model.get(some) as { slot: number };
      const byUs = random() < 0.5;
      table.remove(slot, byUs);
      model.delete(some);
      if (queue.includes(slot)) queue.splice(queue.indexOf(slot), 1);
      assert.equal(table.endedByPeer(some), !byUs);
    } else if (pick < 0.8) {
      const { slot } = model.get(some) as { slot: number };
      table.enqueue(slot);
      if (!queue.includes(slot)) queue.push(slot);
    } else if (pick < 0.9) {
      const { slot } = model.get(some) as { slot: number };
      table.dequeue(slot);
      if (queue.includes(slot)) queue.splice(queue.indexOf(slot), 1);
    } else if (queue.length > 0) {
      assert.equal(table.firstQueued(), queue[0]);
      table.dequeue(queue.shift() as number);
    }
    assert.equal(table.count, model.size);
    assert.equal(table.queued, queue.length);
    assert.equal(table.firstQueued(), queue[0] ?? -1);
    assert.equal(table.find(id + 2), -1);
    if (step % 10 !== 0) continue;
    for (const [each, { slot, tag }] of model) {
      assert.equal(table.find(each), slot);
      assert.equal(table.id(slot), each);
      assert.equal(table.tag(slot), tag);
    }
  }
  assert.ok(table.slots <= 256);
});

test('windows: overflow, lumps, what is held', () => {
  assert.equal(overflows(MAX_WINDOW - 1, 1), false);
  assert.equal(overflows(MAX_WINDOW, 1), true);
  assert.equal(overflows(-5, MAX_WINDOW), false);
  const window = new ReceiveWindow(100_000, 30_000);
  assert.equal(window.initialUpdate(), 100_000 - 65_535);
  assert.equal(window.take(100_001), false);
  assert.equal(window.take(40_000), true);
  window.hold(20_000);
  window.drop(10_000);
  assert.equal(window.update(), 0); // 30,000 are less than half
  window.hold(10_000);
  assert.equal(window.held, 30_000);
  assert.equal(window.update(), 0);
  window.take(30_000);
  window.hold(30_000); // above what may be held: owed
  assert.equal(window.update(), 0);
  window.release(15_000);
  assert.equal(window.update(), 55_000);
  assert.equal(window.left, 85_000);
  window.release(45_000);
  assert.equal(window.held, 0);
  // What was owed is given back once: in the end the window is what it was.
  assert.equal(window.take(50_000), true);
  window.hold(50_000);
  window.release(50_000);
  assert.equal(window.update(), 65_000);
  assert.equal(window.left, 100_000);
});

test('budgets refill with time, up to their burst, and by what is earned', () => {
  const budget = new Budget({ burst: 3, perSecond: 2 });
  const take = (now: number) => budget.take(now);
  assert.deepEqual([take(5), take(5), take(5), take(5)], [true, true, true, false]);
  assert.equal(take(400), false);
  assert.equal(take(505), true);
  assert.equal(take(505), false);
  budget.earn(1.5);
  assert.equal(take(505), true);
  assert.equal(take(1e9), true);
  assert.ok(Math.abs(budget.spent - 1 / 3) < 1e-9);
  budget.earn(100);
  assert.equal(budget.spent, 0);
  assert.equal(take(0), true); // a clock that goes back takes nothing away
});
