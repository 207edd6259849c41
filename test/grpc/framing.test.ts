import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageCounter } from '../../src/grpc/framing.ts';
import { seeded } from '../support/seed.ts';

function message(length: number, compressed = 0): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xff);
  bytes[0] = compressed;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

test('messages are counted whatever the slices are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }),
      (lengths, cuts) => {
        const bytes = Buffer.concat(lengths.map((length, i) => message(length, i % 2)));
        const counter = new MessageCounter();
        let told = 0;
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = Math.min(bytes.length, at + (cuts[i % cuts.length] as number));
          told += counter.push(bytes, at, end);
          at = end;
        }
        assert.equal(counter.messages, lengths.length);
        assert.equal(told, lengths.length);
        assert.equal(counter.longest, Math.max(0, ...lengths));
        assert.ok(counter.atBoundary && counter.valid);
      },
    ),
    seeded(),
  );
});

test('a message cut short is not at a boundary', () => {
  const counter = new MessageCounter();
  const bytes = message(10);
  assert.equal(counter.push(bytes, 0, 3), 0);
  assert.equal(counter.atBoundary, false);
  counter.push(bytes, 3, 14);
  assert.equal(counter.messages, 0);
  assert.equal(counter.atBoundary, false);
  assert.equal(counter.push(bytes, 14, 15), 1);
  assert.equal(counter.atBoundary, true);
});

test('lengths above 2^31 are not negative', () => {
  const counter = new MessageCounter();
  counter.push(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 1), 0, 6);
  assert.equal(counter.longest, 0xffffffff);
  assert.equal(counter.messages, 0);
});

test('a flag that is neither 0 nor 1 ends the counting; reset begins again', () => {
  const counter = new MessageCounter();
  const html = Buffer.from('<html>');
  counter.push(html, 0, html.length);
  assert.equal(counter.valid, false);
  counter.push(message(1), 0, 6);
  assert.equal(counter.messages, 0);
  counter.reset();
  assert.equal(counter.push(message(0), 0, 5), 1);
  assert.equal(counter.valid, true);
});
