/** Calls that a backend did not begin go elsewhere by themselves; others are sent again by policy alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from '../support/h2/caller.ts';
import { encode, type Field } from '../support/h2/hpack.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk, okFrames, RESPONSE } from '../support/h2/upstream.ts';
import { Code, data, Flag, headers, message, reset } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

/** Trailers-only. */
function answer({ peer, stream }: Arrival, status: number, more: readonly Field[] = []): void {
  peer.sendHeaders(
    stream,
    [...RESPONSE, ['grpc-status', String(status)], ['grpc-message', 'as it said'], ...more],
    Flag.END_STREAM,
  );
}

const refuse = ({ peer, stream }: Arrival): void => void peer.send(reset(stream, Code.REFUSED_STREAM));

const retry = (more: object = {}): Record<string, unknown> => ({
  pools: [{ service: '*', retry: { codes: ['UNAVAILABLE', 'ABORTED'], budget: 1, ...more } }],
});

test('a refused call is asked once more of the only backend there is, and no more', async t => {
  let refusals = 1;
  const upstream = await upstreamFor(t, {
    onStream: arrival => (refusals-- > 0 ? refuse(arrival) : answerOk(arrival)),
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  assert.equal(upstream.counts.streams, 2);
  refusals = 100;
  const outcome = await caller.call();
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.match(outcome.grpcMessage, /^backend a \(.*\) reset the call \(REFUSED_STREAM\)$/);
  assert.equal(upstream.counts.streams, 4);
});

test('a request is whole at the backend that it moves to, whatever was sent before it moved', async t => {
  const refused: Arrival[] = [];
  const a = await upstreamFor(t, { onStream: arrival => void refused.push(arrival) });
  const got: Buffer[] = [];
  const rig = await startRig(t, [a.address]);
  const caller = await rig.caller();
  const stream = caller.open();
  caller.send(data(stream, message(Buffer.from('one'))));
  await until(() => refused.length === 1);
  caller.send(data(stream, message(Buffer.from('two'))));
  const [first] = refused as [Arrival];
  await until(() => Buffer.concat(first.peer.answer(first.stream).data).length === 16);
  refuse(first);
  await until(() => refused.length === 2);
  caller.send(data(stream, message(Buffer.from('three')), Flag.END_STREAM));
  const [, second] = refused as [Arrival, Arrival];
  await second.peer.outcome(second.stream);
  got.push(...second.peer.answer(second.stream).data);
  assert.equal(
    Buffer.concat(got).toString('latin1'),
    Buffer.concat(['one', 'two', 'three'].map(each => message(Buffer.from(each)))).toString('latin1'),
  );
  second.peer.send(...okFrames(second.stream));
  assert.equal((await caller.outcome(stream)).grpcStatus, Status.OK);
});

test('what is no longer held whole is not sent again', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void arrived.push(arrival) });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const stream = caller.open();
  for (let n = 0; n < 5; n++) {
    caller.send(data(stream, Buffer.alloc(16_000)));
    await caller.roundTrip();
  }
  await until(() => arrived.length === 1);
  const [one] = arrived as [Arrival];
  await until(() => Buffer.concat(one.peer.answer(one.stream).data).length === 80_000);
  refuse(one);
  const outcome = await caller.outcome(stream);
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.match(outcome.grpcMessage, /REFUSED_STREAM/);
  assert.equal(upstream.counts.streams, 1);
});

test('without a policy a failure is a failure', async t => {
  const upstream = await upstreamFor(t, { onStream: arrival => answer(arrival, 14) });
  const rig = await startRig(t, [upstream.address, upstream.address.replace('127.0.0.1', 'localhost')]);
  const caller = await rig.caller();
  assert.equal((await caller.call()).grpcStatus, 14);
  assert.equal(upstream.counts.streams, 1);
});

test("by policy: other backends are asked, and the last answer is the backend's own", async t => {
  const streams = { a: 0, b: 0 };
  const a = await upstreamFor(t, {
    onStream: arrival => {
      streams.a++;
      answer(arrival, 10, [['grpc-status-details-bin', 'CAo']]);
    },
  });
  const b = await upstreamFor(t, {
    onStream: arrival => {
      streams.b++;
      answer(arrival, 10, [['grpc-status-details-bin', 'CAo']]);
    },
  });
  const rig = await startRig(t, [a.address, b.address], retry({ attempts: 5 }));
  const caller = await rig.caller();
  const outcome = await caller.call();
  assert.equal(outcome.grpcStatus, 10);
  assert.equal(outcome.grpcMessage, 'as it said');
  assert.equal(outcome.headers?.['grpc-status-details-bin'], 'CAo');
  // A quiet pool has three retries a second.
  assert.equal(streams.a + streams.b, 4);
  assert.ok(streams.a >= 2 && streams.b >= 2, JSON.stringify(streams));
});

test('by policy: codes that it does not name, and answers that have begun, are final', async t => {
  let act = (arrival: Arrival): void => answer(arrival, 5);
  const upstream = await upstreamFor(t, { onStream: arrival => act(arrival) });
  const rig = await startRig(t, [upstream.address], retry());
  const caller = await rig.caller();
  assert.equal((await caller.call()).grpcStatus, 5);
  act = ({ peer, stream }) => {
    peer.send(headers(stream, encode(RESPONSE)));
    peer.sendHeaders(stream, [['grpc-status', '14']], Flag.END_STREAM);
  };
  assert.equal((await caller.call()).grpcStatus, 14);
  assert.equal(upstream.counts.streams, 2);
});

test('by policy: a lost connection and an HTTP error are failures as well', async t => {
  let act: (arrival: Arrival) => void = ({ peer }) => peer.abort();
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      const first = act;
      act = answerOk;
      first(arrival);
    },
  });
  const rig = await startRig(t, [upstream.address], retry());
  const caller = await rig.caller();
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  act = ({ peer, stream }) => peer.sendHeaders(stream, [[':status', '503']], Flag.END_STREAM);
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  assert.equal(upstream.counts.streams, 4);
});

test('a backend that asks for time gets it; one that says no is not asked again', async t => {
  let pushback = '80';
  const times: number[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      times.push(performance.now());
      if (times.length === 2) answerOk(arrival);
      else answer(arrival, 14, [['grpc-retry-pushback-ms', pushback]]);
    },
  });
  const rig = await startRig(t, [upstream.address], retry());
  const caller = await rig.caller();
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  const [first = 0, second = 0] = times;
  assert.ok(second - first >= 79, `${second - first} ms`);
  for (pushback of ['-1', 'x', '1.5', '']) {
    const before = times.length;
    const outcome = await caller.call();
    assert.equal(outcome.grpcStatus, 14, pushback);
    assert.equal(outcome.grpcMessage, 'as it said');
    assert.equal(times.length, before + 1);
  }
});

test('a retry that nobody takes any more ends by what the backend had said', async t => {
  const upstream = await upstreamFor(t, {
    onStream: arrival => answer(arrival, 10, [['grpc-retry-pushback-ms', '100']]),
  });
  const rig = await startRig(t, [upstream.address], retry());
  const caller = await rig.caller();
  const call = caller.call();
  await until(() => upstream.counts.streams === 1);
  await rig.mesh.registry.propose(
    { kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: false } },
    'the test',
  );
  const outcome = await call;
  assert.deepEqual([outcome.grpcStatus, outcome.grpcMessage], [10, 'as it said']);
});

test('a call that waits for its retry ends by its deadline, by its caller, and with the proxy', async t => {
  const upstream = await upstreamFor(t, {
    onStream: arrival => answer(arrival, 14, [['grpc-retry-pushback-ms', '50000']]),
  });
  const rig = await startRig(t, [upstream.address], { ...retry(), proxy: { drainTimeout: '100ms' } });
  const caller = await rig.caller();
  const late = await caller.call(request(undefined, [['grpc-timeout', '50m']]));
  assert.equal(late.grpcStatus, Status.DEADLINE_EXCEEDED);
  assert.match(late.grpcMessage, /^the deadline of 50 ms is over at backend a \(/);
  // On a busy machine its time may be over before it was sent.
  const { streams } = upstream.counts;
  const stream = caller.open();
  await until(() => upstream.counts.streams === streams + 1);
  caller.send(reset(stream, Code.CANCEL));
  await until(() => rig.proxy.gauges().calls === 0);
  const last = caller.open();
  await until(() => upstream.counts.streams === streams + 2);
  await sleep(5);
  await rig.close();
  assert.equal((await caller.outcome(last)).grpcStatus, Status.UNAVAILABLE);
});

test('a failing pool gets its budget of retries and no more', async t => {
  const CALLS = 100;
  const upstream = await upstreamFor(t, { onStream: arrival => answer(arrival, 14) });
  const rig = await startRig(t, [upstream.address], retry({ budget: 0.2, attempts: 10 }));
  const caller = await rig.caller();
  const from = performance.now();
  for (let n = 0; n < CALLS; n++) assert.equal((await caller.call()).grpcStatus, 14);
  const seconds = Math.ceil((performance.now() - from) / 1000);
  const retries = upstream.counts.streams - CALLS;
  assert.ok(retries >= 20, `${retries} retries`);
  assert.ok(retries <= 0.2 * CALLS + 3 * (seconds + 1), `${retries} retries in ${seconds} s`);
});

test('a GOAWAY that takes all: the calls find the next connection, of the same backend too', async t => {
  let rounds = 2;
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      if (rounds === 0) return answerOk(arrival);
      if (arrival.nthHere < 10) return;
      rounds--;
      arrival.peer.goaway(0);
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => caller.call()));
  for (const { grpcStatus, grpcMessage } of outcomes) assert.equal(grpcStatus, Status.OK, grpcMessage);
  assert.equal(upstream.counts.connections, 3);
});

test('a backend that disowns every call is given up after some attempts', async t => {
  const upstream = await upstreamFor(t, { onStream: ({ peer }) => peer.goaway(0) });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const outcome = await caller.call();
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.match(outcome.grpcMessage, /^backend a \(.*\) is leaving \(GOAWAY\)$/);
  assert.equal(upstream.counts.streams, 4);
});

test('what is for this hop alone stays here, in trailers too, and all else goes on as it came', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void arrived.push(arrival) });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const more: Field[] = [
    ['x-twice', '1'],
    ['heapmesh-zone', 'z'],
    ['x-twice', '2'],
    ['heapmesh-anything', 'x'],
    ['grpc-timeout', '5S'],
  ];
  const stream = caller.open(request(undefined, more));
  caller.send(data(stream, message()));
  const trailers: Field[] = [
    ['x-sum', 'abc'],
    ['heapmesh-late', 'x'],
  ];
  caller.send(headers(stream, encode(trailers), Flag.END_STREAM));
  await until(() => arrived.length === 1);
  const [one] = arrived as [Arrival];
  await one.peer.outcome(one.stream);
  const kept = request(undefined, more).filter(([name]) => !name.startsWith('heapmesh-'));
  assert.deepEqual(
    one.fields.filter(([name]) => name !== 'grpc-timeout'),
    kept.filter(([name]) => name !== 'grpc-timeout'),
  );
  assert.deepEqual(one.peer.answer(one.stream).trailers, { 'x-sum': 'abc' });
  answerOk(one);
  await caller.outcome(stream);
});

test('what is left of a deadline goes on, after a wait', async t => {
  const fields: (readonly Field[])[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      fields.push(arrival.fields);
      if (fields.length > 1) answerOk(arrival);
      else setTimeout(() => refuse(arrival), 60);
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const outcome = await caller.call(request(undefined, [['grpc-timeout', '5S']]));
  assert.equal(outcome.grpcStatus, Status.OK);
  const [, second = []] = fields;
  const left = Number(/^(\d+)m$/.exec(new Map(second).get('grpc-timeout') ?? '')?.[1]);
  assert.ok(left > 3_000 && left <= 4_940, `${left}`);
});
