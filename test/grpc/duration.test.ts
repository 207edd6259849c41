/** Durations of messages and milliseconds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { durationOf, millisOf } from '../../src/grpc/duration.ts';
import { seeded } from '../support/seed.ts';

test('golden values', () => {
  assert.deepEqual(durationOf(0), { seconds: 0n, nanos: 0 });
  assert.deepEqual(durationOf(1_500), { seconds: 1n, nanos: 500_000_000 });
  assert.deepEqual(durationOf(-1_500), { seconds: -1n, nanos: -500_000_000 });
  assert.deepEqual(durationOf(0.000001), { seconds: 0n, nanos: 1 });
  // Rounds up to a whole second, which has no place in nanos.
  assert.deepEqual(durationOf(999.9999999), { seconds: 1n, nanos: 0 });
  assert.deepEqual(durationOf(Number.NaN), { seconds: 0n, nanos: 0 });
  assert.deepEqual(durationOf(Number.POSITIVE_INFINITY), { seconds: 315_576_000_000n, nanos: 0 });
  assert.equal(millisOf(undefined), 0);
  assert.equal(millisOf(undefined, 7), 7);
});

test('read back, and within what the type allows', () => {
  fc.assert(
    fc.property(fc.double({ min: -1e9, max: 1e9, noNaN: true }), ms => {
      const duration = durationOf(ms);
      assert.ok(Math.abs(duration.nanos) < 1e9);
      assert.ok(
        duration.nanos === 0 || duration.seconds === 0n || duration.nanos < 0 === duration.seconds < 0n,
      );
      assert.ok(Math.abs(millisOf(duration) - ms) <= 1e-6);
    }),
    seeded(),
  );
});
