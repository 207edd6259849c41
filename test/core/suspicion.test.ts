import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PanicLevel, panicLevel } from '../../src/core/panic.ts';
import { Suspicion } from '../../src/core/suspicion.ts';
import { seeded } from '../support/seed.ts';

test('an instance that loses more than half of its backends, and at least four, suspects itself', () => {
  const six = new Suspicion(5000);
  const begun = ['a', 'b', 'c', 'd'].map((id, n) => six.lost(id, 5 - n, 100 * n));
  assert.deepEqual(begun, [false, false, false, true]);

  const three = new Suspicion(5000);
  for (const [n, id] of ['a', 'b', 'c'].entries()) assert.equal(three.lost(id, 2 - n, 0), false);

  // Five of ten are no more than half.
  const half = new Suspicion(5000);
  for (let n = 0; n < 5; n++) assert.equal(half.lost(`${n}`, 9 - n, 0), false);
  assert.equal(half.lost('5', 4, 0), true);
});

test('losses one after the other over a long time are none of its own', () => {
  const slow = new Suspicion(5000);
  for (let n = 0; n < 10; n++) assert.equal(slow.lost(`${n}`, 9 - n, n * 2000), false);
});

test('the suspicion ends when one of the lost answers, or when none is left', () => {
  const one = new Suspicion(5000);
  for (let n = 0; n < 4; n++) one.lost(`${n}`, 3 - n, 0);
  assert.equal(one.active, true);
  assert.equal(one.answered('stranger'), false);
  assert.equal(one.active, true);
  assert.equal(one.answered('2'), true);
  assert.equal(one.active, false);
  assert.deepEqual([...one.losses], []);

  const gone = new Suspicion(5000);
  for (let n = 0; n < 4; n++) gone.lost(`${n}`, 3 - n, 0);
  const ends = [0, 1, 2, 3].map(n => gone.gone(`${n}`));
  assert.deepEqual(ends, [false, false, false, true]);
});

test('panic: the dead never count against the living, and nobody is answered only where nobody might work', () => {
  const count = fc.nat(1000);
  fc.assert(
    fc.property(
      count,
      count,
      count,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (eligible, judged, dead, below) => {
        const level = panicLevel(eligible, judged, dead, below);
        assert.equal(
          level === PanicLevel.JUDGED,
          below > 0 && judged > 0 && eligible / (eligible + judged) < below,
        );
        if (below > 0 && eligible === 0) assert.equal(level === PanicLevel.CALM, judged + dead === 0);
        // More dead ones change nothing while somebody else can be asked.
        if (eligible + judged > 0) assert.equal(level, panicLevel(eligible, judged, dead + 100, below));
        assert.equal(panicLevel(eligible, judged, dead, 0), PanicLevel.CALM);
      },
    ),
    seeded(1000),
  );
});
