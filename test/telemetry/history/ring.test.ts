import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ring, Timeline } from '../../../src/telemetry/history/ring.ts';

const SERIES = {
  rate: { unit: '1/s', fold: 'mean', about: '' },
  peak: { unit: 'ms', fold: 'max', about: '' },
} as const;

function filled(steps: number, value: (step: number) => { rate: number; peak: number }) {
  const timeline = new Timeline();
  const ring = new Ring<'rate' | 'peak'>(SERIES, timeline, 2);
  for (let step = 0; step < steps; step++) {
    ring.write('a', value(step));
    timeline.commit(step * 2_000);
  }
  return { timeline, ring };
}

test('the near past has every step, the far past means and peaks of five', () => {
  const { ring } = filled(1_000, step => ({ rate: step, peak: step }));
  const near = ring.read('a', 10_000);
  assert.deepEqual(
    near?.times,
    [995, 996, 997, 998, 999].map(step => step * 2_000),
  );
  assert.deepEqual([...(near?.values.rate ?? [])], [995, 996, 997, 998, 999]);
  const far = ring.read('a', 900_000);
  assert.equal(far?.stepMs, 10_000);
  assert.equal(far?.times.length, 89);
  assert.equal(far?.times.at(-1), 999 * 2_000);
  assert.equal(far?.values.rate?.at(-1), 997);
  assert.equal(far?.values.peak?.at(-1), 999);
  assert.equal(far?.values.peak?.at(0), 999 - 88 * 5);
});

test('what is not known is NaN, and is left out of what follows from it', () => {
  const { ring } = filled(10, step => ({ rate: step % 2 === 0 ? Number.NaN : step, peak: Number.NaN }));
  const far = ring.read('a', 900_000);
  assert.deepEqual([...(far?.values.rate ?? [])], [2, 7]);
  assert.deepEqual([...(far?.values.peak ?? [])], [Number.NaN, Number.NaN]);
});

test('a step under way is not read, a row beyond the limit is not kept, one that is not written is forgotten', () => {
  const { ring, timeline } = filled(3, step => ({ rate: step, peak: 0 }));
  ring.write('a', { rate: 77, peak: 77 });
  assert.deepEqual([...(ring.read('a', 60_000)?.values.rate ?? [])], [0, 1, 2]);
  assert.ok(ring.write('b', { rate: 1, peak: 1 }));
  assert.ok(!ring.write('c', { rate: 1, peak: 1 }));
  timeline.commit(6_000);
  assert.deepEqual(
    [...(ring.read('b', 60_000, ['rate'])?.values.rate ?? [])],
    [Number.NaN, Number.NaN, Number.NaN, 1],
  );
  ring.dropUnwritten();
  ring.write('a', { rate: 1, peak: 1 });
  ring.dropUnwritten();
  assert.ok(ring.read('a', 60_000));
  assert.equal(ring.read('b', 60_000), undefined);
  assert.ok(ring.write('c', { rate: 1, peak: 1 }));
});

test('rings that have turned many times over read as those that have not', () => {
  for (const steps of [1, 4, 5, 89, 90, 91, 449, 450, 451, 455]) {
    const { ring } = filled(steps, step => ({ rate: step, peak: step }));
    const near = ring.read('a', 180_000);
    const expected = Array.from({ length: Math.min(steps, 89) }, (_, n) => steps - Math.min(steps, 89) + n);
    assert.deepEqual([...(near?.values.rate ?? [])], expected, `${steps} steps`);
    const far = ring.read('a', 900_000);
    const ends = far?.times.map(time => time / 2_000);
    assert.deepEqual([...(far?.values.peak ?? [])], ends, `${steps} steps`);
    assert.equal(ends?.length, Math.min(Math.floor(steps / 5), 89));
  }
});
