import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallRing } from '../../src/admin/admin.ts';

const call = (why: 'failed' | 'slow', path: string) => ({
  time: 0,
  path,
  serverId: 'a',
  status: 'OK',
  message: '',
  durationMs: 1,
  waitedMs: 0,
  attempts: 1,
  traceId: '',
  why,
});

test('the last calls of each kind are kept, in order, and told once', () => {
  const ring = new CallRing({ size: 3, perSecond: 100, floorMs: 50 });
  ring.note(call('slow', '/s'));
  for (let i = 0; i < 5; i++) ring.note(call('failed', `/f${i}`));
  assert.deepEqual(
    ring.after(0).map(({ n, path }) => [n, path]),
    [
      [1, '/s'],
      [4, '/f2'],
      [5, '/f3'],
      [6, '/f4'],
    ],
  );
  assert.deepEqual(
    ring.after(5).map(({ path }) => path),
    ['/f4'],
  );
  assert.deepEqual(ring.after(6), []);
});

test('what is slow rises with what there is, and falls again', () => {
  const ring = new CallRing({ size: 100, perSecond: 10, floorMs: 50 });
  assert.equal(ring.slowMs, 50);
  let noted = 0;
  for (let second = 0; second < 20; second++) {
    for (let i = 0; i < 1_000; i++) {
      const now = second * 1_000 + i;
      // 100 to 200 ms, evenly.
      if (100 + (i % 100) > ring.slowMs && ring.wants('slow', now)) noted++;
    }
    assert.ok(noted <= 10 * (second + 1), `${noted} in ${second + 1} s`);
  }
  assert.ok(ring.slowMs > 100, `${ring.slowMs}`);
  ring.wants('slow', 60_000);
  assert.equal(ring.slowMs, 50);
});

test('failures are bounded a second', () => {
  const ring = new CallRing({ size: 100, perSecond: 10, floorMs: 50 });
  const wanted = Array.from({ length: 1_000 }, (_, i) => ring.wants('failed', i)).filter(Boolean);
  assert.equal(wanted.length, 10);
  assert.equal(ring.wants('failed', 1_000), true);
});
