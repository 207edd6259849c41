import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pages } from '../../../src/telemetry/metrics/pages.ts';
import { seeded } from '../../support/seed.ts';

const textOf = (pages: Pages): string => Buffer.concat(pages.end()).toString();

test('what is added comes back, whatever its lengths and its letters', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.record({ unit: fc.constantFrom('a', 'é', '漢', '😀'), count: fc.nat(70_000) }),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 20 }), all => {
      const texts = all.map(one => (typeof one === 'string' ? one : one.unit.repeat(one.count)));
      const pages = new Pages();
      for (const one of texts) pages.add(one);
      assert.equal(textOf(pages), texts.join(''));
    }),
    seeded(100),
  );
});

test('nothing added is nothing', () => assert.deepEqual(new Pages().end(), []));
