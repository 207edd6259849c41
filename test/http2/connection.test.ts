import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCode, Http2Context } from '../../src/http2/http2.ts';
import {
  asking,
  block,
  client,
  END_STREAM,
  Endpoint,
  find,
  frame,
  framesOf,
  goawayOf,
  HELLO,
  headers,
  OK,
  PREFACE,
  REQUEST,
  resetCode,
  SETTINGS,
  SETTINGS_ACK,
  server,
  TRAILERS,
  WHOLE,
  word,
} from './support.ts';

test('what each side begins with', () => {
  const fromServer = framesOf(new Endpoint('server').take());
  assert.deepEqual(
    fromServer.map(each => each.type),
    [4, 8],
  );
  assert.equal(fromServer[0]?.payload.toString('hex'), '000300000064' + '000400010000' + '000600010000');
  assert.equal(fromServer[1]?.payload.readUInt32BE(0), 1024 ** 2 - 65_535);

  const bytes = new Endpoint('client').take();
  assert.ok(bytes.subarray(0, PREFACE.length).equals(PREFACE));
  const fromClient = framesOf(bytes.subarray(PREFACE.length));
  assert.equal(fromClient[0]?.payload.toString('hex'), '000200000000' + '000400010000' + '000600010000');
});

test('a unary call, frame by frame', () => {
  const peer = server();
  peer.receive(Buffer.concat([headers(1), frame(0, END_STREAM, 1, 'hello')]));
  assert.deepEqual(peer.heads, [
    { id: 1, fields: REQUEST.map(each => [...each]), kind: 'REQUEST', endStream: false },
  ]);
  assert.equal(peer.body(1).toString(), 'hello');
  assert.deepEqual(peer.ended, [1]);

  const { connection } = peer;
  const context = new Http2Context();
  const reply = Buffer.from('world');
  connection.sendList(0, context.listOf(OK), false);
  assert.equal(connection.sendData(0, reply, 0, 5, false), 5);
  assert.deepEqual(peer.closedIds, []);
  connection.sendList(0, context.listOf(TRAILERS), true);
  assert.deepEqual(peer.closedIds, [1]);
  assert.equal(connection.openStreams, 0);

  const other = client();
  const slot = other.connection.open();
  other.connection.sendList(slot, context.listOf(REQUEST), true);
  other.receive(peer.take());
  assert.deepEqual(
    other.heads.map(each => [each.kind, each.endStream]),
    [
      ['RESPONSE', false],
      ['TRAILERS', true],
    ],
  );
  assert.equal(other.body(1).toString(), 'world');
  assert.deepEqual(other.closedIds, [1]);
  assert.equal(other.error, undefined);
});

test('trailers-only keeps its END_STREAM; 1xx go by before', () => {
  const { peer } = asking();
  peer.receive(
    Buffer.concat([
      headers(1, [
        [':status', '103'],
        ['link', 'x'],
      ]),
      headers(1, [...OK, ...TRAILERS], WHOLE),
    ]),
  );
  assert.deepEqual(
    peer.heads.map(each => [each.kind, each.endStream]),
    [
      ['INFORMATIONAL', false],
      ['RESPONSE', true],
    ],
  );
  assert.deepEqual(peer.closedIds, [1]);
  assert.deepEqual(peer.resets, []);
});

/** What ends the connection, with the code of its GOAWAY. */
const FATAL: [what: string, bytes: Buffer, fault: string, code: number][] = [
  ['DATA on an idle stream', frame(0, 0, 1, 'x'), 'STREAM_IDLE', 1],
  ['RST_STREAM on an idle stream', frame(3, 0, 1, word(0)), 'STREAM_IDLE', 1],
  ['WINDOW_UPDATE on an idle stream', frame(8, 0, 1, word(1)), 'STREAM_IDLE', 1],
  ['an even stream', headers(2), 'STREAM_ID', 1],
  ['a stream below the last', Buffer.concat([headers(5, REQUEST, WHOLE), headers(3)]), 'STREAM_ID', 1],
  ['CONTINUATION alone', frame(9, 4, 1, 'x'), 'CONTINUATION_ALONE', 1],
  [
    'another frame within a header block',
    Buffer.concat([headers(1, REQUEST, 0), frame(6, 0, 0, Buffer.alloc(8))]),
    'HEADERS_INTERRUPTED',
    1,
  ],
  [
    'DATA within a header block',
    Buffer.concat([headers(1, REQUEST, 0), frame(0, 0, 1, 'x')]),
    'HEADERS_INTERRUPTED',
    1,
  ],
  [
    'an unknown frame within a header block',
    Buffer.concat([headers(1, REQUEST, 0), frame(0x42, 0, 1, 'x')]),
    'HEADERS_INTERRUPTED',
    1,
  ],
  [
    'CONTINUATION of another stream',
    Buffer.concat([headers(1, REQUEST, 0), frame(9, 4, 3, 'x')]),
    'HEADERS_INTERRUPTED',
    1,
  ],
  ['a header block that is no HPACK', frame(1, 4, 1, Buffer.from('80', 'hex')), 'HPACK', 9],
  ['HEADERS with too much padding', frame(1, 12, 1, Buffer.from([9, 1, 2])), 'PADDING', 1],
  ['HEADERS padded, of 0 octets', frame(1, 12, 1), 'FRAME_LENGTH', 6],
  ['HEADERS with priority, of 4 octets', frame(1, 0x24, 1, Buffer.alloc(4)), 'FRAME_LENGTH', 6],
  ['PUSH_PROMISE', frame(5, 4, 1, word(2)), 'PUSH', 1],
  ['WINDOW_UPDATE of the connection by 0', frame(8, 0, 0, word(0)), 'WINDOW_ZERO', 1],
  ['a connection window above 2^31-1', frame(8, 0, 0, word(0x7fffffff)), 'WINDOW_OVERFLOW', 3],
  ['SETTINGS with ACK and a payload', frame(4, 1, 0, Buffer.alloc(6)), 'FRAME_LENGTH', 6],
  ['SETTINGS of 5 octets', frame(4, 0, 0, Buffer.alloc(5)), 'FRAME_LENGTH', 6],
  ['ENABLE_PUSH 2', frame(4, 0, 0, Buffer.from('000200000002', 'hex')), 'SETTING_VALUE', 1],
  ['INITIAL_WINDOW_SIZE 2^31', frame(4, 0, 0, Buffer.from('000480000000', 'hex')), 'SETTING_WINDOW', 3],
  ['MAX_FRAME_SIZE 16383', frame(4, 0, 0, Buffer.from('000500003fff', 'hex')), 'SETTING_VALUE', 1],
  ['MAX_FRAME_SIZE 2^24', frame(4, 0, 0, Buffer.from('000501000000', 'hex')), 'SETTING_VALUE', 1],
  ['PRIORITY of 4 octets on an idle stream', frame(2, 0, 1, Buffer.alloc(4)), 'FRAME_LENGTH', 6],
  [
    'HEADERS on a stream that its client has reset',
    Buffer.concat([headers(1), frame(3, 0, 1, word(8)), headers(1)]),
    'STREAM_OVER',
    5,
  ],
  ['a frame longer than announced', frame(0x42, 0, 0, Buffer.alloc(16_385)), 'FRAME_TOO_LONG', 6],
  [
    'a GOAWAY that names more than before',
    Buffer.concat([frame(7, 0, 0, Buffer.alloc(8)), frame(7, 0, 0, Buffer.concat([word(1), word(0)]))]),
    'GOAWAY_GREW',
    1,
  ],
];

for (const [what, bytes, fault, code] of FATAL) {
  test(`connection error: ${what}`, () => {
    const peer = server();
    peer.receive(bytes);
    assert.equal(peer.error?.fault, fault);
    assert.equal(goawayOf(peer)?.code, code);
    assert.equal(peer.connection.ended, true);
    assert.equal(peer.connection.openStreams, 0);
    const heard = peer.heads.length;
    peer.receive(headers(101));
    assert.equal(peer.heads.length, heard, 'nothing is read any more');
  });
}

test('a stream below the last one that was opened is over, not idle', () => {
  const peer = server();
  peer.receive(Buffer.concat([headers(5, REQUEST, WHOLE), frame(0, 0, 3, 'x')]));
  assert.equal(peer.error, undefined); // implicitly closed long ago, as far as can be told
});

test('the preface: nothing but SETTINGS may come first', () => {
  const first = (role: 'client' | 'server', bytes: Buffer) => {
    const peer = new Endpoint(role);
    peer.receive(bytes);
    return peer.error?.fault;
  };
  assert.equal(first('server', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')), 'BAD_PREFACE');
  assert.equal(first('server', Buffer.concat([PREFACE, headers(1)])), 'NO_SETTINGS');
  assert.equal(first('server', Buffer.concat([PREFACE, SETTINGS_ACK])), 'NO_SETTINGS');
  assert.equal(first('server', Buffer.concat([PREFACE, frame(0, 0, 1, 'x')])), 'NO_SETTINGS');
  assert.equal(first('client', frame(6, 0, 0, Buffer.alloc(8))), 'NO_SETTINGS');
  assert.equal(first('server', HELLO), undefined);
  // A server that switches push on, and one that pushes.
  assert.equal(first('client', frame(4, 0, 0, Buffer.from('000200000001', 'hex'))), 'SETTING_VALUE');
  assert.equal(first('client', Buffer.concat([SETTINGS, frame(5, 4, 1, word(2))])), 'PUSH');
});

test('faults of a stream leave the connection and the other streams alone', () => {
  const cases: [what: string, bytes: Buffer, code: number][] = [
    ['DATA after END_STREAM', Buffer.concat([headers(1, REQUEST, WHOLE), frame(0, 0, 1, 'x')]), 5],
    ['HEADERS after END_STREAM', Buffer.concat([headers(1, REQUEST, WHOLE), headers(1, TRAILERS, WHOLE)]), 5],
    [
      'DATA after the client reset it',
      Buffer.concat([headers(1), frame(3, 0, 1, word(8)), frame(0, 0, 1, 'x')]),
      5,
    ],
    ['trailers without END_STREAM', Buffer.concat([headers(1), headers(1, TRAILERS)]), 1],
    ['WINDOW_UPDATE by 0', Buffer.concat([headers(1), frame(8, 0, 1, word(0))]), 1],
    ['a window above 2^31-1', Buffer.concat([headers(1), frame(8, 0, 1, word(0x7fffffff))]), 3],
    ['PRIORITY of 4 octets', Buffer.concat([headers(1), frame(2, 0, 1, Buffer.alloc(4))]), 6],
    ['PRIORITY on itself', Buffer.concat([headers(1), frame(2, 0, 1, Buffer.from('0000000110', 'hex'))]), 1],
    [
      'HEADERS that depend on themselves',
      frame(1, 0x24, 1, Buffer.concat([Buffer.from('0000000110', 'hex'), block(REQUEST)])),
      1,
    ],
    [
      'more DATA than its window',
      Buffer.concat([headers(1), ...Array.from({ length: 5 }, () => frame(0, 0, 1, Buffer.alloc(16_384)))]),
      3,
    ],
  ];
  for (const [what, bytes, code] of cases) {
    const peer = server();
    peer.autoCredit = false;
    peer.receive(bytes);
    assert.equal(resetCode(peer, 1), code, what);
    assert.equal(peer.error, undefined, what);
    peer.receive(headers(3));
    assert.equal(peer.heads.at(-1)?.id, 3, what);
    assert.equal(peer.connection.openStreams, 1, what);
  }
});

test('DATA before HEADERS of a response', () => {
  const { peer } = asking();
  peer.receive(frame(0, 0, 1, 'x'));
  assert.equal(resetCode(peer, 1), ErrorCode.PROTOCOL_ERROR);
});

test('unknown frames, flags and settings are ignored, PRIORITY too', () => {
  const peer = server();
  peer.receive(
    Buffer.concat([
      frame(0x42, 0xff, 7, 'whatever'),
      frame(4, 0, 0, Buffer.from('00ff00000001', 'hex')),
      frame(2, 0, 9, Buffer.from('0000000310', 'hex')),
      frame(1, 0xd5 & ~8 & ~0x20, 1, block(REQUEST)),
    ]),
  );
  assert.equal(peer.error, undefined);
  assert.equal(peer.heads.length, 1);
});

test('PING and SETTINGS are answered', () => {
  const peer = server();
  peer.receive(Buffer.concat([frame(6, 0, 0, Buffer.from('0102030405060708', 'hex')), SETTINGS]));
  const frames = framesOf(peer.take());
  assert.deepEqual(
    frames.map(each => [each.type, each.flags, each.payload.toString('hex')]),
    [
      [6, 1, '0102030405060708'],
      [4, 1, ''],
    ],
  );
  peer.connection.ping(1, 2);
  peer.receive(frame(6, 1, 0, find(framesOf(peer.take()), 6)?.payload));
  assert.deepEqual(peer.pongs, [[1, 2]]);
});
