import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMessage, encodeMessage } from '../../src/grpc/message.ts';
import { seeded } from '../support/seed.ts';

test('golden texts', () => {
  const cases: [string, string][] = [
    ['', ''],
    ['backend a is gone', 'backend a is gone'],
    ['100%', '100%25'],
    [
      '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n',
      '%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A',
    ],
    [' led and trailed ', '%20led and trailed%20'],
    ['a', 'a'],
    [' ', '%20'],
    ['\u007f', '%7F'],
  ];
  for (const [plain, wire] of cases) {
    assert.equal(encodeMessage(plain), wire);
    assert.equal(decodeMessage(wire), plain);
  }
});

test('bad escapes stay, bad UTF-8 is replaced, nothing throws', () => {
  assert.equal(decodeMessage('%'), '%');
  assert.equal(decodeMessage('%4'), '%4');
  assert.equal(decodeMessage('%zz%41'), '%zzA');
  assert.equal(decodeMessage('a%c3%28'), 'a\ufffd(');
  assert.equal(decodeMessage('%e2%98%ba'), '\u263a');
  assert.equal(encodeMessage('\ud800'), '%EF%BF%BD');
});

test('any text comes back, and the wire has only what a field value may hold', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 64 }), text => {
      const wire = encodeMessage(text);
      assert.match(wire, /^(?:[!-~](?:[ -~]*[!-~])?)?$/);
      assert.equal(decodeMessage(wire), text);
    }),
    seeded(),
  );
});
