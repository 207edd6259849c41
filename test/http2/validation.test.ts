import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCode, Http2Context, ResetCause } from '../../src/http2/http2.ts';
import {
  asking,
  END_STREAM,
  type Fields,
  frame,
  headers,
  OK,
  OPEN,
  REQUEST,
  resetCode,
  server,
  TRAILERS,
  WHOLE,
} from './support.ts';

const without = (name: string): Fields => REQUEST.filter(each => each[0] !== name);
const replaced = (name: string, value: string): Fields =>
  REQUEST.map(each => (each[0] === name ? [name, value] : each));

/** RFC 9113 section 8: malformed requests. */
const MALFORMED: [what: string, fields: Fields, fault: string][] = [
  ['an uppercase name', [...REQUEST, ['X-Up', '1']], 'FIELD_NAME'],
  ['an empty name', [...REQUEST, ['', '1']], 'FIELD_NAME'],
  ['a colon in a name', [...REQUEST, ['x:y', '1']], 'FIELD_NAME'],
  ['a space in a name', [...REQUEST, ['x y', '1']], 'FIELD_NAME'],
  ['an octet above 0x7f in a name', [...REQUEST, ['x\u00e4', '1']], 'FIELD_NAME'],
  ['CR in a value', [...REQUEST, ['x', 'a\rb']], 'FIELD_VALUE'],
  ['LF in a value', [...REQUEST, ['x', 'a\nb']], 'FIELD_VALUE'],
  ['NUL in a value', [...REQUEST, ['x', 'a\0b']], 'FIELD_VALUE'],
  ['a space before a value', [...REQUEST, ['x', ' a']], 'FIELD_VALUE'],
  ['a tab behind a value', [...REQUEST, ['x', 'a\t']], 'FIELD_VALUE'],
  ['connection', [...REQUEST, ['connection', 'close']], 'CONNECTION_FIELD'],
  ['keep-alive', [...REQUEST, ['keep-alive', '1']], 'CONNECTION_FIELD'],
  ['proxy-connection', [...REQUEST, ['proxy-connection', 'x']], 'CONNECTION_FIELD'],
  ['transfer-encoding', [...REQUEST, ['transfer-encoding', 'chunked']], 'CONNECTION_FIELD'],
  ['upgrade', [...REQUEST, ['upgrade', 'h2c']], 'CONNECTION_FIELD'],
  ['te: gzip', replaced('te', 'gzip'), 'TE'],
  ['te: trailers, deflate', replaced('te', 'trailers, deflate'), 'TE'],
  ['a pseudo-header after a regular one', [...without(':path'), [':path', '/a/b']], 'PSEUDO_LATE'],
  ['an unknown pseudo-header', [[':protocol', 'x'], ...REQUEST], 'PSEUDO_UNKNOWN'],
  [':status in a request', [[':status', '200'], ...REQUEST], 'PSEUDO_UNKNOWN'],
  ['a doubled :path', [[':path', '/a/b'], ...REQUEST], 'PSEUDO_DOUBLE'],
  ['a doubled :authority', [[':authority', 'a'], ...REQUEST], 'PSEUDO_DOUBLE'],
  ['no :method', without(':method'), 'PSEUDO_MISSING'],
  ['no :scheme', without(':scheme'), 'PSEUDO_MISSING'],
  ['no :path', without(':path'), 'PSEUDO_MISSING'],
  ['an empty :path', replaced(':path', ''), 'PSEUDO_MISSING'],
  [':path without a slash', replaced(':path', 'admin.v1.Admin/Delete'), 'PATH'],
  [':path *', replaced(':path', '*'), 'PATH'],
  ['an empty :method', replaced(':method', ''), 'METHOD'],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'x:1'],
    ],
    'METHOD',
  ],
  ['a :scheme that is none', replaced(':scheme', '1http'), 'METHOD'],
  ['userinfo in :authority', replaced(':authority', 'me:pw@localhost'), 'AUTHORITY'],
  ['a host that differs', [...REQUEST, ['host', 'elsewhere']], 'AUTHORITY'],
  ['two hosts', [...REQUEST, ['host', 'localhost'], ['host', 'elsewhere']], 'AUTHORITY'],
  ['a content-length that is no number', [...REQUEST, ['content-length', '5x']], 'CONTENT_LENGTH'],
  ['a negative content-length', [...REQUEST, ['content-length', '-1']], 'CONTENT_LENGTH'],
  ['two content-lengths', [...REQUEST, ['content-length', '5'], ['content-length', '6']], 'CONTENT_LENGTH'],
];

for (const rememberBlocks of [true, false]) {
  for (const [what, fields, fault] of MALFORMED) {
    test(`refused: ${what}${rememberBlocks ? '' : ' (no memory of blocks)'}`, () => {
      const context = new Http2Context({ rememberBlocks });
      const peer = server({}, context);
      // More than once, so that a memory of blocks would have it by then.
      for (let id = 1; id < 9; id += 2) {
        peer.receive(headers(id, fields));
        assert.equal(resetCode(peer, id), ErrorCode.PROTOCOL_ERROR);
      }
      assert.deepEqual(peer.heads, []);
      assert.equal(context.faults.stream[fault as 'PATH'], 4);
      // The connection goes on, and what else arrives on the refused stream is ignored.
      peer.receive(Buffer.concat([frame(0, END_STREAM, 1, 'late'), headers(11)]));
      assert.equal(peer.heads.length, 1);
      assert.equal(peer.error, undefined);
    });
  }
}

test('a block remembered as a head is judged anew as trailers, and the other way round', () => {
  const context = new Http2Context();
  const peer = server({}, context);
  for (let id = 1; id < 9; id += 2) peer.receive(headers(id, REQUEST, OPEN));
  peer.take();
  peer.receive(headers(1, REQUEST, WHOLE));
  assert.equal(resetCode(peer, 1), ErrorCode.PROTOCOL_ERROR);
  assert.equal(context.faults.stream.PSEUDO_IN_TRAILERS, 1);
  for (let id = 3; id < 9; id += 2) peer.receive(headers(id, TRAILERS, WHOLE));
  peer.receive(headers(9, TRAILERS, WHOLE));
  assert.equal(resetCode(peer, 9), ErrorCode.PROTOCOL_ERROR);
  assert.equal(peer.heads.filter(each => each.kind === 'TRAILERS').length, 3);
});

test('malformed responses end their stream only', () => {
  const bad: [Fields, number, string][] = [
    [TRAILERS, WHOLE, 'PSEUDO_MISSING'],
    [[[':status', '20']], WHOLE, 'STATUS'],
    [[[':status', '2x0']], WHOLE, 'STATUS'],
    [[[':status', '099']], WHOLE, 'STATUS'],
    [[[':status', '101']], OPEN, 'STATUS'],
    [[[':status', '100']], WHOLE, 'INFORMATIONAL_END'],
    [[[':path', '/'], ...OK], WHOLE, 'PSEUDO_UNKNOWN'],
    [[...OK, ['connection', 'close']], WHOLE, 'CONNECTION_FIELD'],
    [[...OK, ['te', 'trailers']], WHOLE, 'CONNECTION_FIELD'],
    [[...OK, ['content-length', '5']], WHOLE, 'CONTENT_LENGTH'],
  ];
  for (const [fields, flags, fault] of bad) {
    const { peer } = asking();
    peer.receive(headers(1, fields, flags));
    assert.deepEqual(peer.resets, [
      { id: 1, code: ErrorCode.PROTOCOL_ERROR, cause: ResetCause.FAULT, fault },
    ]);
    assert.equal(resetCode(peer, 1), ErrorCode.PROTOCOL_ERROR);
    assert.equal(peer.error, undefined);
    assert.equal(peer.connection.openStreams, 0);
  }
});

test('content-length is held against DATA and END_STREAM', () => {
  const cases: [length: string, data: string[], ends: 'data' | 'trailers' | 'head', good: boolean][] = [
    ['5', ['hello'], 'data', true],
    ['5', ['he', 'llo'], 'data', true],
    ['5', ['hello'], 'trailers', true],
    ['0', [], 'head', true],
    ['5', [], 'head', false],
    ['5', ['hell'], 'data', false],
    ['5', ['hell'], 'trailers', false],
    ['5', ['hello!'], 'data', false],
    ['5', ['hello', '!'], 'data', false],
  ];
  for (const [length, data, ends, good] of cases) {
    const peer = server();
    peer.receive(headers(1, [...REQUEST, ['content-length', length]], ends === 'head' ? WHOLE : OPEN));
    for (const [i, part] of data.entries()) {
      peer.receive(frame(0, ends === 'data' && i === data.length - 1 ? END_STREAM : 0, 1, part));
    }
    if (ends === 'trailers') peer.receive(headers(1, TRAILERS, WHOLE));
    assert.equal(resetCode(peer, 1), good ? -1 : ErrorCode.PROTOCOL_ERROR, `${length} ${data} ${ends}`);
    assert.equal(peer.error, undefined);
  }
  // A 304 may say how long it would have been.
  const { peer } = asking();
  peer.receive(
    headers(
      1,
      [
        [':status', '304'],
        ['content-length', '5'],
      ],
      WHOLE,
    ),
  );
  assert.deepEqual(peer.resets, []);
});
