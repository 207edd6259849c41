/** Calls that wait for a stream, and backends that come and go meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from '../support/h2/caller.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk, okFrames } from '../support/h2/upstream.ts';
import { Code, reset, Setting, settings } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

const ONE: readonly (readonly [number, number])[] = [[Setting.MAX_CONCURRENT_STREAMS, 1]];

test('more connections, then a queue: each call gets its stream', async t => {
  const open = new Map<unknown, number>();
  const upstream = await upstreamFor(t, {
    settings: ONE,
    onStream: ({ peer, stream }) => {
      open.set(peer, (open.get(peer) ?? 0) + 1);
      assert.equal(open.get(peer), 1);
      setTimeout(() => {
        open.set(peer, 0);
        peer.send(...okFrames(stream));
      }, 10);
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const outcomes = await Promise.all(Array.from({ length: 60 }, () => caller.call()));
  for (const { grpcStatus } of outcomes) assert.equal(grpcStatus, Status.OK);
  assert.equal(upstream.counts.connections, 16);
});

test('a call that ends while it waits never reaches a backend', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, {
    settings: ONE,
    onStream: arrival => void held.push(arrival),
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const first = Array.from({ length: 16 }, () => caller.call());
  await until(() => held.length === 16);
  const late = caller.call(request(undefined, [['grpc-timeout', '30m']]));
  const cancelled = Array.from({ length: 5 }, () => caller.open());
  const last = caller.call();
  await caller.roundTrip();
  for (const stream of cancelled) caller.send(reset(stream, Code.CANCEL));
  const outcome = await late;
  assert.equal(outcome.grpcStatus, Status.DEADLINE_EXCEEDED);
  assert.match(outcome.grpcMessage, /^the deadline of 30 ms is over at backend a \(/);
  await until(() => rig.proxy.gauges().calls === 17);
  for (const each of held.splice(0)) answerOk(each);
  for (const { grpcStatus } of await Promise.all(first)) assert.equal(grpcStatus, Status.OK);
  await until(() => held.length === 1);
  held.forEach(answerOk);
  assert.equal((await last).grpcStatus, Status.OK);
  assert.equal(upstream.counts.streams, 17);
});

test('the queue is bounded', async t => {
  const upstream = await upstreamFor(t, { settings: [[Setting.MAX_CONCURRENT_STREAMS, 0]] });
  const rig = await startRig(t, [upstream.address], { proxy: { maxConcurrentStreams: 2_000 } });
  const caller = await rig.caller();
  const streams = Array.from({ length: 1_024 }, () => caller.open());
  await caller.roundTrip();
  const outcome = await caller.call();
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.match(outcome.grpcMessage, /^backend a \(.*\) has 1024 calls waiting for a stream$/);
  // As soon as there is room, all of them go on.
  for (const peer of upstream.peers) peer.send(settings([[Setting.MAX_CONCURRENT_STREAMS, 1_000]]));
  await until(() => upstream.counts.streams === 1_024);
  for (const stream of streams) caller.send(reset(stream, Code.CANCEL));
});

test('a backend leaves: calls that wait for it go elsewhere, those that it has end there', async t => {
  const held: Arrival[] = [];
  const a = await upstreamFor(t, { settings: ONE, onStream: arrival => void held.push(arrival) });
  const b = await upstreamFor(t);
  const rig = await startRig(t, [{ address: a.address, weight: 100 }]);
  const caller = await rig.caller();
  const begun = Array.from({ length: 16 }, () => caller.call());
  await until(() => held.length === 16);
  const waiting = Array.from({ length: 4 }, () => caller.call());
  await caller.roundTrip();
  const spec = { ...rig.mesh.registry.get('a')?.spec, id: 'b', address: b.address };
  await rig.mesh.registry.propose({ kind: 'replace', source: 'config', specs: [spec as never] }, 'the test');
  for (const { grpcStatus, grpcMessage } of await Promise.all(waiting))
    assert.equal(grpcStatus, Status.OK, grpcMessage);
  assert.equal(b.counts.streams, 4);
  assert.equal(rig.proxy.gauges().backends, 1);
  assert.equal(a.peers.size, 16);
  held.forEach(answerOk);
  for (const { grpcStatus } of await Promise.all(begun)) assert.equal(grpcStatus, Status.OK);
  await until(() => a.peers.size === 0, 'closed');
});

test('a backend moves to another address: new calls go there', async t => {
  const [a, b] = [await upstreamFor(t), await upstreamFor(t)];
  const rig = await startRig(t, [a.address]);
  const caller = await rig.caller();
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  const spec = { ...rig.mesh.registry.get('a')?.spec, address: b.address };
  await rig.mesh.registry.propose({ kind: 'replace', source: 'config', specs: [spec as never] }, 'the test');
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  assert.deepEqual([a.counts.streams, b.counts.streams], [1, 1]);
  await until(() => a.peers.size === 0, 'closed');
});

test('a backend that cannot be reached is asked for again, and no caller waits for that', async t => {
  const gone = await upstreamFor(t);
  await gone.close();
  const b = await upstreamFor(t);
  const rig = await startRig(t, [gone.address, b.address]);
  const caller = await rig.caller();
  for (let n = 0; n < 20; n++) assert.equal((await caller.call()).grpcStatus, Status.OK);
  assert.equal(b.counts.streams, 20);
  assert.equal(rig.mesh.registry.get('a')?.state, 'EJECTED');
  assert.match(rig.mesh.registry.get('a')?.cause ?? '', /the proxy: cannot be reached: connect ECONNREFUSED/);
});

test('a standby that is activated while it cannot be reached is ejected at the first call', async t => {
  const gone = await upstreamFor(t);
  await gone.close();
  const b = await upstreamFor(t);
  const rig = await startRig(t, [gone.address, b.address]);
  const caller = await rig.caller();
  const { registry } = rig.mesh;
  for (let n = 0; n < 10; n++) await caller.call();
  assert.equal(registry.get('a')?.state, 'EJECTED');
  // Somebody else says that it is well, which it is not.
  await registry.propose(
    { kind: 'observe', id: 'a', observation: { phase: 'warming', healthy: true } },
    'the test',
  );
  for (let n = 0; n < 10; n++) assert.equal((await caller.call()).grpcStatus, Status.OK);
  assert.equal(registry.get('a')?.state, 'EJECTED');
});

test("an idle connection that the backend closes is nobody's failure", async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  for (let n = 0; n < 5; n++) {
    assert.equal((await caller.call()).grpcStatus, Status.OK);
    for (const peer of upstream.peers) await peer.end();
  }
  assert.equal(rig.mesh.registry.get('a')?.state === 'EJECTED', false);
});
