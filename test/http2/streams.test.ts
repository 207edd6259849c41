import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCode, Http2Context, NameKind, ResetCause } from '../../src/http2/http2.ts';
import {
  client,
  END_STREAM,
  Endpoint,
  frame,
  framesOf,
  goawayOf,
  HELLO,
  headers,
  OK,
  OPEN,
  REQUEST,
  resetCode,
  SETTINGS_ACK,
  server,
  settle,
  TRAILERS,
  WHOLE,
  word,
} from './support.ts';

test('streams beyond the limit are refused, which is safe to retry', () => {
  const peer = server({ maxConcurrentStreams: 2 });
  peer.receive(Buffer.concat([headers(1), headers(3), headers(5)]));
  assert.equal(resetCode(peer, 5), ErrorCode.REFUSED_STREAM);
  assert.equal(peer.heads.length, 2);
  peer.connection.reset(0, ErrorCode.CANCEL);
  peer.receive(headers(7));
  assert.equal(peer.heads.at(-1)?.id, 7);
});

test('a client opens no more streams than it may', () => {
  // Until the peer has spoken, and where it names no limit.
  assert.equal(new Endpoint('client').connection.peerMaxStreams, 100);
  assert.equal(client().connection.peerMaxStreams, Number.POSITIVE_INFINITY);
  const peer = client();
  peer.receive(frame(4, 0, 0, Buffer.from('000300000002', 'hex')));
  const list = new Http2Context().listOf(REQUEST);
  const [a, b] = [peer.connection.open(), peer.connection.open()];
  assert.equal(peer.connection.open(), -1);
  assert.equal(peer.connection.canOpen, false);
  // Identifiers are given in the order of HEADERS, not of opening.
  peer.connection.sendList(b, list, true);
  peer.connection.sendList(a, list, true);
  assert.deepEqual([peer.connection.streamId(b), peer.connection.streamId(a)], [1, 3]);
  peer.receive(frame(3, 0, 1, word(7)));
  assert.deepEqual(peer.resets, [{ id: 1, code: 7, cause: ResetCause.PEER, fault: undefined }]);
  assert.equal(peer.connection.canOpen, true);
});

test('GOAWAY: streams above its last are given back, the others go on, none is opened', () => {
  const peer = client();
  const list = new Http2Context().listOf(REQUEST);
  const slots = [0, 1, 2].map(() => {
    const slot = peer.connection.open();
    peer.connection.sendList(slot, list, true);
    return slot;
  });
  const unsent = peer.connection.open();
  peer.receive(frame(7, 0, 0, Buffer.concat([word(1), word(0), Buffer.from('bye')])));
  assert.deepEqual(peer.goaways, [{ last: 1, code: 0, debug: 'bye' }]);
  assert.deepEqual(
    peer.resets.map(each => [each.id, each.cause]),
    [
      [3, ResetCause.GOAWAY],
      [5, ResetCause.GOAWAY],
      [0, ResetCause.GOAWAY],
    ],
  );
  assert.equal(peer.connection.isSendable(unsent), false);
  assert.equal(peer.connection.open(), -1);
  assert.equal(peer.connection.leaving, true);
  peer.receive(headers(1, [...OK, ...TRAILERS], WHOLE));
  assert.equal(peer.heads.length, 1);
  assert.equal(peer.connection.openStreams, 0);
  assert.equal(slots.length, 3);
});

test('a graceful end: GOAWAY 2^31-1 and PING, then the real one; later streams are ignored and credited', () => {
  const peer = server();
  peer.receive(headers(1));
  peer.connection.drain();
  const [first, ping] = framesOf(peer.take());
  assert.equal(first?.payload.readUInt32BE(0), 0x7fffffff);
  assert.equal(ping?.type, 6);
  peer.receive(headers(3)); // was under way
  assert.equal(peer.heads.length, 2);
  peer.receive(frame(6, 1, 0, ping?.payload));
  assert.deepEqual(goawayOf(peer), { last: 3, code: 0 });
  assert.deepEqual(peer.pongs, []);

  // RFC 9113 6.8: what comes on streams above counts for the connection's window and for HPACK, and for nothing else.
  peer.receive(headers(5, [...REQUEST, ['x-late', 'a']], OPEN));
  for (let i = 0; i < 40; i++)
    peer.receive(frame(0, 8, 5, Buffer.concat([Buffer.from([255]), Buffer.alloc(16_000)])));
  assert.equal(peer.error, undefined);
  assert.equal(peer.heads.length, 2);
  const updates = framesOf(peer.take()).filter(each => each.type === 8);
  assert.ok(updates.length > 0 && updates.every(each => each.id === 0));
  peer.connection.leave(); // once more changes nothing
  assert.equal(peer.take().length, 0);
});

test('padding and DATA of streams that are over give the connection window back', () => {
  const peer = server();
  peer.receive(headers(1));
  peer.connection.reset(0, ErrorCode.CANCEL);
  peer.take();
  // Ten times the window, so that none of it may be lost; with padding, and cut at odd places.
  const padded = frame(0, 8, 1, Buffer.concat([Buffer.from([200]), Buffer.alloc(1000), Buffer.alloc(200)]));
  let given = 0;
  let sent = 0;
  for (let i = 0; sent < 10 * 1024 ** 2; i++) {
    const chunk = i % 2 === 0 ? padded : frame(0, 0, 1, Buffer.alloc(16_000));
    peer.receive(chunk.subarray(0, 500));
    peer.receive(chunk.subarray(500));
    sent += chunk.length - 9;
    for (const each of framesOf(peer.take())) {
      assert.equal(each.type, 8);
      assert.equal(each.id, 0);
      given += each.payload.readUInt32BE(0);
    }
    assert.equal(peer.error, undefined);
  }
  assert.ok(sent - given < 1024 ** 2);
});

test('padding of a live stream is given back on both levels', () => {
  const peer = server();
  peer.receive(headers(1));
  const padded = frame(0, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.from('data!'), Buffer.alloc(255)]));
  const given = [0, 0];
  for (let i = 0; i < 8000; i++) {
    peer.receive(padded);
    for (const each of framesOf(peer.take()))
      given[each.id] = (given[each.id] ?? 0) + each.payload.readUInt32BE(0);
  }
  assert.equal(peer.error, undefined);
  assert.deepEqual(peer.resets, []);
  assert.ok(8000 * 261 - (given[0] as number) <= 524_288);
  assert.ok(8000 * 261 - (given[1] as number) <= 32_768);
  assert.equal(peer.body(1).length, 40_000);
});

test('what a handler does within an event cannot hurt what comes after it', () => {
  const context = new Http2Context();
  const peer = server({}, context);
  const answer = context.listOf([...OK, ...TRAILERS]);
  // Resets the stream in the middle of its DATA frame.
  peer.onData = slot => peer.connection.reset(slot, ErrorCode.CANCEL);
  const whole = frame(0, END_STREAM, 1, Buffer.alloc(100));
  peer.receive(Buffer.concat([headers(1), whole.subarray(0, 50)]));
  peer.receive(Buffer.concat([whole.subarray(50), headers(3)]));
  assert.equal(peer.body(1).length, 41);
  assert.equal(peer.heads.length, 2);
  // Answers and ends within the event that ends the request: closed comes once, the slot is used again at once.
  peer.onHeaders = slot => peer.connection.sendList(slot, answer, true);
  peer.receive(Buffer.concat([headers(5, REQUEST, WHOLE), headers(7, REQUEST, WHOLE)]));
  assert.deepEqual(peer.closedIds, [1, 5, 7]);
  // Resets what is being reset.
  peer.onReset = slot => peer.connection.reset(slot, ErrorCode.CANCEL);
  peer.receive(frame(3, 0, 3, word(8)));
  assert.deepEqual(peer.closedIds, [1, 5, 7, 3]);
  assert.equal(peer.connection.openStreams, 0);
});

test('an exception of the handler ends its connection, not the process', () => {
  const peer = server();
  peer.onHeaders = slot => {
    peer.connection.beginHeaders(slot);
    throw new Error('mine');
  };
  peer.receive(headers(1));
  assert.equal(peer.error?.fault, 'ENGINE');
  assert.match(String(peer.error?.cause), /mine/);
  assert.deepEqual(goawayOf(peer), { last: 1, code: ErrorCode.INTERNAL_ERROR });
  // And receive still works, on this context too.
  assert.equal(server().error, undefined);
});

test('a lost transport ends every stream once, and nothing is written after', () => {
  const peer = server();
  peer.receive(Buffer.concat([headers(1), headers(3)]));
  peer.connection.lost();
  assert.deepEqual(
    peer.resets.map(each => [each.id, each.cause]),
    [
      [1, ResetCause.CONNECTION],
      [3, ResetCause.CONNECTION],
    ],
  );
  assert.deepEqual(peer.closedIds, [1, 3]);
  peer.connection.lost();
  peer.connection.drain();
  peer.connection.ping(1, 1);
  peer.connection.reset(0, 8);
  assert.equal(peer.closedIds.length, 2);
  assert.equal(peer.take().length, 0);
  assert.throws(() => peer.connection.sendData(0, Buffer.alloc(1), 0, 1, true), /not open/);
});

test('kinds and attachments: a user finds what it has found out before', () => {
  const GRPC_TIMEOUT = NameKind.FIRST_FREE;
  const context = new Http2Context({ classify: name => (name === 'grpc-timeout' ? GRPC_TIMEOUT : 0) });
  const peer = server({}, context);
  let judged = 0;
  peer.onHeaders = (_, list) => {
    if (list.attachment === undefined && list.serial > 0) {
      judged++;
      list.attachment = list.value(list.find(NameKind.PATH));
    }
    assert.ok(list.valueIs(list.find(GRPC_TIMEOUT), '1S'));
  };
  for (let id = 1; id < 41; id += 2) peer.receive(headers(id, [...REQUEST, ['grpc-timeout', '1S']]));
  assert.equal(judged, 1);
});

test('a tag is a number of the user: -1 at first, and still there when the stream is closed', () => {
  const peer = server();
  const tags: number[] = [];
  peer.onHeaders = slot => {
    tags.push(peer.connection.tag(slot));
    peer.connection.setTag(slot, 42);
  };
  peer.closed = slot => tags.push(peer.connection.tag(slot));
  for (let id = 1; id < 7; id += 2) peer.receive(Buffer.concat([headers(id), frame(3, 0, id, word(8))]));
  assert.deepEqual(tags, [-1, 42, -1, 42, -1, 42]);
});

test('smaller windows than the protocol has hold once they are acknowledged', () => {
  const peer = new Endpoint('server', undefined, { streamWindowBytes: 1000 });
  peer.autoCredit = false;
  peer.receive(Buffer.concat([HELLO, headers(1), frame(0, 0, 1, Buffer.alloc(5000))]));
  assert.equal(peer.body(1).length, 5000); // it could not know yet
  peer.receive(Buffer.concat([SETTINGS_ACK, headers(3), frame(0, 0, 3, Buffer.alloc(1000))]));
  assert.equal(peer.resets.length, 0);
  peer.receive(frame(0, 0, 3, Buffer.alloc(10)));
  assert.equal(peer.resets[0]?.fault, 'WINDOW_OVERRUN');
  peer.receive(frame(0, 0, 1, Buffer.alloc(10)));
  assert.equal(peer.resets[1]?.fault, 'WINDOW_OVERRUN');
});

test('two of ours talk to each other', () => {
  const a = new Endpoint('client');
  const b = new Endpoint('server');
  settle(a, b);
  assert.ok(a.connection.established && b.connection.established);
  assert.ok(!a.connection.settingsPending && !b.connection.settingsPending);
  assert.equal(a.connection.peerMaxStreams, 100);
});
