import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, mediansOfOthers } from '../../../src/telemetry/findings/evidence.ts';
import { generator } from '../../support/seed.ts';

test('the median of the others is that of the list without the one', () => {
  const random = generator();
  for (let n = 0; n < 200; n++) {
    const values = Array.from({ length: Math.floor(random() * 9) }, () =>
      random() < 0.2 ? Number.NaN : Math.floor(random() * 5),
    );
    const expected = values.map((_, at) => median(values.filter((_, other) => other !== at)));
    assert.deepEqual(mediansOfOthers(values), expected, `of ${values}`);
  }
});
