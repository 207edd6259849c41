import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConnectionError } from '../../src/http2/errors.ts';
import { FrameWriter } from '../../src/http2/frame-writer.ts';
import { FrameReader, type FrameSink } from '../../src/http2/frames.ts';
import { Output, SlabPool } from '../../src/http2/output.ts';
import { cases, generator, SEED, seeded } from '../support/seed.ts';
import { frame, framesOf, PREFACE, word } from './support.ts';

/** Writes down frames; parts of DATA are joined, so that chunking makes no difference. */
class Log implements FrameSink {
  readonly seen: string[] = [];
  #data = '';
  dataBegins(streamId: number, flags: number, length: number): void {
    this.#data = `DATA ${streamId} ${flags} ${length} `;
  }
  dataPart(buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#data += buffer.toString('hex', start, end);
    if (last) this.seen.push(this.#data);
  }
  dataPadding(octets: number): void {
    this.seen.push(`padding ${octets}`);
  }
  frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    this.seen.push(`${type} ${flags} ${streamId} ${buffer.toString('hex', start, end)}`);
  }
}

function read(bytes: Buffer, cuts: readonly number[] = [], preface = false): string[] {
  const log = new Log();
  const reader = new FrameReader(log, preface, 16_384);
  // Each chunk is wiped after it was read: nothing may refer to it any more.
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = cuts.length === 0 ? bytes.length : (cuts[i % cuts.length] as number);
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    reader.read(chunk, 0, chunk.length);
    chunk.fill(0xee);
    at += size;
  }
  return log.seen;
}

const anyFrame = fc
  .record({
    type: fc.constantFrom(0, 0, 0, 1, 2, 4, 5, 7, 9, 0x42, 0xff),
    flags: fc.constantFrom(0, 1, 4, 5),
    id: fc.integer({ min: 1, max: 0x7fffffff }),
    payload: fc.uint8Array({ minLength: 8, maxLength: 120 }),
    padding: fc.option(fc.integer({ min: 0, max: 255 })),
  })
  .map(({ type, flags, id, payload, padding }) => {
    const where = type === 4 || type === 7 ? 0 : id;
    if (type !== 0 || padding === null) return frame(type, flags, where, Buffer.from(payload));
    const padded = Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]);
    return frame(0, flags | 8, where, padded);
  });

test('the chunks that frames come in make no difference', () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { minLength: 1, maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }),
      (frames, cuts) => {
        const bytes = Buffer.concat([PREFACE, ...frames]);
        const whole = read(bytes, [], true);
        assert.ok(whole.length >= frames.length);
        assert.deepEqual(read(bytes, cuts, true), whole);
        assert.deepEqual(read(bytes, [1], true), whole);
      },
    ),
    seeded(150),
  );
});

test('frames are read as they are written on the wire', () => {
  assert.deepEqual(read(Buffer.from('00000401050000000182868485', 'hex')), ['1 5 1 82868485']);
  assert.deepEqual(read(Buffer.from('0000020001000000036869', 'hex')), ['DATA 3 1 2 6869']);
  assert.deepEqual(read(Buffer.from('0000050009000000030268690000', 'hex')), [
    'DATA 3 9 5 6869',
    'padding 3',
  ]);
  assert.deepEqual(read(Buffer.from('000000000100000003', 'hex')), ['DATA 3 1 0 ']);
  assert.deepEqual(read(Buffer.from('00000100090000000300', 'hex')), ['DATA 3 9 1 ', 'padding 1']);
  // The reserved bit is ignored.
  assert.deepEqual(read(Buffer.from('00000408008000000300000001', 'hex')), ['8 0 3 00000001']);
});

test('headers of frames that break a rule are connection errors', () => {
  const bad: [Buffer, string][] = [
    [frame(0x0, 0, 1, Buffer.alloc(16_385)), 'FRAME_TOO_LONG'],
    [frame(0x42, 0, 1, Buffer.alloc(16_385)), 'FRAME_TOO_LONG'],
    [frame(0x0, 0, 0, 'x'), 'STREAM_ZERO'],
    [frame(0x1, 4, 0, 'x'), 'STREAM_ZERO'],
    [frame(0x2, 0, 0, Buffer.alloc(5)), 'STREAM_ZERO'],
    [frame(0x3, 0, 0, word(1)), 'STREAM_ZERO'],
    [frame(0x9, 0, 0), 'STREAM_ZERO'],
    [frame(0x4, 0, 1), 'STREAM_NOT_ZERO'],
    [frame(0x6, 0, 1, Buffer.alloc(8)), 'STREAM_NOT_ZERO'],
    [frame(0x7, 0, 1, Buffer.alloc(8)), 'STREAM_NOT_ZERO'],
    [frame(0x3, 0, 1, Buffer.alloc(5)), 'FRAME_LENGTH'],
    [frame(0x6, 0, 0, Buffer.alloc(7)), 'FRAME_LENGTH'],
    [frame(0x7, 0, 0, Buffer.alloc(7)), 'FRAME_LENGTH'],
    [frame(0x8, 0, 0, Buffer.alloc(3)), 'FRAME_LENGTH'],
    [frame(0x0, 8, 1), 'FRAME_LENGTH'],
    [frame(0x0, 8, 1, Buffer.from([1])), 'PADDING'],
    [frame(0x0, 8, 1, Buffer.from([3, 0, 0])), 'PADDING'],
  ];
  for (const [bytes, fault] of bad) assert.throws(() => read(bytes), { name: 'ConnectionError', fault });
  assert.throws(() => read(Buffer.from('GET / HTTP/1.1\r\n'), [], true), { fault: 'BAD_PREFACE' });
  assert.throws(() => read(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\rX'), [3], true), {
    fault: 'BAD_PREFACE',
  });
});

test('noise gives frames or a ConnectionError, whatever the chunks', () => {
  const random = generator();
  for (let i = 0; i < cases(2000); i++) {
    const bytes = Buffer.from(Array.from({ length: 80 }, () => (random() < 0.5 ? 0 : random() * 256)));
    const outcome = (cuts: number[]) => {
      try {
        return read(bytes, cuts);
      } catch (error) {
        assert.ok(error instanceof ConnectionError);
        return error.fault;
      }
    };
    assert.deepEqual(outcome([7, 1, 30]), outcome([]), `seed ${SEED}, case ${i}`);
  }
});

function writer(): { out: Output; writer: FrameWriter; written(): Buffer } {
  const out = new Output(new SlabPool(), { output() {} });
  return {
    out,
    writer: new FrameWriter(out),
    written() {
      const bytes = Buffer.concat(out.take());
      out.written();
      return bytes;
    },
  };
}

test('golden octets of what is written', () => {
  const { writer: w, written } = writer();
  w.words(0x3, 0, 5, 8);
  assert.equal(written().toString('hex'), '00000403000000000500000008');
  w.words(0x6, 1, 0, 0x01020304, 0x85060708);
  assert.equal(written().toString('hex'), '0000080601000000000102030485060708');
  w.settings(
    [
      [3, 100],
      [4, 65_536],
    ],
    false,
  );
  assert.equal(written().toString('hex'), '00000c040000000000000300000064000400010000');
  w.settings([], true);
  assert.equal(written().toString('hex'), '000000040100000000');
  w.goaway(0x7fffffff, 0, 'bye');
  assert.equal(written().toString('hex'), '00000b0700000000007fffffff00000000627965');
  w.data(1, Buffer.from('xabcx'), 1, 4, true, 16_384);
  assert.equal(written().toString('hex'), '000003000100000001616263');
});

test('DATA that follows DATA of its stream joins it, and nothing else does', () => {
  const { writer: w, written } = writer();
  const bytes = Buffer.from('abcdef');
  const own = [
    w.data(1, bytes, 0, 2, false, 5),
    w.data(1, bytes, 2, 4, false, 5),
    w.data(1, bytes, 4, 6, false, 5), // would be longer than a frame may be
    w.data(3, bytes, 0, 1, false, 5),
    w.data(3, bytes, 1, 2, true, 5),
    w.data(3, bytes, 2, 3, false, 5), // not after END_STREAM
  ];
  w.words(0x3, 0, 3, 0);
  own.push(w.data(3, bytes, 0, 1, false, 5)); // not past another frame
  assert.deepEqual(own, [true, false, true, true, false, true, true]);
  assert.deepEqual(
    framesOf(written()).map(
      ({ type, flags, id, payload }) => `${type} ${flags} ${id} ${payload.toString('latin1')}`,
    ),
    ['0 0 1 abcd', '0 0 1 ef', '0 1 3 ab', '0 0 3 c', '3 0 3 \0\0\0\0', '0 0 3 a'],
  );
  // Nor into a slab that was taken, even where the next one is the same and as full.
  w.data(1, bytes, 0, 4, false, 16_384); // 13 octets
  written();
  w.words(0x8, 0, 1, 1); // as many
  assert.equal(w.data(1, bytes, 0, 2, false, 16_384), true);
});

test('a header block longer than a frame goes on in CONTINUATION', () => {
  for (const length of [0, 9, 10, 11, 19, 20, 21, 30, 95]) {
    const { out, writer: w, written } = writer();
    out.room(200);
    out.position = 7; // something before it
    const at = out.position;
    out.position += 9;
    for (let i = 0; i < length; i++) out.buffer[out.position++] = i;
    w.headers(3, at, true, 10);
    const frames = framesOf(written().subarray(7));
    assert.deepEqual(
      [...Buffer.concat(frames.map(each => each.payload))],
      Array.from({ length }, (_, i) => i),
    );
    assert.deepEqual(
      frames.map(each => each.type),
      frames.map((_, i) => (i === 0 ? 1 : 9)),
    );
    assert.equal(frames.length, Math.max(1, Math.ceil(length / 10)));
    for (const [i, { flags }] of frames.entries()) {
      assert.equal(flags, (i === 0 ? 1 : 0) | (i === frames.length - 1 ? 4 : 0));
    }
  }
});

test('output crosses slabs without a gap, and slabs come back', () => {
  const pool = new SlabPool();
  const out = new Output(pool, { output() {} });
  const w = new FrameWriter(out);
  const payload = Buffer.from(Array.from({ length: 16_384 }, (_, i) => i));
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20; i++) w.data(i * 2 + 1, payload, 0, payload.length, false, 16_384);
    assert.equal(out.bytes, 20 * 16_393);
    const buffers = out.take();
    assert.equal(out.bytes, 20 * 16_393, 'what is being written still counts');
    const frames = framesOf(Buffer.concat(buffers));
    assert.equal(frames.length, 20);
    for (const each of frames) assert.ok(each.payload.equals(payload));
    w.words(0x8, 0, 0, 1); // while the others are under way
    out.written();
    assert.equal(out.bytes, 13);
    assert.equal(framesOf(Buffer.concat(out.take())).length, 1);
    out.written();
    assert.equal(out.bytes, 0);
  }
});

test('output that outgrows its first slab stays as it is', () => {
  const { out, writer: w, written } = writer();
  const payload = Buffer.from(Array.from({ length: 3000 }, (_, i) => i * 7));
  w.words(0x8, 0, 0, 1);
  const first = out.buffer;
  assert.equal(w.data(1, payload, 0, 3000, false, 16_384), true);
  assert.equal(out.buffer, first);
  assert.equal(w.data(1, payload, 0, 3000, false, 16_384), false, 'joined within the next slab');
  assert.notEqual(out.buffer, first);
  // A header block of which a part is there already.
  const block = out.position;
  out.room(20);
  out.position += 9;
  const head = Buffer.from('first');
  out.position += head.copy(out.buffer, out.position);
  assert.equal(out.roomWithin(5000, block), block);
  out.position += 5000;
  w.headers(3, block, true, 16_384);
  const frames = framesOf(written());
  assert.deepEqual(
    frames.map(each => [each.type, each.id, each.payload.length]),
    [
      [8, 0, 4],
      [0, 1, 6000],
      [1, 3, 5005],
    ],
  );
  assert.ok(frames[1]?.payload.equals(Buffer.concat([payload, payload])));
  assert.ok(frames[2]?.payload.subarray(0, 5).equals(head));
});

test('the listener hears once of output, until it is taken', () => {
  let woken = 0;
  const out = new Output(new SlabPool(), { output: () => woken++ });
  const w = new FrameWriter(out);
  assert.equal(out.take().length, 0);
  w.words(0x8, 0, 0, 1);
  w.words(0x8, 0, 0, 1);
  assert.equal(woken, 1);
  out.take();
  w.words(0x8, 0, 0, 1);
  assert.equal(woken, 2);
});
