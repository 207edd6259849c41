/** How calls end badly: the caller is told by a status, and by a message that names the backend and the reason. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import { test } from 'node:test';
import { request } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import type { Outcome } from '../support/h2/peer.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk, OK, RESPONSE } from '../support/h2/upstream.ts';
import { Code, data, Flag, frame, headers, message, reset, Type, windowUpdate } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

/** One HEADERS with END_STREAM, as every error of ours is where nothing was answered before. */
function isTrailersOnly(outcome: Outcome): boolean {
  const { headers: head, trailers, data: body } = outcome;
  return (
    head?.[':status'] === '200' &&
    head['content-type'] === 'application/grpc' &&
    trailers === undefined &&
    body.length === 0
  );
}

const html = Buffer.from('<html>');
const half = message(Buffer.alloc(100)).subarray(0, 50);

/** What the backend does, what the caller is told of it, and whether anything was answered before. */
const CASES: readonly [
  name: string,
  does: (at: Arrival) => void,
  status: number,
  says: RegExp,
  begun?: true,
][] = [
  [
    'HTML',
    ({ peer, stream }) => {
      peer.sendHeaders(stream, [
        [':status', '502'],
        ['content-type', 'text/html'],
      ]);
      peer.send(data(stream, html, Flag.END_STREAM));
    },
    Status.UNAVAILABLE,
    /^backend a \(127\.0\.0\.1:\d+\) answered HTTP 502 with text\/html instead of gRPC$/,
  ],
  [
    'no content-type',
    ({ peer, stream }) => peer.sendHeaders(stream, [[':status', '200']], Flag.END_STREAM),
    Status.UNKNOWN,
    /^backend a \(.*\) answered HTTP 200 with no content-type instead of gRPC$/,
  ],
  [
    'trailers-only without a status',
    ({ peer, stream }) => peer.sendHeaders(stream, RESPONSE, Flag.END_STREAM),
    Status.UNKNOWN,
    /^backend a \(.*\) ended the call without a grpc-status$/,
  ],
  [
    'trailers without a status',
    ({ peer, stream }) => {
      peer.sendHeaders(stream, RESPONSE);
      peer.sendHeaders(stream, [['x-more', '1']], Flag.END_STREAM);
    },
    Status.UNKNOWN,
    /^backend a \(.*\) ended the call without a grpc-status$/,
    true,
  ],
  [
    'an end by DATA',
    ({ peer, stream }) => {
      peer.send(headers(stream, encode(RESPONSE)), data(stream, message(), Flag.END_STREAM));
    },
    Status.INTERNAL,
    /^backend a \(.*\) ended the call without trailers$/,
    true,
  ],
  [
    'a reset before anything',
    ({ peer, stream }) => void peer.send(reset(stream, Code.INTERNAL_ERROR)),
    Status.INTERNAL,
    /^backend a \(.*\) reset the call \(INTERNAL_ERROR\)$/,
  ],
  [
    'a reset within a message',
    ({ peer, stream }) =>
      void peer.send(
        headers(stream, encode(RESPONSE)),
        data(stream, half),
        reset(stream, Code.ENHANCE_YOUR_CALM),
      ),
    Status.RESOURCE_EXHAUSTED,
    /^backend a \(.*\) reset the call \(ENHANCE_YOUR_CALM\)$/,
    true,
  ],
  [
    'a refusal after the head',
    ({ peer, stream }) =>
      void peer.send(headers(stream, encode(RESPONSE)), reset(stream, Code.REFUSED_STREAM)),
    Status.UNAVAILABLE,
    /^backend a \(.*\) reset the call \(REFUSED_STREAM\)$/,
    true,
  ],
  [
    'a connection that is reset',
    ({ peer }) => peer.abort(),
    Status.UNAVAILABLE,
    /^backend a \(.*\) reset its connection$/,
  ],
  [
    'a connection that is closed',
    ({ peer }) => void peer.end(),
    Status.UNAVAILABLE,
    /^backend a \(.*\) closed its connection$/,
  ],
  [
    'a fault of the stream',
    ({ peer, stream }) => peer.sendHeaders(stream, [...RESPONSE, ['Upper', 'case']]),
    Status.INTERNAL,
    /^backend a \(.*\) broke the rules of HTTP\/2: a field name is empty or has an octet/,
  ],
  [
    'a fault of the connection',
    ({ peer }) => void peer.send(frame(Type.WINDOW_UPDATE, 0, 0, Buffer.alloc(4))),
    Status.UNAVAILABLE,
    /^backend a \(.*\) broke the rules of HTTP\/2: WINDOW_UPDATE of the connection by 0$/,
  ],
];

for (const [name, does, status, says, begun] of CASES) {
  test(`a backend ends a call by ${name}`, async t => {
    let act = does;
    const upstream = await upstreamFor(t, { onStream: arrival => act(arrival) });
    const rig = await startRig(t, [upstream.address]);
    const caller = await rig.caller();
    const outcome = await caller.call();
    assert.equal(outcome.grpcStatus, status);
    assert.match(outcome.grpcMessage, says);
    assert.equal(isTrailersOnly(outcome), begun !== true);
    assert.equal(outcome.reset, undefined);
    // Nobody else suffers, and the same backend is asked again.
    act = answerOk;
    assert.equal((await caller.call()).grpcStatus, Status.OK);
  });
}

test('a header list beyond the limits fails its call alone, either way', async t => {
  const many = Array.from({ length: 200 }, (_, n) => [`x-${n}`, 'v'] as const);
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      if (arrival.fields.some(([name]) => name === 'x-many'))
        arrival.peer.sendHeaders(arrival.stream, [...RESPONSE, ...many]);
      else answerOk(arrival);
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const answered = await caller.call(request(undefined, [['x-many', '1']]));
  assert.equal(answered.grpcStatus, Status.RESOURCE_EXHAUSTED);
  assert.match(
    answered.grpcMessage,
    /^backend a \(.*\) broke the rules of HTTP\/2: the header list is too large$/,
  );
  const asked = await caller.call(request(undefined, many));
  assert.equal(asked.reset, Code.ENHANCE_YOUR_CALM);
  assert.equal((await caller.call()).grpcStatus, Status.OK);
});

test('nobody listens: the call says where and why, also the one that comes next', async t => {
  const gone = await upstreamFor(t);
  await gone.close();
  const rig = await startRig(t, [gone.address]);
  const caller = await rig.caller();
  for (let n = 0; n < 3; n++) {
    const outcome = await caller.call();
    assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
    assert.ok(isTrailersOnly(outcome));
    assert.match(outcome.grpcMessage, /backend a \(.*\) cannot be reached: connect ECONNREFUSED/);
  }
});

test('a backend that comes up is found', async t => {
  const upstream = await upstreamFor(t);
  const { address } = upstream;
  await upstream.close();
  const rig = await startRig(t, [address]);
  const caller = await rig.caller();
  assert.equal((await caller.call()).grpcStatus, Status.UNAVAILABLE);
  const server = createServer();
  server.on('stream', stream => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end();
  });
  t.after(() => server.close());
  server.listen(Number(address.split(':')[1]), '127.0.0.1');
  await until(() => rig.mesh.registry.get('a')?.state !== 'EJECTED', 'reachable');
  assert.equal((await caller.call()).grpcStatus, Status.OK);
});

test('an unknown service is unimplemented, whatever else is served', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [{ address: upstream.address, services: ['test.v1.Test'] }]);
  const caller = await rig.caller();
  const outcome = await caller.call(request('/other.v1.Other/Call'));
  assert.deepEqual([outcome.grpcStatus, outcome.grpcMessage], [12, 'no backend serves other.v1.Other']);
  assert.ok(isTrailersOnly(outcome));
  assert.equal((await caller.call()).grpcStatus, Status.OK);
});

test('all backends full, and no queue: exhausted, at once', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [{ address: upstream.address, maxConcurrency: 2 }], {
    pools: [{ service: '*', queue: { size: 0 } }],
  });
  const caller = await rig.caller();
  const open = [caller.call(), caller.call()];
  await until(() => held.length === 2);
  const outcome = await caller.call();
  assert.equal(outcome.grpcStatus, Status.RESOURCE_EXHAUSTED);
  assert.equal(outcome.grpcMessage, 'all backends of * are at their max_concurrency');
  held.forEach(answerOk);
  for (const { grpcStatus } of await Promise.all(open)) assert.equal(grpcStatus, Status.OK);
});

test('a malformed deadline, and one that is over already, never reach a backend', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  for (const [value, status] of [
    ['1x', Status.INTERNAL],
    ['123456789m', Status.INTERNAL],
    ['', Status.INTERNAL],
    ['0n', Status.DEADLINE_EXCEEDED],
  ] as const) {
    const outcome = await caller.call(request(undefined, [['grpc-timeout', value]]));
    assert.equal(outcome.grpcStatus, status, value);
    assert.match(outcome.grpcMessage, new RegExp(`^grpc-timeout '${value}' is `));
  }
  assert.equal(upstream.counts.streams, 0);
});

test('what is no gRPC is told so when it is whole, through the smallest windows', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller({ settings: [[4, 1]], credits: false });
  const get = caller.stream();
  const fields = request().filter(([name]) => name !== 'content-type');
  caller.send(headers(get, encode(fields)));
  caller.send(data(get, Buffer.alloc(10)));
  await caller.roundTrip();
  assert.equal(caller.answer(get).headers, undefined);
  caller.send(data(get, Buffer.alloc(1), Flag.END_STREAM));
  await caller.roundTrip();
  let got = 0;
  for (; !caller.answer(get).ended && got < 100; got++) {
    caller.send(windowUpdate(get, 1));
    await caller.roundTrip();
  }
  const outcome = await caller.outcome(get);
  assert.equal(outcome.headers?.[':status'], '415');
  assert.match(Buffer.concat(outcome.data).toString(), /^This is a gRPC proxy.*\n$/);
  // One that is given up while it is told.
  const left = caller.stream();
  caller.send(headers(left, encode(fields), Flag.END_STREAM));
  await caller.roundTrip();
  caller.send(reset(left, Code.CANCEL));
  for (const type of ['application/grpc-web', 'application/grpcx', 'text/html', 'application/json']) {
    const stream = caller.stream();
    caller.send(headers(stream, encode([...fields, ['content-type', type]]), Flag.END_STREAM));
    await caller.roundTrip();
    assert.equal(caller.answer(stream).headers?.[':status'], '415', type);
    caller.send(reset(stream, Code.CANCEL));
  }
  assert.equal(upstream.counts.streams, 0);
});

test('an early answer: the rest of the request is asked not to be sent, and both sides are free', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      arrived.push(arrival);
      arrival.peer.sendHeaders(arrival.stream, [...RESPONSE, ...OK], Flag.END_STREAM);
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const stream = caller.open();
  caller.send(data(stream, message(Buffer.from('part'))));
  const rst = await caller.next(({ type }) => type === Type.RST_STREAM);
  assert.equal(rst.payload.readUInt32BE(0), Code.NO_ERROR);
  assert.equal((await caller.outcome(stream)).grpcStatus, Status.OK);
  const [one] = arrived as [Arrival];
  assert.equal((await one.peer.outcome(one.stream)).reset, Code.CANCEL);
});
