/**
 * How a backend's answer ends, well or badly, and what the caller is told: the negative cases of gRPC's
 * HTTP/2 interop list, and answers that are no gRPC at all.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from '../support/h2/caller.ts';
import { encode, type Field } from '../support/h2/hpack.ts';
import { Status, statusOf } from '../support/h2/status.ts';
import { type Arrival, answerOk, okFrames, RESPONSE } from '../support/h2/upstream.ts';
import { Code, data, Flag, headers, message, reset, Type } from '../support/h2/wire.ts';
import { callerFor, proxyFor, upstreamFor } from './harness.ts';

const BOUNDED = { timeout: 20_000 };

/** A case's path says what the backend does; so one backend and one connection serve many cases. */
type Script = (arrival: Arrival) => void;

const half = message(Buffer.alloc(1_000)).subarray(0, 600);

const RESETS: readonly { name: string; script: (code: number) => Script; bytes: number }[] = [
  {
    name: 'rst_after_header',
    script:
      code =>
      ({ peer, stream }) =>
        void peer.send(headers(stream, encode(RESPONSE)), reset(stream, code)),
    bytes: 0,
  },
  {
    name: 'rst_during_data',
    script:
      code =>
      ({ peer, stream }) =>
        void peer.send(headers(stream, encode(RESPONSE)), data(stream, half), reset(stream, code)),
    bytes: half.length,
  },
  {
    name: 'rst_after_data',
    script:
      code =>
      ({ peer, stream }) =>
        void peer.send(
          headers(stream, encode(RESPONSE)),
          data(stream, message(Buffer.alloc(1_000))),
          reset(stream, code),
        ),
    bytes: 1_005,
  },
];
/** Codes of RST_STREAM that say different things to a caller. */
const CODES: readonly [name: string, code: number, status: number][] = [
  ['NO_ERROR', Code.NO_ERROR, Status.INTERNAL],
  ['INTERNAL_ERROR', Code.INTERNAL_ERROR, Status.INTERNAL],
  ['CANCEL', Code.CANCEL, Status.CANCELLED],
  ['ENHANCE_YOUR_CALM', Code.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED],
];

for (const { name, script } of RESETS) {
  test(`${name}: the caller learns what the reset means`, BOUNDED, async t => {
    let act: Script = answerOk;
    const upstream = await upstreamFor(t, { onStream: arrival => act(arrival) });
    const { address } = await proxyFor(t, [upstream.address]);
    const caller = await callerFor(t, address);
    for (const [says, code, status] of CODES) {
      act = script(code);
      const outcome = await caller.call();
      assert.equal(outcome.lost, false, `${says}: the caller's connection ended`);
      assert.equal(statusOf(outcome), status, `${says}: ${JSON.stringify(outcome.trailers)}`);
      act = answerOk;
      assert.equal(statusOf(await caller.call()), Status.OK, `the call after ${says}`);
    }
  });
}

test('a refusal after the response began is not retried', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) =>
      void peer.send(headers(stream, encode(RESPONSE)), reset(stream, Code.REFUSED_STREAM)),
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  assert.equal(statusOf(await caller.call()), Status.UNAVAILABLE);
  assert.equal(upstream.counts.streams, 1);
});

/** gRPC's http-grpc-status-mapping.md. */
const HTTP: readonly [http: number, status: number][] = [
  [400, Status.INTERNAL],
  [401, Status.UNAUTHENTICATED],
  [403, Status.PERMISSION_DENIED],
  [404, Status.UNIMPLEMENTED],
  [429, Status.UNAVAILABLE],
  [431, Status.INTERNAL],
  [500, Status.UNKNOWN],
  [502, Status.UNAVAILABLE],
  [503, Status.UNAVAILABLE],
  [504, Status.UNAVAILABLE],
  [200, Status.UNKNOWN],
];

test('an HTML answer becomes a status and never a message', BOUNDED, async t => {
  let status = 200;
  const html = Buffer.from('<html><body>An error</body></html>');
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) =>
      void peer.send(
        headers(
          stream,
          encode([
            [':status', String(status)],
            ['content-type', 'text/html'],
            ['content-length', String(html.length)],
          ]),
        ),
        data(stream, html, Flag.END_STREAM),
      ),
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  for (const [http, expected] of HTTP) {
    status = http;
    const outcome = await caller.call();
    assert.equal(outcome.grpcStatus, expected, `HTTP ${http}`);
    assert.equal(outcome.headers?.[':status'], '200');
    assert.match(outcome.headers?.['content-type'] ?? '', /^application\/grpc/);
    assert.equal(outcome.data.length, 0, `HTTP ${http}: its body was handed on`);
  }
});

test('a status that the backend set goes before the one of HTTP', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) =>
      void peer.sendHeaders(
        stream,
        [
          [':status', '503'],
          ['content-type', 'application/grpc'],
          ['grpc-status', '8'],
          ['grpc-message', 'quota'],
        ],
        Flag.END_STREAM,
      ),
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const { grpcStatus, grpcMessage } = await caller.call();
  assert.deepEqual([grpcStatus, grpcMessage], [8, 'quota']);
});

test('a backend that speaks HTTP/1 is unavailable', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onConnection: peer => {
      peer.socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 5\r\n\r\nwrong');
      return true;
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const outcome = await caller.call();
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.equal(outcome.data.length, 0);
});

test('no backend listens: unavailable, with a reason in words', BOUNDED, async t => {
  const gone = await upstreamFor(t);
  await gone.close();
  const { address } = await proxyFor(t, [gone.address]);
  const caller = await callerFor(t, address);
  const outcome = await caller.call();
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.ok(outcome.grpcMessage.length > 10, `"${outcome.grpcMessage}"`);
});

test('trailers-only: one block that ends the stream', BOUNDED, async t => {
  const block: readonly Field[] = [
    ...RESPONSE,
    ['grpc-status', '5'],
    ['grpc-message', 'no such thing: 100%25 %E2%98%BA'],
    ['x-more', 'kept'],
  ];
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => peer.sendHeaders(stream, block, Flag.END_STREAM),
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const outcome = await caller.call();
  assert.ok(outcome.ended && !outcome.lost && outcome.reset === undefined);
  assert.equal(outcome.headers?.['grpc-status'], '5');
  assert.equal(outcome.headers?.['grpc-message'], 'no such thing: 100%25 %E2%98%BA');
  assert.equal(outcome.headers?.['x-more'], 'kept');
  assert.deepEqual([outcome.trailers, outcome.data.length], [undefined, 0]);
});

test('an answer without a status is no success', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) =>
      void peer.send(headers(stream, encode(RESPONSE)), data(stream, message(), Flag.END_STREAM)),
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const outcome = await caller.call();
  assert.ok(outcome.ended || outcome.reset !== undefined);
  assert.notEqual(statusOf(outcome), Status.OK);
});

test('metadata of an error is kept: in headers, in trailers, several of a name', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      peer.sendHeaders(stream, [...RESPONSE, ['x-head', 'one'], ['x-head', 'two'], ['x-bin', 'AAEC']]);
      peer.sendHeaders(
        stream,
        [
          ['grpc-status', '9'],
          ['grpc-message', 'not now'],
          ['x-trail', 'one'],
          ['x-trail', 'two'],
          ['grpc-status-details-bin', 'CAk'],
        ],
        Flag.END_STREAM,
      );
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const { headers: head, trailers } = await caller.call();
  assert.equal(head?.['x-head'], 'one, two');
  assert.equal(head?.['x-bin'], 'AAEC');
  assert.deepEqual(trailers, {
    'grpc-status': '9',
    'grpc-message': 'not now',
    'x-trail': 'one, two',
    'grpc-status-details-bin': 'CAk',
  });
});

test('an early end: a backend that answers before the request has ended is believed', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      peer.send(...okFrames(stream));
      // As servers do that need no more of the request.
      peer.send(reset(stream, Code.NO_ERROR));
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  for (let n = 0; n < 20; n++) {
    const stream = caller.open();
    caller.send(data(stream, message(Buffer.from('a part'))));
    const outcome = await caller.outcome(stream);
    assert.equal(outcome.grpcStatus, Status.OK, JSON.stringify({ ...outcome, data: outcome.data.length }));
    assert.equal(Buffer.concat(outcome.data).subarray(5).toString(), 'answer');
  }
});

test('interim responses come before the final one', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      peer.sendHeaders(stream, [
        [':status', '103'],
        ['link', '</x>'],
      ]);
      peer.send(...okFrames(stream));
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const outcome = await caller.call();
  assert.equal(outcome.headers?.[':status'], '200');
  assert.equal(outcome.grpcStatus, Status.OK);
});

test('a deadline ends the call on both sides', BOUNDED, async t => {
  const cancelled = Promise.withResolvers<number>();
  let forwarded = '';
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream, fields }) => {
      forwarded = fields.find(([name]) => name === 'grpc-timeout')?.[1] ?? '';
      void peer.outcome(stream).then(({ reset: code }) => cancelled.resolve(code ?? -1));
      void peer
        .later(frame => frame.type === Type.RST_STREAM && frame.stream === stream)
        .then(frame => cancelled.resolve(frame.payload.readUInt32BE(0)))
        .catch(() => undefined);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const stream = caller.open(request(undefined, [['grpc-timeout', '400m']]));
  const outcome = await caller.outcome(stream);
  assert.equal(outcome.grpcStatus, Status.DEADLINE_EXCEEDED);
  assert.equal(await cancelled.promise, Code.CANCEL);
  const [, digits = '', unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(forwarded) ?? [];
  const perMs: Record<string, number> = { S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
  const remainingMs = Number(digits) * (perMs[unit] ?? Number.NaN);
  assert.ok(remainingMs > 0 && remainingMs <= 400, `forwarded ${forwarded}`);
});

test("a caller's cancellation reaches the backend", BOUNDED, async t => {
  const arrived = Promise.withResolvers<Arrival>();
  const upstream = await upstreamFor(t, { onStream: arrived.resolve });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const stream = caller.open();
  const { peer, stream: there } = await arrived.promise;
  caller.send(reset(stream, Code.CANCEL));
  assert.equal((await peer.outcome(there)).reset, Code.CANCEL);
  assert.equal(peer.isClosed, false);
});

test("a caller's lost connection reaches the backend", BOUNDED, async t => {
  const arrived = Promise.withResolvers<Arrival>();
  const upstream = await upstreamFor(t, { onStream: arrived.resolve });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  caller.open();
  const { peer, stream } = await arrived.promise;
  caller.abort();
  const { reset: code, lost } = await peer.outcome(stream);
  assert.ok(lost || code !== undefined);
});

test('names that are reserved are for the proxy alone', BOUNDED, async t => {
  let seen: readonly Field[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      seen = arrival.fields;
      answerOk(arrival);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const more: Field[] = [
    ['heapmesh-hash-key', 'k'],
    ['x-kept', 'yes'],
  ];
  assert.equal(statusOf(await caller.call(request(undefined, more))), Status.OK);
  const names = seen.map(([name]) => name);
  assert.ok(names.includes('x-kept') && names.includes('te'));
  assert.deepEqual(
    names.filter(name => name.startsWith('heapmesh-')),
    [],
  );
  assert.equal(seen.find(([name]) => name === ':path')?.[1], '/test.v1.Test/Call');
  assert.equal(seen.find(([name]) => name === ':authority')?.[1], 'test.local');
});
