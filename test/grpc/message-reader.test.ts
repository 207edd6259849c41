import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageReader } from '../../src/grpc/message-reader.ts';
import { seeded } from '../support/seed.ts';

const MOST = 5_000;

function framed(content: Uint8Array, flag = 0, length = content.length): Buffer {
  const bytes = Buffer.alloc(5 + content.length);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  bytes.set(content, 5);
  return bytes;
}

class Taker {
  readonly got: { content: Buffer; compressed: boolean }[] = [];
  most = Number.POSITIVE_INFINITY;

  message(octets: Buffer, compressed: boolean): void {
    this.got.push({ content: Buffer.from(octets), compressed });
  }

  get over(): boolean {
    return this.got.length >= this.most;
  }
}

test('messages come whole and in order, whatever the slices are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 30 }),
      (contents, cuts) => {
        const bytes = Buffer.concat(contents.map((content, i) => framed(content, i % 2)));
        const reader = new MessageReader(MOST);
        const taker = new Taker();
        // All slices are read into one buffer, as a socket's are: nothing may be kept by reference.
        const shared = Buffer.alloc(4_000);
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = Math.min(bytes.length, at + (cuts[i % cuts.length] as number));
          bytes.copy(shared, 7, at, end);
          assert.equal(reader.read(shared, 7, 7 + end - at, taker), undefined);
          shared.fill(0xee);
          at = end;
        }
        assert.deepEqual(
          taker.got,
          contents.map((content, i) => ({ content: Buffer.from(content), compressed: i % 2 === 1 })),
        );
        assert.ok(reader.atBoundary);
        assert.equal(reader.held, 0);
      },
    ),
    seeded(),
  );
});

test('what is held grows by what has come, not by what a prefix says', () => {
  const reader = new MessageReader(2 ** 30);
  const taker = new Taker();
  const prefix = framed(Buffer.alloc(0), 0, 2 ** 30);
  reader.read(prefix, 0, prefix.length, taker);
  assert.ok(reader.held <= 512, `${reader.held} octets`);
  const chunk = Buffer.alloc(1_000);
  for (let i = 0; i < 100; i++) reader.read(chunk, 0, chunk.length, taker);
  assert.ok(reader.held >= 100_000 && reader.held <= 250_000, `${reader.held} octets`);
  assert.ok(!reader.atBoundary);
  reader.drop();
  assert.equal(reader.held, 0);
  assert.ok(reader.atBoundary);
});

for (const cut of [1, 3, 5, 8]) {
  test(`a length above the most and a flag that is none are faults, cut after ${cut}`, () => {
    const faultOf = (bytes: Buffer) => {
      const reader = new MessageReader(MOST);
      const taker = new Taker();
      const first = reader.read(bytes, 0, Math.min(cut, bytes.length), taker);
      assert.equal(taker.got.length, 0);
      return first ?? reader.read(bytes, Math.min(cut, bytes.length), bytes.length, taker);
    };
    assert.equal(faultOf(framed(Buffer.alloc(10), 0, MOST + 1)), 'length');
    assert.equal(faultOf(framed(Buffer.alloc(10), 2)), 'flag');
    assert.equal(faultOf(framed(Buffer.alloc(10), 0, 0xffff_ffff)), 'length');
    assert.equal(faultOf(framed(Buffer.alloc(MOST))), undefined);
  });
}

test('a taker that has enough gets no more', () => {
  const reader = new MessageReader(MOST);
  const taker = new Taker();
  taker.most = 2;
  const bytes = Buffer.concat([1, 2, 3].map(n => framed(Buffer.alloc(n))));
  reader.read(bytes, 0, bytes.length, taker);
  assert.deepEqual(
    taker.got.map(({ content }) => content.length),
    [1, 2],
  );
});
