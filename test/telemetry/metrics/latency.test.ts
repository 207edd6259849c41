import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BOUNDS,
  BUCKETS,
  Latencies,
  quantile,
  takeSince,
  toldBucketOf,
} from '../../../src/telemetry/metrics/latency.ts';
import { generator } from '../../support/seed.ts';

test('a duration is in the first bucket whose bound it does not exceed', () => {
  const random = generator();
  const latencies = new Latencies();
  latencies.grow(3);
  const edges = BOUNDS.flatMap(bound => [bound, bound * (1 + 1e-9), bound * 0.999]);
  const all = [...edges, ...Array.from({ length: 2_000 }, () => 10 ** (random() * 9 - 6)), 0, 1e9];
  for (const seconds of all) latencies.add(1, seconds * 1000);
  const told = new Float64Array(BOUNDS.length + 1);
  latencies.told(1, told);
  for (const [at, bound] of BOUNDS.entries()) {
    // Durations are counted in whole units of 1/1024 ms.
    const exact = all.filter(
      seconds => Math.ceil(seconds * 1000 * 1024) <= bound * 1000 * 1024 + 1e-6,
    ).length;
    assert.equal(told[at], exact, `le ${bound}`);
  }
  assert.equal(told[BOUNDS.length], all.length);
  const one = new Latencies();
  one.grow(1);
  for (const seconds of [...edges, 0, 100]) {
    one.clear(0);
    one.add(0, seconds * 1000);
    one.told(0, told);
    const first = told.indexOf(1);
    assert.equal(toldBucketOf(seconds * 1000), first, `${seconds} s`);
  }
});

test('a quantile is right within a fifth', () => {
  const random = generator();
  const latencies = new Latencies();
  const before = new Latencies();
  latencies.grow(1);
  before.grow(1);
  latencies.add(0, 1e6);
  takeSince(latencies, 0, before, new Float64Array(BUCKETS));
  const all = Array.from({ length: 5_000 }, () => 0.1 * 10 ** (random() * 5)).sort((a, b) => a - b);
  for (const ms of all) latencies.add(0, ms);
  const counts = new Float64Array(BUCKETS);
  assert.equal(takeSince(latencies, 0, before, counts), all.length);
  for (const q of [0.01, 0.5, 0.9, 0.99, 0.999]) {
    const exact = all[Math.ceil(q * all.length) - 1] as number;
    const told = quantile(counts, q);
    assert.ok(Math.abs(told / exact - 1) < 0.25, `p${q * 100} is ${exact}, told ${told}`);
  }
  assert.equal(takeSince(latencies, 0, before, counts), 0);
});

test('a row that begins anew takes nothing back, and nothing is no quantile', () => {
  const latencies = new Latencies();
  const before = new Latencies();
  latencies.grow(1);
  before.grow(1);
  for (let n = 0; n < 5; n++) latencies.add(0, 3);
  takeSince(latencies, 0, before, new Float64Array(BUCKETS));
  latencies.clear(0);
  const counts = new Float64Array(BUCKETS);
  latencies.add(0, 100);
  assert.equal(takeSince(latencies, 0, before, counts), 1);
  assert.ok(Math.abs(quantile(counts, 0.5) - 100) < 20);
  assert.ok(Number.isNaN(quantile(new Float64Array(BUCKETS), 0.5)));
});
