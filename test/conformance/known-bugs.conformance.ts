/** Faults that other proxies and libraries had: each is one case, named after where it was found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from '../support/h2/caller.ts';
import { Status, statusOf } from '../support/h2/status.ts';
import { type Arrival, answerOk, okFrames } from '../support/h2/upstream.ts';
import { Code, data, Flag, message, paddedData, reset, Type } from '../support/h2/wire.ts';
import { cpuNanoseconds } from '../support/usage.ts';
import { callerFor, proxyFor, upstreamFor } from './harness.ts';

const BOUNDED = { timeout: 20_000 };

/** Credit for the connection that has come, beyond the 65,535 of its start. */
const credited = (frames: readonly { type: number; stream: number; payload: Buffer }[]): number =>
  frames
    .filter(({ type, stream }) => type === Type.WINDOW_UPDATE && stream === 0)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);

test('hyper h2 0.4.14: credit for padded DATA on a stream that was reset comes back', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => void peer.send(reset(stream, Code.CANCEL)),
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  let sent = 0;
  // Twice what a connection may have outstanding at first, on streams that the backend resets at once.
  for (let n = 0; n < 40; n++) {
    const stream = caller.open();
    await caller.outcome(stream);
    const bytes = paddedData(stream, Buffer.alloc(3_000), 255, Flag.END_STREAM);
    const window = 65_535 + credited(caller.frames) - sent;
    assert.ok(window >= bytes.length, `${window} bytes of credit left after ${n} streams and ${sent} bytes`);
    sent += bytes.length - 9;
    caller.send(bytes);
    await caller.roundTrip();
  }
  assert.ok(sent > 2 * 65_535 - 20_000);
});

test('hyper h2 0.4.14: credit comes back for DATA after GOAWAY', BOUNDED, async t => {
  const arrived = Promise.withResolvers<Arrival>();
  const upstream = await upstreamFor(t, { onStream: arrived.resolve });
  const running = await proxyFor(t, [upstream.address], { drainTimeoutMs: 5_000 });
  const caller = await callerFor(t, running.address);
  const stream = caller.open();
  const { peer, stream: there } = await arrived.promise;
  running.drain();
  await caller.next(({ type }) => type === Type.GOAWAY, 'GOAWAY');
  let sent = 0;
  for (let n = 0; n < 60; n++) {
    const window = 65_535 + credited(caller.frames) - sent;
    if (window < 4_000) await caller.later(({ type, stream: on }) => type === Type.WINDOW_UPDATE && on === 0);
    caller.send(data(stream, Buffer.alloc(4_000)));
    sent += 4_000;
    await caller.roundTrip();
  }
  caller.send(data(stream, Buffer.alloc(0), Flag.END_STREAM));
  const { data: came } = await peer.outcome(there);
  assert.equal(Buffer.concat(came).length, sent);
  peer.send(...okFrames(there));
  assert.equal(statusOf(await caller.outcome(stream)), Status.OK);
});

test('Envoy CVE-2026-26311: DATA after a reset is not handed on', BOUNDED, async t => {
  const arrived = Promise.withResolvers<Arrival>();
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      if (arrival.nth === 1) arrived.resolve(arrival);
      else answerOk(arrival);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const stream = caller.open();
  const { peer, stream: there } = await arrived.promise;
  caller.send(
    data(stream, Buffer.from('before')),
    reset(stream, Code.CANCEL),
    data(stream, Buffer.from('after')),
  );
  const outcome = await peer.outcome(there);
  assert.ok(outcome.reset !== undefined || outcome.lost);
  // RFC 9113, 5.1: DATA on a closed stream is a stream error or a connection error, or passed over.
  const next = await callerFor(t, address);
  assert.equal(statusOf(await next.call()), Status.OK);
  const onStream = peer.frames.filter(({ type, stream: on }) => type === Type.DATA && on === there);
  assert.doesNotMatch(Buffer.concat(onStream.map(({ payload }) => payload)).toString(), /after/);
});

test('Envoy CVE-2021-32778: many streams reset at once cost no more each than few', BOUNDED, async t => {
  const costOf = async (streams: number): Promise<number> => {
    let arrived = 0;
    const all = Promise.withResolvers<void>();
    const upstream = await upstreamFor(t, {
      onStream: () => {
        if (++arrived === streams) all.resolve();
      },
    });
    const { address, pid } = await proxyFor(t, [upstream.address], { maxConcurrentStreams: 10_000 });
    const warm = await callerFor(t, address);
    for (let n = 0; n < 200; n++) warm.send(reset(warm.open(), Code.CANCEL));
    await warm.roundTrip().catch(() => undefined);
    arrived = 0;
    const caller = await callerFor(t, address);
    for (let n = 0; n < streams; n++) caller.open();
    await all.promise;
    const before = cpuNanoseconds(pid);
    // The caller's connection ends: every stream on it is to be ended at the backend.
    caller.abort();
    await sleep(500);
    return (cpuNanoseconds(pid) - before) / streams;
  };
  const few = await costOf(200);
  const many = await costOf(4_000);
  t.diagnostic(
    `${(few / 1e3).toFixed(1)} and ${(many / 1e3).toFixed(1)} µs a stream with 200 and 4,000 streams`,
  );
  // Quadratic would be 20 times; what an idle half second costs is in both.
  assert.ok(many < 4 * few + 50_000);
});

test('hyper #4130: END_STREAM on the HEADERS of a request is not lost', BOUNDED, async t => {
  // It answers when the request has ended: on HEADERS, or by an empty DATA after.
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const stream = caller.stream();
  caller.sendHeaders(stream, request(), Flag.END_STREAM);
  assert.equal(statusOf(await caller.outcome(stream)), Status.OK);
});

test(
  'grpc #11704: calls beyond what a backend takes wait, and are told so when the wait is over',
  BOUNDED,
  async t => {
    const upstream = await upstreamFor(t, { settings: [[3, 1]], onStream: () => undefined });
    const { address } = await proxyFor(t, [upstream.address]);
    const caller = await callerFor(t, address);
    const fields = request(undefined, [['grpc-timeout', '500m']]);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => caller.call(fields)));
    for (const outcome of outcomes) {
      assert.ok(
        [Status.DEADLINE_EXCEEDED, Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED].includes(
          (outcome.grpcStatus ?? -1) as 4,
        ),
        `status ${outcome.grpcStatus}, reset ${outcome.reset}`,
      );
    }
  },
);

test(
  'Node CVE-2026-21714: credit beyond 2^31-1 on one stream ends that stream or its connection',
  BOUNDED,
  async t => {
    const upstream = await upstreamFor(t, { onStream: () => undefined });
    const { address } = await proxyFor(t, [upstream.address]);
    const caller = await callerFor(t, address);
    const stream = caller.open();
    for (let n = 0; n < 2; n++) {
      caller.send(Buffer.concat([Buffer.from('0000040800', 'hex'), be(stream), be(2 ** 31 - 1)]));
    }
    const outcome = await caller.outcome(stream);
    assert.ok(outcome.lost || outcome.reset === Code.FLOW_CONTROL_ERROR, `reset ${outcome.reset}`);
  },
);

function be(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

test('a stream of each sort ends with its last message delivered', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      void peer.outcome(stream).then(({ data: parts }) => {
        const frames = okFrames(stream, Buffer.concat(parts).subarray(5));
        // All in one write, so that the end is there with the message.
        peer.send(Buffer.concat(frames));
      });
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  for (let size = 1; size < 16_000; size = size * 2 + 1) {
    const outcome = await caller.call(request(), Buffer.alloc(size, 5));
    assert.deepEqual(Buffer.concat(outcome.data), message(Buffer.alloc(size, 5)));
    assert.equal(outcome.grpcStatus, Status.OK);
  }
});
