/** Each attack of the known ones against one connection: it is told off or cut off, and nothing grows meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCode, Http2Context } from '../../src/http2/http2.ts';
import {
  asking,
  block,
  client,
  END_STREAM,
  type Endpoint,
  find,
  frame,
  framesOf,
  goawayOf,
  headers,
  OK,
  OPEN,
  REQUEST,
  SETTINGS,
  server,
  TRAILERS,
  WHOLE,
  word,
} from './support.ts';

/**
 * Sends the same again and again, as one who reads all answers, until the connection ends.
 *
 * @returns how often, `most` where it did not end
 */
function repeat(peer: Endpoint, most: number, bytes: (i: number) => Buffer): number {
  for (let i = 0; i < most; i++) {
    peer.receive(bytes(i));
    if (peer.connection.ended) return i;
    peer.take();
  }
  return most;
}

test('rapid reset (CVE-2023-44487): asked to leave at 75 %, cut off at 100 %', () => {
  const peer = server();
  let told = -1;
  let i = 0;
  for (; !peer.connection.ended && i < 2000; i++) {
    peer.receive(Buffer.concat([headers(i * 2 + 1), frame(3, 0, i * 2 + 1, word(8))]));
    if (peer.connection.ended) break;
    const goaway = find(framesOf(peer.take()), 7);
    if (goaway !== undefined && told < 0) {
      told = i + 1;
      assert.equal(goaway.payload.readUInt32BE(4), ErrorCode.ENHANCE_YOUR_CALM);
      assert.equal(goaway.payload.readUInt32BE(0), i * 2 + 1);
    }
  }
  assert.equal(told, 750);
  // After the GOAWAY its streams are not even looked at, so that resetting them is what strays are.
  assert.ok(i < 750 + 505, `${i}`);
  assert.equal(peer.error?.fault, 'STRAY_FLOOD');
  assert.equal(peer.heads.length, 750);
  assert.equal(goawayOf(peer)?.code, ErrorCode.ENHANCE_YOUR_CALM);
});

test('callers that give up after a while are no rapid reset', () => {
  const peer = server();
  let id = -1;
  for (let round = 0; round < 100; round++) {
    const ids = Array.from({ length: 90 }, () => {
      id += 2;
      return id;
    });
    peer.receive(Buffer.concat(ids.map(each => headers(each))));
    peer.now += 201;
    peer.receive(Buffer.concat(ids.map(each => frame(3, 0, each, word(8)))));
  }
  assert.equal(peer.error, undefined);
  assert.equal(peer.connection.leaving, false);
});

test('callers that hedge cancel every other call at once, for ever', () => {
  const peer = server();
  const answer = new Http2Context().listOf([...OK, ...TRAILERS]);
  for (let i = 0; i < 5000; i++) {
    const id = i * 4 + 1;
    peer.receive(Buffer.concat([headers(id, REQUEST, WHOLE), headers(id + 2, REQUEST, WHOLE)]));
    peer.connection.sendList(0, answer, true);
    peer.receive(frame(3, 0, id + 2, word(8)));
    peer.take();
  }
  assert.equal(peer.error, undefined);
  assert.equal(peer.connection.leaving, false);
});

test('cancelling at a moderate rate goes on for ever', () => {
  const peer = server();
  for (let i = 0; i < 5000; i++) {
    peer.now += 11;
    peer.receive(Buffer.concat([headers(i * 2 + 1), frame(3, 0, i * 2 + 1, word(8))]));
    peer.take();
  }
  assert.equal(peer.error, undefined);
});

test('MadeYouReset (CVE-2025-8671): resets that we are made to send are counted, whatever makes us', () => {
  const ways: ((id: number) => Buffer)[] = [
    id => Buffer.concat([headers(id), frame(8, 0, id, word(0))]),
    id => Buffer.concat([headers(id), frame(8, 0, id, word(0x7fffffff))]),
    id => Buffer.concat([headers(id, REQUEST, WHOLE), frame(0, 0, id, 'x')]),
    id => Buffer.concat([headers(id), frame(2, 0, id, Buffer.alloc(4))]),
    id => headers(id, [...REQUEST, ['connection', 'x']]),
    id => Buffer.concat([headers(id, [...REQUEST, ['content-length', '1']]), frame(0, END_STREAM, id, 'xx')]),
  ];
  for (const way of ways) {
    const peer = server();
    assert.equal(
      repeat(peer, 1000, i => way(i * 2 + 1)),
      500,
    );
    assert.equal(peer.error?.fault, 'FAULT_FLOOD');
    assert.equal(goawayOf(peer)?.code, ErrorCode.ENHANCE_YOUR_CALM);
  }
});

test('many streams: refused beyond the limit, cut off beyond patience', () => {
  const peer = server();
  const sent = repeat(peer, 3000, i => headers(i * 2 + 1));
  assert.equal(sent, 1100);
  assert.equal(peer.heads.length, 100);
  assert.equal(peer.error?.fault, 'RESET_FLOOD');
});

test('CONTINUATION flood: eight frames, empty or not', () => {
  for (const payload of [Buffer.alloc(0), Buffer.alloc(100)]) {
    const peer = server();
    peer.receive(headers(1, REQUEST, 0));
    assert.equal(
      repeat(peer, 20, () => frame(9, 0, 1, payload)),
      8,
    );
    assert.equal(peer.error?.fault, 'CONTINUATION_FLOOD');
  }
  const peer = server();
  const split = block([...REQUEST, ['x-long', 'v'.repeat(4000)]]);
  peer.receive(frame(1, 0, 1, split.subarray(0, 10)));
  for (let i = 0; i < 7; i++) peer.receive(frame(9, 0, 1, split.subarray(10 + i * 100, 110 + i * 100)));
  peer.receive(frame(9, 4, 1, split.subarray(710)));
  assert.equal(peer.heads.length, 1);
  assert.equal(peer.heads[0]?.fields.length, REQUEST.length + 1);
});

test('header blocks are capped while they arrive', () => {
  const peer = server();
  peer.receive(headers(1, REQUEST, 0));
  assert.equal(
    repeat(peer, 8, () => frame(9, 0, 1, Buffer.alloc(16_384))),
    7,
  );
  assert.equal(peer.error?.fault, 'HEADER_BLOCK_LONG');
});

test('header lists too large end their stream, and the connection goes on (HPACK bomb, cookie crumbs)', () => {
  const large = [...REQUEST, ...Array.from({ length: 20 }, (_, i) => [`x-${i}`, 'v'.repeat(3900)] as const)];
  const many = [...REQUEST, ...Array.from({ length: 130 }, () => ['cookie', 'a'] as const)];
  for (const fields of [large, many]) {
    const context = new Http2Context();
    const peer = server({}, context);
    const bytes = block(fields, 0x40);
    const frames: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 16_384) {
      const last = at + 16_384 >= bytes.length;
      frames.push(frame(at === 0 ? 1 : 9, last ? 4 : 0, 1, bytes.subarray(at, at + 16_384)));
    }
    peer.receive(Buffer.concat(frames));
    assert.equal(peer.heads.length, 0);
    assert.equal(context.faults.stream.HEADERS_LARGE, 1);
    const rst = find(framesOf(peer.take()), 3);
    assert.equal(rst?.payload.readUInt32BE(0), ErrorCode.ENHANCE_YOUR_CALM);
    // The table is what it has to be: the newest entry is the last field.
    peer.receive(frame(1, WHOLE, 3, Buffer.concat([block(REQUEST), Buffer.from([0xbe])])));
    assert.deepEqual(peer.heads[0]?.fields.at(-1), [...(fields.at(-1) ?? [])]);
  }
});

test('PING flood: the bucket, and what is earned by frames of ours', () => {
  const peer = server();
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  assert.equal(
    repeat(peer, 3000, () => ping),
    1000,
  );
  assert.equal(peer.error?.fault, 'PING_FLOOD');

  // grpc-go sends one for each round trip that brought DATA.
  const busy = server();
  busy.receive(Buffer.concat([headers(1), frame(8, 0, 0, word(1 << 30)), frame(8, 0, 1, word(1 << 30))]));
  busy.connection.sendList(0, new Http2Context().listOf(OK), false);
  for (let i = 0; i < 5000; i++) {
    busy.connection.sendData(0, Buffer.alloc(10), 0, i % 2 === 0 ? 10 : 5, false);
    busy.receive(ping);
    busy.take();
  }
  assert.equal(busy.error?.fault, undefined);
});

test('PING flood without reading: the output stays bounded', () => {
  const peer = server({ outputBytesHard: 5000, pings: { burst: 1e9, perSecond: 0 } });
  for (let i = 0; i < 10_000 && !peer.connection.ended; i++) peer.receive(frame(6, 0, 0, Buffer.alloc(8)));
  assert.equal(peer.error?.fault, 'OUTPUT_FLOOD');
  assert.ok(peer.connection.outputBytes < 5200);
});

test('calls without reading the answers: the output stays bounded', () => {
  const limits = { outputBytesHard: 50_000 };
  const peer = server(limits);
  const answer = new Http2Context().listOf([...OK, ...TRAILERS, ['x-long', 'v'.repeat(1000)]]);
  peer.onHeaders = slot => peer.connection.sendList(slot, answer, true);
  const plain = new Http2Context({ rememberBlocks: false });
  const other = server(limits, plain);
  const text = plain.names.named('x-long');
  other.onHeaders = slot => {
    other.connection.beginHeaders(slot);
    other.connection.addList(answer);
    other.connection.addText(text, 'v'.repeat(1000));
    other.connection.endHeaders(true);
  };
  for (const each of [peer, other]) {
    for (let id = 1; id < 400_000 && !each.connection.ended; id += 2)
      each.receive(headers(id, REQUEST, WHOLE));
    assert.equal(each.error?.fault, 'OUTPUT_FLOOD');
    assert.ok(each.connection.outputBytes < 50_000 + 4096);
  }
});

test('SETTINGS flood', () => {
  const peer = server();
  assert.equal(
    repeat(peer, 1000, () => SETTINGS),
    99,
  ); // one has come with the preface
  assert.equal(peer.error?.fault, 'SETTINGS_FLOOD');
});

test('empty and tiny DATA', () => {
  const nothing: Buffer[] = [
    frame(0, 0, 1),
    frame(0, 8, 1, Buffer.from([0])),
    frame(0, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)])),
    frame(0, 0, 1, 'x'),
  ];
  for (const bytes of nothing) {
    const peer = server();
    peer.receive(headers(1));
    assert.equal(
      repeat(peer, 3000, () => bytes),
      1000,
    );
    assert.equal(peer.error?.fault, 'EMPTY_DATA_FLOOD');
  }
  // Whole gRPC messages, however small, are none of that; nor are remainders between full frames.
  const peer = server();
  peer.receive(headers(1));
  const message = frame(0, 0, 1, Buffer.alloc(5));
  assert.equal(
    repeat(peer, 5000, () => message),
    5000,
  );
  const mixed = Buffer.concat([frame(0, 0, 1, Buffer.alloc(2000)), frame(0, 0, 1, 'xyz')]);
  assert.equal(
    repeat(peer, 5000, () => mixed),
    5000,
  );
});

test('PRIORITY and WINDOW_UPDATE floods', () => {
  const peer = server();
  assert.equal(
    repeat(peer, 5000, () => frame(2, 0, 9, Buffer.from('0000000310', 'hex'))),
    1000,
  );
  assert.equal(peer.error?.fault, 'PRIORITY_FLOOD');
  const other = server();
  assert.equal(
    repeat(other, 5000, () => frame(8, 0, 0, word(1))),
    2000,
  );
  assert.equal(other.error?.fault, 'WINDOW_FLOOD');
});

test('frames that are only ignored: unknown types, strays', () => {
  const unknown = server();
  assert.equal(
    repeat(unknown, 3000, () => frame(0x42, 0, 0)),
    1000,
  );
  assert.equal(unknown.error?.fault, 'STRAY_FLOOD');
  const stray = server();
  stray.receive(headers(1));
  stray.connection.reset(0, ErrorCode.CANCEL);
  assert.equal(
    repeat(stray, 3000, () => frame(3, 0, 1, word(8))),
    1000,
  );
  assert.equal(stray.error?.fault, 'STRAY_FLOOD');
});

test('late frames of streams that we reset are no attack, however many streams', () => {
  const list = new Http2Context().listOf(REQUEST);
  // Many times some of them, and thousands at once: a caller that goes away with all that it has open.
  for (const [rounds, atOnce] of [
    [300, 80],
    [3, 4_000],
  ] as const) {
    const peer = client();
    peer.receive(frame(4, 0, 0, Buffer.from('00030000ffff', 'hex')));
    for (let round = 0; round < rounds; round++) {
      const slots = Array.from({ length: atOnce }, () => {
        const slot = peer.connection.open();
        peer.connection.sendList(slot, list, true);
        return slot;
      });
      const ids = slots.map(slot => peer.connection.streamId(slot));
      for (const slot of slots) peer.connection.reset(slot, ErrorCode.CANCEL);
      for (const id of ids) {
        const answer = [headers(id, OK), frame(0, 0, id, 'reply'), headers(id, TRAILERS, WHOLE)];
        peer.receive(Buffer.concat([...answer, frame(3, 0, id, word(0))]));
      }
      peer.take();
      assert.equal(peer.error?.fault, undefined, `${rounds} × ${atOnce}, round ${round}`);
    }
    assert.deepEqual(peer.heads, []);
  }
});

test('a reader that does not read: DATA waits outside, the output stays bounded', () => {
  const { peer, slot } = asking(false);
  peer.receive(Buffer.concat([frame(8, 0, 0, word(1 << 30)), frame(8, 0, 1, word(1 << 30))]));
  const bytes = Buffer.alloc(1 << 20);
  const taken = peer.connection.sendData(slot, bytes, 0, bytes.length, false);
  assert.ok(taken > 200_000 && taken <= 256 * 1024);
  assert.equal(peer.connection.sendData(slot, bytes, 0, 100, false), 0);
  let woken = 0;
  peer.onWritable = () => woken++;
  peer.connection.take();
  assert.equal(woken, 0);
  peer.connection.written();
  assert.equal(woken, 1);
});

test('a stalled stream is bounded by its window and does not stall its neighbours', () => {
  const peer = server();
  peer.autoCredit = false;
  peer.keepBodies = false;
  // 99 streams are filled and never credited.
  for (let i = 0; i < 99; i++) {
    const id = i * 2 + 1;
    peer.receive(headers(id));
    for (let k = 0; k < 4; k++) peer.receive(frame(0, 0, id, Buffer.alloc(16_384)));
    peer.take();
  }
  assert.equal(peer.error, undefined);
  assert.equal(peer.connection.heldBytes, 99 * 65_536);
  // The last one still gets its megabytes through.
  peer.receive(headers(301, REQUEST, OPEN));
  peer.onData = (slot, _, start, end) => peer.connection.credit(slot, end - start);
  for (let k = 0; k < 500; k++) peer.receive(frame(0, 0, 301, Buffer.alloc(16_384)));
  assert.equal(peer.error, undefined);
  assert.equal(peer.resets.length, 0);
  // What was held is let go of with its stream.
  peer.receive(frame(3, 0, 1, word(8)));
  assert.equal(peer.connection.heldBytes, 98 * 65_536);
});

test('what all streams hold together is bounded as well', () => {
  const peer = server({ heldBytes: 200_000, connectionWindowBytes: 100_000 });
  peer.autoCredit = false;
  let sent = 0;
  let slots = 0;
  for (; !peer.connection.ended && slots < 50; slots++) {
    peer.receive(headers(slots * 2 + 1));
    for (let k = 0; k < 4 && !peer.connection.ended; k++) {
      peer.receive(frame(0, 0, slots * 2 + 1, Buffer.alloc(16_384)));
      sent += 16_384;
      peer.connection.take();
      peer.connection.written();
    }
  }
  assert.equal(peer.error?.fault, 'WINDOW_OVERRUN', 'the peer went beyond what it was given');
  assert.ok(sent <= 200_000 + 100_000 + 16_384, `${sent}`);
});
