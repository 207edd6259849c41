/** Callers are asked to leave: at the end of the process, by the age of their connection, by that of a stream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectSilently, request } from '../support/h2/caller.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk } from '../support/h2/upstream.ts';
import { data, Flag, PREFACE, ping, settings, settingsAck, Type } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

const goaways = (frames: readonly { type: number; payload: Buffer }[]): number[] =>
  frames.filter(({ type }) => type === Type.GOAWAY).map(({ payload }) => payload.readUInt32BE(0));

test('two GOAWAYs: calls that are under way between them are served, and the last one closes the connection', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller({ acknowledges: false });
  const first = caller.call();
  await until(() => held.length === 1);
  const closed = rig.close();
  const drainPing = await caller.next(({ type, flags }) => type === Type.PING && flags === 0);
  assert.deepEqual(goaways(caller.frames), [2 ** 31 - 1]);
  // Sent before the caller has read that it should leave.
  const second = caller.call();
  caller.send(ping(drainPing.payload, Flag.ACK));
  await until(() => goaways(caller.frames).length === 2);
  assert.deepEqual(goaways(caller.frames), [2 ** 31 - 1, 3]);
  await until(() => held.length === 2);
  const third = caller.call();
  held.forEach(answerOk);
  assert.equal((await first).grpcStatus, Status.OK);
  assert.equal((await second).grpcStatus, Status.OK);
  const { lost, reset } = await third;
  assert.deepEqual([lost, reset], [true, undefined]);
  assert.equal(upstream.counts.streams, 2);
  await caller.closed;
  await closed;
});

test('idle callers are gone soon, and a caller that does not answer the PING leaves all the same', async t => {
  const rig = await startRig(t, []);
  const idle = await rig.caller();
  const from = performance.now();
  const closed = rig.close();
  await idle.closed;
  await closed;
  assert.ok(performance.now() - from < 2_000);
});

test('what has not ended by the drain time-out is told so', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [upstream.address], { proxy: { drainTimeout: '200ms' } });
  const caller = await rig.caller();
  const stream = caller.open();
  const answered = caller.call();
  await until(() => held.length === 2);
  const closed = rig.close();
  answerOk(held[1] as Arrival);
  assert.equal((await answered).grpcStatus, Status.OK);
  const outcome = await caller.outcome(stream);
  assert.deepEqual([outcome.grpcStatus, outcome.grpcMessage], [14, 'the proxy is shutting down']);
  assert.equal(outcome.lost, false);
  const [one] = held as [Arrival];
  assert.equal((await one.peer.outcome(one.stream)).reset, 8);
  await closed;
  await caller.closed;
});

test('a caller that has only just connected is served', async t => {
  const upstream = await upstreamFor(t, {
    onStream: arrival => setTimeout(() => answerOk(arrival), 20),
  });
  const rig = await startRig(t, [upstream.address]);
  // One that is known, and one that the kernel may still have.
  const known = await connectSilently(rig.address, { acknowledges: false });
  await until(() => rig.proxy.gauges().connections === 1);
  const late = connectSilently(rig.address, { acknowledges: false });
  const closed = rig.close();
  for (const caller of [known, await late]) {
    await caller.next(({ type }) => type === Type.PING);
    caller.send(PREFACE, settings());
    const call = caller.call();
    caller.send(settingsAck(), ping(Buffer.from('heapmesh'), Flag.ACK));
    assert.equal((await call).grpcStatus, Status.OK);
    await caller.closed;
  }
  await closed;
});

test('nobody new is let in, and to close twice is to wait for the same end', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const call = caller.call();
  await until(() => held.length === 1);
  let over = false;
  const closed = Promise.all([rig.proxy.close(), rig.proxy.close()]).then(() => {
    over = true;
  });
  await caller.next(({ type }) => type === Type.GOAWAY);
  await assert.rejects(connectSilently(rig.address), { code: 'ECONNREFUSED' });
  assert.equal(over, false);
  held.forEach(answerOk);
  assert.equal((await call).grpcStatus, Status.OK);
  await closed;
});

test('an old connection is asked to leave, its calls get the grace, and then the truth', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [upstream.address], {
    proxy: { maxConnectionAge: '300ms', maxConnectionAgeGrace: '500ms' },
  });
  const caller = await rig.caller();
  const streams = [caller.open(), caller.open()] as const;
  await until(() => held.length === 2);
  await caller.next(({ type }) => type === Type.GOAWAY);
  answerOk(held[0] as Arrival);
  caller.send(data(streams[0], Buffer.alloc(0), Flag.END_STREAM));
  assert.equal((await caller.outcome(streams[0])).grpcStatus, Status.OK);
  assert.equal(caller.isClosed, false);
  const outcome = await caller.outcome(streams[1]);
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.match(outcome.grpcMessage, /^the connection has reached its greatest age/);
  await caller.closed;
});

test('an old connection without calls closes, and calls go on over the next one', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address], { proxy: { maxConnectionAge: '200ms' } });
  for (let n = 0; n < 3; n++) {
    const caller = await rig.caller();
    assert.equal((await caller.call()).grpcStatus, Status.OK);
    await caller.closed;
    assert.equal(goaways(caller.frames).length, 2);
  }
});

test('an old stream is ended so that it is opened elsewhere; a deadline that is nearer goes before', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startRig(t, [upstream.address], {
    pools: [{ service: '*', maxStreamAge: '1s' }],
  });
  const caller = await rig.caller();
  const from = performance.now();
  const old = caller.open();
  const brief = caller.open(request(undefined, [['grpc-timeout', '100m']]));
  const said = await caller.outcome(brief);
  assert.equal(said.grpcStatus, Status.DEADLINE_EXCEEDED);
  const outcome = await caller.outcome(old);
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.match(outcome.grpcMessage, /^the stream has reached the age that its pool allows/);
  const ms = performance.now() - from;
  assert.ok(ms > 890, `${ms} ms`);
});

test('settings that change while it runs hold for the calls that come', async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) =>
      peer.sendHeaders(
        stream,
        [
          [':status', '200'],
          ['content-type', 'application/grpc'],
          ['grpc-status', '0'],
          ['endpoint-load-metrics-bin', 'CQAAAAAAAOA/'],
        ],
        Flag.END_STREAM,
      ),
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const keeps = async () => (await caller.call()).headers?.['endpoint-load-metrics-bin'] !== undefined;
  assert.equal(await keeps(), false);
  await rig.configure({ proxy: { keepLoadReports: true } });
  assert.equal(await keeps(), true);
  await rig.configure({ proxy: { maxConcurrentStreams: 7 } });
  const other = await rig.caller();
  assert.equal(other.settings.get(3), 7);
});

test('two processes share a port: the one that came last takes over', async t => {
  const upstream = await upstreamFor(t);
  const first = await startRig(t, [upstream.address], { proxy: { reusePort: true } });
  const second = await startRig(t, [upstream.address], {
    proxy: { reusePort: true, listen: first.address },
  });
  assert.equal(second.address, first.address);
  const caller = await first.caller();
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  await first.close();
  for (let n = 0; n < 20; n++) {
    const other = await second.caller();
    assert.equal((await other.call()).grpcStatus, Status.OK);
  }
  assert.ok(second.proxy.gauges().connections >= 20);
});
