import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry, Proposal } from '../../src/core/entries.ts';
import { MemoryLog } from '../../src/state/memory-log.ts';

function proposal(n: number): Proposal {
  return { origin: 'lb-1', epoch: 1, n, time: n, cause: 'test', body: { kind: 'forget', id: `s${n}` } };
}

test('entries have positions in order, and reach followers before append resolves', async () => {
  const log = new MemoryLog();
  assert.deepEqual([log.first, log.last], [1, 0]);
  const got: Entry[] = [];
  log.follow(0, entry => got.push(entry));
  const first = log.append(proposal(1));
  assert.deepEqual(got, [{ position: 1, proposal: proposal(1) }]);
  assert.equal(await first, 1);
  assert.equal(await log.append(proposal(2)), 2);
  assert.deepEqual(
    got.map(e => e.position),
    [1, 2],
  );
  assert.deepEqual([log.first, log.last], [1, 2]);
});

test('a follower gets what lies behind its position at once, and ends when it says so', async () => {
  const log = new MemoryLog();
  for (let n = 1; n <= 5; n++) await log.append(proposal(n));
  const got: number[] = [];
  const end = log.follow(3, ({ position }) => got.push(position));
  assert.deepEqual(got, [4, 5]);
  await log.append(proposal(6));
  end();
  end();
  await log.append(proposal(7));
  assert.deepEqual(got, [4, 5, 6]);
});

test('followers that append, end or throw in their call disturb neither the order nor each other', async () => {
  const errors: unknown[] = [];
  const log = new MemoryLog({ onError: error => errors.push(error) });
  const one: number[] = [];
  const two: number[] = [];
  log.follow(0, ({ position }) => {
    one.push(position);
    if (position < 4) log.append(proposal(position + 1));
    assert.equal(one.at(-1), position, 'not called inside its own call');
  });
  log.follow(0, ({ position }) => {
    two.push(position);
    throw new Error(`at ${position}`);
  });
  let calls = 0;
  const end = log.follow(0, () => {
    calls += 1;
    end();
  });
  await log.append(proposal(1));
  assert.deepEqual(one, [1, 2, 3, 4]);
  assert.deepEqual(two, [1, 2, 3, 4]);
  assert.equal(errors.length, 4);
  assert.equal(calls, 1, 'three more were waiting for it');
});

test('old entries are let go, but none that a follower has not had', async () => {
  const log = new MemoryLog({ entriesHeld: 10 });
  const got: number[] = [];
  let appended = 0;
  log.follow(0, ({ position }) => {
    got.push(position);
    // All of them inside one call: nothing may be cut before this follower has had it.
    if (position === 1) while (appended < 99) log.append(proposal(++appended));
  });
  await log.append(proposal(0));
  assert.deepEqual(
    got,
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  for (let i = 0; i < 200; i++) {
    await log.append(proposal(i));
    assert(log.last - log.first + 1 >= 10 && log.last - log.first + 1 <= 15);
  }
  const late: number[] = [];
  log.follow(log.first - 1, ({ position }) => late.push(position));
  assert.deepEqual([late[0], late.at(-1)], [log.first, log.last]);
  assert.throws(() => log.follow(log.first - 2, () => {}), {
    name: 'RangeError',
    message: `this log can be followed behind positions ${log.first - 1} to 300, not behind ${log.first - 2}`,
  });
  assert.throws(() => log.follow(301, () => {}), RangeError);
  assert.throws(() => log.follow(Number.NaN, () => {}), RangeError);
  assert.throws(() => new MemoryLog({ entriesHeld: 0 }), /above 0/);
});

test('a closed log takes nothing and hands out nothing', async () => {
  const log = new MemoryLog();
  const got: number[] = [];
  log.follow(0, ({ position }) => got.push(position));
  await log.append(proposal(1));
  await log.close();
  await assert.rejects(log.append(proposal(2)), /the log is closed/);
  assert.throws(() => log.follow(0, () => {}), /the log is closed/);
  await log.close();
  assert.deepEqual(got, [1]);
});
