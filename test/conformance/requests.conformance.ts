/** Requests that must not reach a backend, and what a caller is told of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from '../support/h2/caller.ts';
import { encode, type Field } from '../support/h2/hpack.ts';
import { Status, statusOf } from '../support/h2/status.ts';
import { answerOk } from '../support/h2/upstream.ts';
import { data, Flag, headers, message, Type } from '../support/h2/wire.ts';
import { callerFor, proxyFor, upstreamFor } from './harness.ts';

const BOUNDED = { timeout: 20_000 };

const without = (name: string): Field[] => request().filter(field => field[0] !== name);
const instead = (name: string, value: string): Field[] =>
  request().map(field => (field[0] === name ? [name, value] : field));

/** RFC 9113, 8.2 and 8.3, and what slips past rules of others. */
const MALFORMED: readonly [name: string, fields: Field[]][] = [
  ['an uppercase name', request(undefined, [['X-Upper', 'v']])],
  ['CR in a value', request(undefined, [['x-cr', 'a\rb']])],
  ['LF in a value', request(undefined, [['x-lf', 'a\nb']])],
  ['NUL in a value', request(undefined, [['x-nul', 'a\0b']])],
  ['CRLF in :path', request('/test.v1.Test/Call\r\nx: y')],
  ['a space in a name', request(undefined, [['x y', 'v']])],
  ['connection', request(undefined, [['connection', 'close']])],
  ['transfer-encoding', request(undefined, [['transfer-encoding', 'chunked']])],
  ['upgrade', request(undefined, [['upgrade', 'h2c']])],
  ['te other than trailers', instead('te', 'gzip')],
  ['a pseudo-header after regular ones', [...without(':path'), [':path', '/test.v1.Test/Call']]],
  ['an unknown pseudo-header', [[':unknown', 'v'], ...request()]],
  ['a doubled :path', [[':path', '/test.v1.Test/Other'], ...request()]],
  ['a doubled :method', [[':method', 'POST'], ...request()]],
  ['a pseudo-header of responses', [[':status', '200'], ...request()]],
  ['no :path', without(':path')],
  ['an empty :path', request('')],
  ['no :scheme', without(':scheme')],
  ['no :method', without(':method')],
  // grpc-go CVE-2026-33186: rules match '/a/b', the backend serves 'a/b'.
  [':path without a leading slash', request('test.v1.Test/Call')],
  ['userinfo in :authority', instead(':authority', 'user:secret@test.local')],
];

for (const [name, fields] of MALFORMED) {
  test(`${name}: refused, never relayed`, BOUNDED, async t => {
    const upstream = await upstreamFor(t);
    const { address } = await proxyFor(t, [upstream.address]);
    const caller = await callerFor(t, address);
    const outcome = await caller.call(fields);
    assert.notEqual(statusOf(outcome), Status.OK);
    assert.equal(upstream.counts.streams, 0, 'it reached the backend');
    // The connection may have been ended for it; a new one is served.
    const next = caller.isClosed || caller.goneAway !== undefined ? await callerFor(t, address) : caller;
    assert.equal(statusOf(await next.call()), Status.OK);
  });
}

for (const [name, says, sent] of [
  ['less', 100, 8],
  ['more', 4, 8],
] as const) {
  test(`content-length that says ${name} than comes is an error`, BOUNDED, async t => {
    const upstream = await upstreamFor(t);
    const { address } = await proxyFor(t, [upstream.address]);
    const caller = await callerFor(t, address);
    const fields = request(undefined, [['content-length', String(says)]]);
    const outcome = await caller.call(fields, Buffer.alloc(sent - 5));
    assert.notEqual(statusOf(outcome), Status.OK);
  });
}

test('pseudo-headers in trailers are an error', BOUNDED, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const stream = caller.open();
  caller.send(
    data(stream, message()),
    headers(stream, encode([[':path', '/test.v1.Test/Other']]), Flag.END_STREAM),
  );
  assert.notEqual(statusOf(await caller.outcome(stream)), Status.OK);
});

test('metadata of 200 fields, or of 80 KiB, is refused for that call alone', BOUNDED, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const many = Array.from({ length: 200 }, (_, n) => [`x-${n}`, 'v'] as Field);
  const outcome = await caller.call(request(undefined, many));
  assert.notEqual(statusOf(outcome), Status.OK);
  assert.ok(!outcome.lost, "the caller's connection ended");
  assert.equal(upstream.counts.streams, 0);
  assert.equal(statusOf(await caller.call()), Status.OK);
});

test('metadata of 13 KiB in 80 fields goes through', BOUNDED, async t => {
  let came: readonly Field[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      came = arrival.fields;
      answerOk(arrival);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const many = Array.from({ length: 80 }, (_, n) => [`x-${n}`, `${n}`.padStart(160, 'v')] as Field);
  assert.equal(statusOf(await caller.call(request(undefined, many))), Status.OK);
  for (const [name, value] of many) {
    assert.deepEqual(
      came.filter(field => field[0] === name).map(field => field[1]),
      [value],
    );
  }
});

test('what is no gRPC gets 415 with a body, and no backend', BOUNDED, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const outcome = await caller.call(instead('content-type', 'text/plain'));
  assert.equal(outcome.headers?.[':status'], '415');
  assert.ok(outcome.ended && Buffer.concat(outcome.data).length > 0);
  assert.equal(upstream.counts.streams, 0);
});

for (const type of ['application/grpc+proto', 'application/grpc+json', 'application/grpc;charset=utf-8']) {
  test(`content type ${type} is gRPC`, BOUNDED, async t => {
    const upstream = await upstreamFor(t);
    const { address } = await proxyFor(t, [upstream.address]);
    const caller = await callerFor(t, address);
    assert.equal(statusOf(await caller.call(instead('content-type', type))), Status.OK);
  });
}

test('a timeout that is none is an error, and one of 8 digits is kept', BOUNDED, async t => {
  const seen: string[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      seen.push(arrival.fields.find(([name]) => name === 'grpc-timeout')?.[1] ?? '');
      answerOk(arrival);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const withTimeout = (value: string) => caller.call(request(undefined, [['grpc-timeout', value]]));
  assert.equal(statusOf(await withTimeout('99999999H')), Status.OK);
  for (const bad of ['123456789S', '10', 'S', '1.5S', '-1S']) {
    assert.notEqual(statusOf(await withTimeout(bad)), Status.OK, bad);
  }
  assert.equal(seen.length, 1);
});

test('every message of a stream arrives whole and in order, whatever the frames are', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      void peer.outcome(stream).then(({ data: parts }) => {
        const body = Buffer.concat(parts);
        peer.sendHeaders(stream, [
          [':status', '200'],
          ['content-type', 'application/grpc'],
        ]);
        for (let at = 0; at < body.length; at += 7) peer.send(data(stream, body.subarray(at, at + 7)));
        peer.sendHeaders(stream, [['grpc-status', '0']], Flag.END_STREAM);
      });
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const sent = Buffer.concat(Array.from({ length: 50 }, (_, n) => message(Buffer.alloc(n * 3, n))));
  const stream = caller.open();
  for (let at = 0; at < sent.length; at += 11) {
    caller.send(data(stream, sent.subarray(at, at + 11), at + 11 >= sent.length ? Flag.END_STREAM : 0));
  }
  const outcome = await caller.outcome(stream);
  assert.equal(outcome.grpcStatus, Status.OK);
  assert.deepEqual(Buffer.concat(outcome.data), sent);
});

test('unknown frame types and flags are passed over', BOUNDED, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const stream = caller.open();
  // Type 0x42, on the connection and on the stream.
  caller.send(Buffer.from('00000442ff0000000041424344', 'hex'));
  caller.send(Buffer.concat([Buffer.from('00000142ff', 'hex'), uint(stream), Buffer.from('x')]));
  caller.send(data(stream, message(), Flag.END_STREAM | 0x40));
  assert.equal(statusOf(await caller.outcome(stream)), Status.OK);
  assert.ok(!caller.frames.some(({ type }) => type === Type.GOAWAY));
});

function uint(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
