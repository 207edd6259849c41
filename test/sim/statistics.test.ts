import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/sim/random.ts';
import { estimate, pairedRatio } from '../../src/sim/statistics.ts';

test('the interval of a mean is by Student', () => {
  const { mean, low, high } = estimate([1, 2, 3, 4, 5]);
  // Standard deviation √2.5, t(4) = 2.776.
  assert.equal(mean, 3);
  assert.ok(Math.abs(high - (3 + (2.776 * Math.sqrt(2.5)) / Math.sqrt(5))) < 1e-9);
  assert.ok(Math.abs(low + high - 6) < 1e-9);
  assert.ok(Number.isNaN(estimate([1]).high));
});

test('it holds the true mean in 95 of 100 cases', () => {
  const random = new Random(11, 0);
  for (const values of [5, 20, 60]) {
    let held = 0;
    for (let n = 0; n < 2_000; n++) {
      const { low, high } = estimate(Array.from({ length: values }, () => random.normal()));
      if (low <= 0 && high >= 0) held++;
    }
    // The standard deviation of the share is 0.5 %.
    assert.ok(Math.abs(held / 2_000 - 0.95) < 0.02, `${values} values: ${held} of 2,000`);
  }
});

test('a ratio is of pairs: what is harder for both falls out, and the inverse tells the same', () => {
  const others = [10, 100, 1_000, 50];
  const values = others.map((value, n) => value * (n % 2 === 0 ? 0.5 : 0.52));
  const ratio = pairedRatio(values, others);
  const inverse = pairedRatio(others, values);
  assert.ok(ratio.high < 0.56, `${ratio.high}`);
  assert.ok(Math.abs(ratio.mean * inverse.mean - 1) < 1e-12);
  assert.ok(Math.abs(ratio.low * inverse.high - 1) < 1e-12);
  assert.ok(Number.isNaN(pairedRatio([0], [1]).mean), 'nothing is no ratio');
});
