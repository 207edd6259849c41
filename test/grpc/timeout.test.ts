import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatTimeout, parseTimeout, remainingMs } from '../../src/grpc/timeout.ts';
import { seeded } from '../support/seed.ts';

const parse = (text: string) => {
  const bytes = Buffer.from(`<${text}>`, 'latin1');
  return parseTimeout(bytes, 1, bytes.length - 1);
};

test('every unit is read', () => {
  assert.equal(parse('2H'), 7_200_000);
  assert.equal(parse('3M'), 180_000);
  assert.equal(parse('4S'), 4_000);
  assert.equal(parse('5m'), 5);
  assert.equal(parse('6u'), 0.006);
  assert.ok(Math.abs(parse('7n') - 0.000007) < 1e-12);
  assert.equal(parse('99999999S'), 99_999_999_000);
  assert.equal(parse('0m'), 0);
});

test('what is malformed is NaN', () => {
  for (const text of [
    '',
    'S',
    '1',
    '1s',
    '1h',
    '-1S',
    '+1S',
    ' 1S',
    '1 S',
    '123456789S',
    '1.5S',
    '1SS',
    '1\u00e9',
  ]) {
    assert.ok(Number.isNaN(parse(text)), text);
  }
});

test('formatting', () => {
  assert.equal(formatTimeout(0), '0n');
  assert.equal(formatTimeout(-5), '0n');
  assert.equal(formatTimeout(Number.NaN), '0n');
  assert.equal(formatTimeout(1), '1000000n');
  assert.equal(formatTimeout(99.5), '99500000n');
  assert.equal(formatTimeout(100), '100m');
  assert.equal(formatTimeout(1999.9), '1999m');
  assert.equal(formatTimeout(99_999_999), '99999999m');
  assert.equal(formatTimeout(99_999_999.5), '99999999m');
  assert.equal(formatTimeout(100_000_000), '100000S');
  assert.equal(formatTimeout(Number.POSITIVE_INFINITY), '99999999H');
});

test('what is written is valid, never more than was meant, and less by at most one part in a hundred', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e15, noNaN: true }), ms => {
      const text = formatTimeout(ms);
      assert.match(text, /^\d{1,8}[HMSmun]$/);
      const back = parse(text);
      assert.ok(back <= ms * (1 + 1e-12), text);
      assert.ok(back >= Math.min(ms * 0.99, 99_999_999 * 3_600_000) - 1e-6, `${ms} became ${text}`);
    }),
    seeded(),
  );
});

test('what remains never falls below zero', () => {
  assert.equal(remainingMs(100, 1_000, 1_030), 70);
  assert.equal(remainingMs(100, 1_000, 1_100), 0);
  assert.equal(remainingMs(100, 1_000, 9_000), 0);
});
