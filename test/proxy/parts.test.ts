/** The small parts of a call by themselves: octets on their way, and deadlines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ByteQueue } from '../../src/proxy/byte-queue.ts';
import { Deadlines } from '../../src/proxy/deadlines.ts';
import { seeded } from '../support/seed.ts';

test('a queue of octets is what went in without what went out, kept or not', () => {
  const step = fc.oneof(
    fc.record({ does: fc.constant('push' as const), size: fc.integer({ min: 0, max: 5_000 }) }),
    fc.record({ does: fc.constant('advance' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ does: fc.constant('rewind' as const) }),
    fc.record({ does: fc.constant('forget' as const) }),
    fc.record({ does: fc.constant('clear' as const), keeps: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), steps => {
      const queue = new ByteQueue();
      let kept: number[] = [];
      let pending: number[] = [];
      let keeps = false;
      let next = 0;
      for (const each of steps) {
        if (each.does === 'push') {
          const bytes = Array.from({ length: each.size }, () => next++ & 255);
          // Out of the middle of a buffer that is used again.
          const from = Buffer.from([9, ...bytes, 9]);
          queue.push(from, 1, 1 + each.size);
          from.fill(0);
          pending = pending.concat(bytes);
        } else if (each.does === 'advance') {
          const taken = Math.floor(each.part * pending.length);
          queue.advance(taken);
          if (keeps) kept = kept.concat(pending.slice(0, taken));
          pending = pending.slice(taken);
        } else if (each.does === 'rewind') {
          if (!keeps) continue;
          queue.rewind();
          pending = kept.concat(pending);
          kept = [];
        } else if (each.does === 'forget') {
          queue.forget();
          keeps = false;
          kept = [];
        } else {
          queue.clear(each.keeps);
          keeps = each.keeps;
          kept = [];
          pending = [];
        }
        assert.equal(queue.keeps, keeps);
        assert.equal(queue.pending, pending.length);
        assert.ok(queue.buffer.subarray(queue.at, queue.end).equals(Buffer.from(pending)));
      }
    }),
    seeded(),
  );
});

test('deadlines pass in their order, never early, and not where they were taken back', async () => {
  const passed: number[] = [];
  const early: number[] = [];
  const times = new Map<number, number>();
  const all = Promise.withResolvers<void>();
  const deadlines = new Deadlines(
    () => performance.now(),
    index => {
      passed.push(index);
      if (performance.now() < (times.get(index) ?? 0)) early.push(index);
      // One that passes may take others back, and set new ones.
      if (index === 3) deadlines.remove(4);
      if (index === 5) add(7, 10);
      if (index === 7) all.resolve();
    },
  );
  const add = (index: number, ms: number): void => {
    const at = performance.now() + ms;
    times.set(index, at);
    deadlines.add(index, at);
  };
  add(5, 40);
  add(1, 10);
  add(2, 20);
  add(6, 3_000_000_000);
  add(3, 30);
  add(4, 31);
  deadlines.remove(2);
  deadlines.remove(99);
  await all.promise;
  assert.deepEqual(passed, [1, 3, 5, 7]);
  assert.deepEqual(early, []);
  deadlines.stop();
  await sleep(1);
});
