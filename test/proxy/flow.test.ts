/** Octets of a call: what is held where one side does not take them, and who suffers of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import type { Peer } from '../support/h2/peer.ts';
import { type Arrival, answerOk, OK, okFrames, RESPONSE } from '../support/h2/upstream.ts';
import {
  Code,
  data,
  Flag,
  headers,
  message,
  reset,
  Setting,
  Type,
  windowUpdate,
} from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

const STREAM_WINDOW = 64 * 1024;

/** Octets of DATA that a peer has got on a stream. */
const got = (peer: Peer, stream: number): number =>
  peer.answer(stream).data.reduce((sum, each) => sum + each.length, 0);

/** Sends DATA as far as the other side gives credit for it on the stream; tells how much. */
function push(peer: Peer, stream: number, most: number): { sent: number } {
  const pushed = { sent: 0 };
  let room = peer.settings.get(Setting.INITIAL_WINDOW_SIZE) ?? 65_535;
  const go = (): void => {
    while (room > 0 && pushed.sent < most) {
      const octets = Math.min(room, 16_384, most - pushed.sent);
      peer.send(data(stream, Buffer.alloc(octets, 1)));
      room -= octets;
      pushed.sent += octets;
    }
  };
  const before = peer.onFrame;
  peer.onFrame = frame => {
    before(frame);
    if (frame.type !== Type.WINDOW_UPDATE || frame.stream !== stream) return;
    room += frame.payload.readUInt32BE(0);
    go();
  };
  go();
  return pushed;
}

/** Nothing is on its way any more, through the proxy and back. */
async function settled(caller: Caller, peer: Peer): Promise<void> {
  for (let n = 0; n < 3; n++) {
    await caller.roundTrip();
    await peer.roundTrip();
  }
}

test('a caller that takes nothing: the backend is let send a window, and the rest as it is taken', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void arrived.push(arrival) });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller({ settings: [[Setting.INITIAL_WINDOW_SIZE, 1_000]], credits: false });
  const stream = caller.open();
  await until(() => arrived.length === 1);
  const [{ peer, stream: there }] = arrived as [Arrival];
  peer.send(headers(there, encode(RESPONSE)));
  const total = 10 * STREAM_WINDOW;
  const pushed = push(peer, there, total);
  await settled(caller, peer);
  assert.equal(got(caller, stream), 1_000);
  assert.ok(pushed.sent <= STREAM_WINDOW + 1_000, `${pushed.sent} octets`);
  for (let taken = 1_000; taken < total; ) {
    const more = Math.min(30_000, total - taken);
    caller.send(windowUpdate(0, more), windowUpdate(stream, more));
    taken += more;
    await until(() => got(caller, stream) === taken, `${taken} octets`);
    assert.ok(pushed.sent <= taken + STREAM_WINDOW + 16_384, `${pushed.sent} sent, ${taken} taken`);
  }
  peer.sendHeaders(there, OK, Flag.END_STREAM);
  assert.equal((await caller.outcome(stream)).grpcStatus, 0);
});

test('a backend that takes nothing: the caller is let send a window and what is kept for another try', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, {
    settings: [[Setting.INITIAL_WINDOW_SIZE, 500]],
    credits: false,
    onStream: arrival => void arrived.push(arrival),
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const stream = caller.open();
  const total = 10 * STREAM_WINDOW;
  const pushed = push(caller, stream, total);
  await until(() => arrived.length === 1);
  const [{ peer, stream: there }] = arrived as [Arrival];
  await settled(caller, peer);
  assert.equal(got(peer, there), 500);
  assert.ok(pushed.sent <= STREAM_WINDOW + 500, `${pushed.sent} octets`);
  for (let taken = 500; taken < total; ) {
    const more = Math.min(30_000, total - taken);
    peer.send(windowUpdate(0, more), windowUpdate(there, more));
    taken += more;
    await until(() => got(peer, there) === taken, `${taken} octets`);
    assert.ok(pushed.sent <= taken + STREAM_WINDOW, `${pushed.sent} sent, ${taken} taken`);
  }
  caller.send(data(stream, Buffer.alloc(0), Flag.END_STREAM));
  await peer.next(({ flags, type }) => type === Type.DATA && (flags & Flag.END_STREAM) !== 0);
  peer.send(...okFrames(there));
  assert.equal((await caller.outcome(stream)).grpcStatus, 0);
});

test('what a second backend takes of a request is not credited a second time', async t => {
  const TAKES = 30_000;
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, {
    settings: [[Setting.INITIAL_WINDOW_SIZE, TAKES]],
    credits: false,
    onStream: arrival => void arrived.push(arrival),
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const stream = caller.open();
  const pushed = push(caller, stream, 40_000);
  await until(() => arrived.length === 1);
  const [first] = arrived as [Arrival];
  await until(() => got(first.peer, first.stream) === TAKES);
  first.peer.send(reset(first.stream, Code.REFUSED_STREAM));
  await until(() => arrived.length === 2);
  const [, second] = arrived as [Arrival, Arrival];
  await until(() => got(second.peer, second.stream) === TAKES);
  await settled(caller, second.peer);
  assert.equal(pushed.sent, 40_000);
  // Half a window is announced at once: what was credited is seen by what is still missing.
  const credited = caller.frames
    .filter(({ type, stream: of }) => type === Type.WINDOW_UPDATE && of === stream)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
  assert.ok(credited <= TAKES, `${credited} octets credited`);
  caller.send(reset(stream, Code.CANCEL));
});

test('a caller that gives credit for each of thousands of small messages is no attacker', async t => {
  const MESSAGES = 5_000;
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void arrived.push(arrival) });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller();
  const streams = [caller.open(), caller.open()];
  await until(() => arrived.length === 2);
  const [{ peer }] = arrived as [Arrival];
  // It is busy with something else meanwhile, and reads all at once.
  caller.socket.pause();
  const small = message(Buffer.from('tick'));
  peer.send(...arrived.map(({ stream }) => headers(stream, encode(RESPONSE))));
  // In turns, or they would be put together on the way.
  const both = Buffer.concat(arrived.map(({ stream }) => data(stream, small)));
  peer.send(Buffer.concat(Array.from({ length: MESSAGES }, () => both)));
  await peer.roundTrip();
  caller.socket.resume();
  await until(() => streams.every(stream => got(caller, stream) === MESSAGES * small.length));
  await caller.roundTrip();
  const frames = caller.frames.filter(({ type }) => type === Type.DATA).length;
  assert.ok(frames > MESSAGES, `${frames} frames`);
  for (const { stream } of arrived) peer.sendHeaders(stream, OK, Flag.END_STREAM);
  for (const stream of streams) assert.equal((await caller.outcome(stream)).grpcStatus, 0);
});

test('two hundred callers that take nothing stall nobody on the same connection to a backend', async t => {
  const STALLED = 200;
  const floods: Arrival[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      if (floods.length === STALLED) answerOk(arrival);
      else floods.push(arrival);
    },
  });
  const rig = await startRig(t, [upstream.address]);
  for (let n = 0; n < STALLED / 100; n++) {
    const stalled = await rig.caller({ settings: [[Setting.INITIAL_WINDOW_SIZE, 0]], credits: false });
    for (let i = 0; i < 100; i++) stalled.open();
  }
  await until(() => floods.length === STALLED);
  assert.equal(upstream.peers.size, 1);
  for (const { peer, stream } of floods) {
    peer.send(headers(stream, encode(RESPONSE)));
    peer.send(...Array.from({ length: 4 }, () => data(stream, Buffer.alloc(16_384))));
  }
  const caller = await rig.caller();
  for (let n = 0; n < 50; n++) {
    const outcome = await caller.call();
    assert.equal(outcome.grpcStatus, 0);
    assert.equal(Buffer.concat(outcome.data).length, 11);
  }
});

test('a stalled stream does not stall its neighbours on the same connection of a caller', async t => {
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      const { peer, stream, nth } = arrival;
      if (nth > 1) return answerOk(arrival);
      peer.send(headers(stream, encode(RESPONSE)));
      peer.send(...Array.from({ length: 4 }, () => data(stream, Buffer.alloc(16_384))));
    },
  });
  const rig = await startRig(t, [upstream.address]);
  // Credit for the connection, and for streams that are not the first one.
  const caller = await rig.caller({ settings: [[Setting.INITIAL_WINDOW_SIZE, 100]], credits: false });
  caller.open();
  for (let n = 0; n < 50; n++) assert.equal((await caller.call()).grpcStatus, 0);
});

test('what was answered before the end comes before the end, however slowly it is taken', async t => {
  const body = Buffer.alloc(40_000, 7);
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      peer.send(...okFramesOf(stream, body));
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller({ settings: [[Setting.INITIAL_WINDOW_SIZE, 10]], credits: false });
  // The request never ends: it is not wanted any more, and does not hold up anything.
  const stream = caller.open();
  caller.send(data(stream, Buffer.alloc(60_000).subarray(0, 16_000)));
  await until(() => got(caller, stream) === 10);
  await caller.roundTrip();
  assert.equal(caller.answer(stream).trailers, undefined);
  for (let taken = 10; taken < body.length + 5; taken += 10_000) caller.send(windowUpdate(stream, 10_000));
  const outcome = await caller.outcome(stream);
  assert.equal(outcome.grpcStatus, 0);
  assert.equal(Buffer.concat(outcome.data).length, body.length + 5);
});

function okFramesOf(stream: number, body: Buffer): Buffer[] {
  const bytes = message(body);
  const frames = [headers(stream, encode(RESPONSE))];
  for (let at = 0; at < bytes.length; at += 16_384)
    frames.push(data(stream, bytes.subarray(at, at + 16_384)));
  return [...frames, headers(stream, encode(OK), Flag.END_STREAM)];
}

test('a caller that goes away while much waits for it leaves nothing behind', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      arrived.push(arrival);
      arrival.peer.send(headers(arrival.stream, encode(RESPONSE)));
      arrival.peer.send(...Array.from({ length: 3 }, () => data(arrival.stream, Buffer.alloc(16_384))));
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const caller = await rig.caller({ settings: [[Setting.INITIAL_WINDOW_SIZE, 10]], credits: false });
  for (let n = 0; n < 20; n++) caller.open();
  await until(() => arrived.length === 20);
  caller.abort();
  for (const { peer, stream } of arrived) assert.equal((await peer.outcome(stream)).reset, 8);
  await until(() => rig.proxy.gauges().calls === 0);
  // The window of the connection to the backend is whole again: 1 MiB, of which these held 60 KiB each.
  const other = await rig.caller();
  for (let n = 0; n < 5; n++) {
    const stream = other.open();
    await until(() => got(other, stream) === 3 * 16_384);
    const at = arrived.at(-1) as Arrival;
    at.peer.sendHeaders(at.stream, OK, Flag.END_STREAM);
    assert.equal((await other.outcome(stream)).grpcStatus, 0);
  }
});
