/** Calls that find every backend at its limit: they wait in the queue of their pool, or are told at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from '../support/h2/caller.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk } from '../support/h2/upstream.ts';
import { Code, data, Flag, message, reset, Type } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

const named = (name: string, timeout = ''): [string, string][] => [
  ['x-name', name],
  ...(timeout === '' ? [] : ([['grpc-timeout', timeout]] as [string, string][])),
];
const nameOf = ({ fields }: Arrival): string => fields.find(([field]) => field === 'x-name')?.[1] ?? '';

test('the one with the earliest deadline goes first, as soon as a call ends, and no backend has more than its limit', async t => {
  const held: Arrival[] = [];
  let most = 0;
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      held.push(arrival);
      most = Math.max(most, held.length);
    },
  });
  const rig = await startRig(t, [{ address: upstream.address, maxConcurrency: 2 }]);
  const caller = await rig.caller();
  const call = (name: string, timeout?: string) => caller.call(request(undefined, named(name, timeout)));
  const calls = [call('1'), call('2')];
  await until(() => held.length === 2);
  calls.push(
    call('never'),
    call('20 s', '20S'),
    call('5 s', '5S'),
    call('5 s later', '5S'),
    call('9 s', '9S'),
  );
  await caller.roundTrip();
  assert.deepEqual([rig.proxy.gauges().waiting, rig.proxy.gauges().calls, rig.mesh.leases.open], [5, 7, 2]);
  const order: string[] = [];
  while (order.length < 7) {
    await until(() => held.length > 0);
    // One at a time: what goes next is seen.
    const one = held.shift() as Arrival;
    order.push(nameOf(one));
    answerOk(one);
    await until(() => held.length === Math.min(2, 7 - order.length));
  }
  // Those with a later deadline than the longest wait are equal, and go as they came.
  assert.deepEqual(order, ['1', '2', '5 s', '5 s later', '9 s', 'never', '20 s']);
  for (const { grpcStatus } of await Promise.all(calls)) assert.equal(grpcStatus, Status.OK);
  assert.equal(most, 2);
  assert.equal(rig.proxy.gauges().waiting, 0);
});

test('who cannot make its deadline and who meets a full queue is told at once, with the time to stay away', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const queue = { size: 2, maxWait: '5s' };
  const rig = await startRig(t, [{ address: upstream.address, maxConcurrency: 1 }], {
    pools: [{ service: '*', queue }],
  });
  const caller = await rig.caller();
  const first = caller.call();
  await until(() => held.length === 1);
  const from = performance.now();
  const hasty = await caller.call(request(undefined, named('hasty', '40m')));
  assert.ok(performance.now() - from < 40, 'not before its deadline');
  assert.equal(hasty.grpcStatus, Status.RESOURCE_EXHAUSTED);
  assert.match(
    hasty.grpcMessage,
    /^all 1 backends of \* are at their max_concurrency: it could not be served within 40 ms \(0 calls wait, \d/,
  );
  const waiting = [caller.call(), caller.call()];
  await caller.roundTrip();
  const refused = await caller.call();
  assert.equal(refused.grpcStatus, Status.RESOURCE_EXHAUSTED);
  assert.equal(
    refused.grpcMessage,
    'all 1 backends of * are at their max_concurrency and 2 calls wait, as many as may',
  );
  for (const { trailers, headers } of [hasty, refused]) {
    const pushback = Number((trailers ?? headers)?.['grpc-retry-pushback-ms']);
    assert.ok(pushback >= 10 && pushback <= 5_000, `${pushback}`);
  }
  for (let n = 0; n < 3; n++) {
    await until(() => held.length === 1);
    answerOk(held.pop() as Arrival);
  }
  for (const { grpcStatus } of await Promise.all([first, ...waiting])) assert.equal(grpcStatus, Status.OK);
  // Without a queue.
  await rig.configure({ pools: [{ service: '*', queue: { size: 0 } }] });
  const one = caller.call();
  await until(() => held.length === 1);
  const none = await caller.call();
  assert.equal(none.grpcMessage, 'all backends of * are at their max_concurrency');
  answerOk(held[0] as Arrival);
  await one;
  assert.equal(upstream.counts.streams, 4);
});

test('a deadline that passes, a cancellation and the longest wait end a wait; such calls reach no backend', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [{ address: upstream.address, maxConcurrency: 1 }], {
    pools: [{ service: '*', queue: { maxWait: '600ms' } }],
  });
  const caller = await rig.caller();
  const first = caller.call();
  await until(() => held.length === 1);
  const late = caller.call(request(undefined, named('late', '500m')));
  const forever = caller.call(request(undefined, named('forever')));
  const cancelled = caller.open();
  await caller.roundTrip();
  assert.equal(rig.proxy.gauges().waiting, 3);
  caller.send(reset(cancelled, Code.CANCEL));
  await until(() => rig.proxy.gauges().waiting === 2);
  const { grpcStatus, grpcMessage } = await late;
  assert.equal(grpcStatus, Status.DEADLINE_EXCEEDED);
  assert.equal(grpcMessage, 'the deadline of 500 ms is over, spent in the queue of *');
  const vain = await forever;
  assert.equal(vain.grpcStatus, Status.RESOURCE_EXHAUSTED);
  assert.match(vain.grpcMessage, /^waited 6\d\d ms in vain for one of 1 backends of \*, which are at/);
  answerOk(held[0] as Arrival);
  assert.equal((await first).grpcStatus, Status.OK);
  assert.equal(upstream.counts.streams, 1);
});

test('a limit that rises, a backend that comes and one that is activated give those that wait their turn', async t => {
  const held: Arrival[] = [];
  const [a, b, c] = await Promise.all(
    ['a', 'b', 'c'].map(() => upstreamFor(t, { onStream: arrival => void held.push(arrival) })),
  );
  assert.ok(a && b && c);
  const rig = await startRig(t, [
    { address: a.address, maxConcurrency: 1 },
    { address: c.address, maxConcurrency: 1, standby: true },
  ]);
  const { registry } = rig.mesh;
  const caller = await rig.caller();
  const calls = Array.from({ length: 6 }, () => caller.call());
  await until(() => held.length === 1 && rig.proxy.gauges().waiting === 5);
  const spec = registry.get('a')?.spec;
  assert.ok(spec);
  registry.propose({ kind: 'claim', source: 'operator', spec: { ...spec, maxConcurrency: 2 } }, 'the test');
  await until(() => a.counts.streams === 2);
  const other = { ...spec, id: 'x', address: b.address, maxConcurrency: 2 };
  registry.propose({ kind: 'claim', source: 'operator', spec: other }, 'the test');
  await until(() => b.counts.streams === 2);
  registry.propose({ kind: 'activate', id: 'b' }, 'the test');
  await until(() => c.counts.streams === 1);
  assert.equal(rig.proxy.gauges().waiting, 1);
  for (let n = 0; n < 6; n++) {
    await until(() => held.length > 0);
    answerOk(held.pop() as Arrival);
  }
  for (const { grpcStatus } of await Promise.all(calls)) assert.equal(grpcStatus, Status.OK);
});

test('what a waiting call sends is held back by its window, and arrives whole once it has a backend', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [{ address: upstream.address, maxConcurrency: 1 }]);
  const caller = await rig.caller({ connectionWindow: 1 << 20 });
  const first = caller.call();
  await until(() => held.length === 1);
  const stream = caller.open();
  const body = message(Buffer.alloc(100_000, 'x'));
  const window = 65_535;
  for (let at = 0; at < window; at += 16_384) {
    caller.send(data(stream, body.subarray(at, Math.min(window, at + 16_384))));
  }
  await caller.roundTrip();
  await caller.roundTrip();
  const credited = () =>
    caller.frames.filter(each => each.type === Type.WINDOW_UPDATE && each.stream === stream).length;
  assert.equal(credited(), 0, 'it is asked for more than may wait here');
  answerOk(held[0] as Arrival);
  await until(() => held.length === 2);
  await until(() => credited() > 0);
  for (let at = window; at < body.length; at += 16_384) {
    const end = Math.min(body.length, at + 16_384);
    caller.send(data(stream, body.subarray(at, end), end === body.length ? Flag.END_STREAM : 0));
  }
  const { peer, stream: there } = held[1] as Arrival;
  const got = await peer.outcome(there);
  assert.ok(Buffer.concat(got.data).equals(body));
  answerOk({ ...(held[1] as Arrival), ends: true });
  assert.equal((await caller.outcome(stream)).grpcStatus, Status.OK);
  assert.equal((await first).grpcStatus, Status.OK);
});

test('while no backend takes calls: they fail, or wait for one where the pool says so', async t => {
  const upstream = await upstreamFor(t);
  const settings = (whenDown: string) => ({
    pools: [{ service: 'test.v1.Test', queue: { whenDown, maxWait: '5s' } }],
  });
  const rig = await startRig(t, [], settings('wait'));
  const { registry } = rig.mesh;
  const spec = {
    id: 'x',
    address: upstream.address,
    services: ['test.v1.Test'],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 0,
    standby: true,
  };
  const caller = await rig.caller();
  // Nobody names the service; then one does, but waits itself; then it is activated.
  const calls = [caller.call()];
  await until(() => rig.proxy.gauges().waiting === 1);
  registry.propose({ kind: 'claim', source: 'operator', spec }, 'the test');
  calls.push(caller.call());
  await until(() => rig.proxy.gauges().waiting === 2);
  registry.propose({ kind: 'activate', id: 'x' }, 'the test');
  for (const { grpcStatus, grpcMessage } of await Promise.all(calls))
    assert.equal(grpcStatus, Status.OK, grpcMessage);

  const drain = { kind: 'drain', id: 'x', by: 'operator', timeoutMs: 60_000, afterwards: 'stay' } as const;
  registry.propose(drain, 'the test');
  const late = await caller.call(request(undefined, named('late', '100m')));
  assert.equal(late.grpcStatus, Status.DEADLINE_EXCEEDED);
  // One that waits when the setting changes fails with the next look, and the pool is let go of with its server.
  const waiting = caller.call();
  await until(() => rig.proxy.gauges().waiting === 1);
  await rig.configure(settings('fail'));
  registry.propose({ kind: 'remove', id: 'x' }, 'the test');
  assert.deepEqual(
    [(await waiting).grpcStatus, (await waiting).grpcMessage],
    [Status.UNAVAILABLE, 'test.v1.Test has no backend'],
  );
  assert.equal((await caller.call()).grpcStatus, Status.UNIMPLEMENTED);
});

test('those that wait for room fail at once when the last backend goes', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [{ address: upstream.address, maxConcurrency: 1 }]);
  const caller = await rig.caller();
  const first = caller.call();
  await until(() => held.length === 1);
  const waiting = caller.call();
  await until(() => rig.proxy.gauges().waiting === 1);
  const drain = { kind: 'drain', id: 'a', by: 'operator', timeoutMs: 60_000, afterwards: 'stay' } as const;
  rig.mesh.registry.propose(drain, 'the test');
  const { grpcStatus, grpcMessage } = await waiting;
  assert.equal(grpcStatus, Status.UNAVAILABLE);
  assert.equal(grpcMessage, 'no backend of * takes calls (0 standby, 1 draining, 0 ejected)');
  answerOk(held[0] as Arrival);
  assert.equal((await first).grpcStatus, Status.OK);
});
