/** Backends that move calls elsewhere, hold them up, or break the rules of HTTP/2. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import type { Outcome } from '../support/h2/peer.ts';
import { Status, statusOf } from '../support/h2/status.ts';
import { type Arrival, answerOk, OK, okFrames, RESPONSE } from '../support/h2/upstream.ts';
import {
  Code,
  data,
  Flag,
  frame,
  headers,
  message,
  paddedData,
  ping,
  reset,
  Setting,
  settings,
  Type,
} from '../support/h2/wire.ts';
import { callerFor, proxyFor, upstreamFor } from './harness.ts';

const BOUNDED = { timeout: 30_000 };

function allOk(outcomes: readonly Outcome[]): void {
  const bad = outcomes
    .map((outcome, index) => ({
      index,
      status: statusOf(outcome),
      reset: outcome.reset,
      says: outcome.grpcMessage,
    }))
    .filter(({ status }) => status !== Status.OK);
  assert.deepEqual(bad, [], `${bad.length} of ${outcomes.length} calls failed`);
}

test('goaway: a backend that ends its connection after every call loses none', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      arrival.peer.goaway(arrival.stream);
      answerOk(arrival);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const outcomes: Outcome[] = [];
  for (let n = 0; n < 30; n++) outcomes.push(await caller.call());
  allOk(outcomes);
  assert.equal(upstream.counts.streams, 30);
});

test('one GOAWAY alone: calls above its last stream go elsewhere by themselves', BOUNDED, async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      if (arrival.nth > 20) {
        answerOk(arrival);
        return;
      }
      held.push(arrival);
      if (held.length < 20) return;
      const byPeer = Map.groupBy(held, each => each.peer);
      for (const [peer, arrivals] of byPeer) {
        const kept = arrivals.slice(0, Math.ceil(arrivals.length / 4));
        peer.goaway((kept.at(-1) as Arrival).stream);
        for (const { stream } of kept) peer.send(...okFrames(stream));
      }
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  allOk(await Promise.all(Array.from({ length: 20 }, () => caller.call())));
});

test('refused streams go to another backend', BOUNDED, async t => {
  const refuses = await upstreamFor(t, {
    onStream: ({ peer, stream }) => void peer.send(reset(stream, Code.REFUSED_STREAM)),
  });
  const takes = await upstreamFor(t);
  const { address } = await proxyFor(t, [refuses.address, takes.address]);
  const caller = await callerFor(t, address);
  const outcomes: Outcome[] = [];
  for (let n = 0; n < 30; n++) outcomes.push(await caller.call());
  outcomes.push(...(await Promise.all(Array.from({ length: 30 }, () => caller.call()))));
  allOk(outcomes);
  assert.equal(takes.counts.streams, 60);
});

test('a refused connection goes to another backend', BOUNDED, async t => {
  const gone = await upstreamFor(t);
  await gone.close();
  const takes = await upstreamFor(t);
  const { address } = await proxyFor(t, [gone.address, takes.address]);
  const caller = await callerFor(t, address);
  const outcomes: Outcome[] = [];
  for (let n = 0; n < 30; n++) outcomes.push(await caller.call());
  allOk(outcomes);
});

test('ping: each is acknowledged, and calls go on', BOUNDED, async t => {
  const PINGS = 100;
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      for (let n = 0; n < PINGS; n++) arrival.peer.send(ping(Buffer.alloc(8, n)));
      answerOk(arrival);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  allOk([await caller.call(), await caller.call()]);
  const [peer] = upstream.peers;
  await peer?.roundTrip();
  const acks = peer?.frames.filter(each => each.type === Type.PING && (each.flags & Flag.ACK) !== 0);
  assert.equal(acks?.length, 2 * PINGS + 1);
});

for (const callers of [15, 40]) {
  test(`max_streams: ${callers} callers at once, one stream a connection`, BOUNDED, async t => {
    const open = new Map<unknown, number>();
    let most = 0;
    const upstream = await upstreamFor(t, {
      settings: [[Setting.MAX_CONCURRENT_STREAMS, 1]],
      onStream: ({ peer, stream }) => {
        const now = (open.get(peer) ?? 0) + 1;
        open.set(peer, now);
        most = Math.max(most, now);
        if (now > 1) {
          peer.send(reset(stream, Code.REFUSED_STREAM));
          open.set(peer, now - 1);
          return;
        }
        setTimeout(() => {
          open.set(peer, (open.get(peer) ?? 1) - 1);
          peer.send(...okFrames(stream));
        }, 5);
      },
    });
    const { address } = await proxyFor(t, [upstream.address]);
    const clients = await Promise.all(Array.from({ length: callers }, () => callerFor(t, address)));
    for (let round = 0; round < 3; round++) {
      allOk(await Promise.all(clients.map(client => client.call())));
    }
    // Until the first SETTINGS have come, a client may take the limit for unbounded (RFC 9113, 6.5.2).
    assert.ok(upstream.counts.connections <= callers, `${upstream.counts.connections} connections`);
    t.diagnostic(`${upstream.counts.connections} connections, at most ${most} streams on one`);
  });
}

test('data_frame_padding: credit comes back for padding too', BOUNDED, async t => {
  const FRAMES = 6_000;
  const piece = Buffer.alloc(40, 7);
  const upstream = await upstreamFor(t, {
    onStream: async ({ peer, stream }) => {
      // 296 bytes of credit for 40 of content: without credit for padding the windows end at 65,535 bytes.
      await sendWithin(peer, stream, [
        data(stream, Buffer.concat([Buffer.from([0]), lengthOf(FRAMES * piece.length)])),
        ...Array.from({ length: FRAMES }, () => paddedData(stream, piece, 255)),
      ]);
      peer.sendHeaders(stream, OK, Flag.END_STREAM);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const outcome = await caller.call();
  allOk([outcome]);
  assert.equal(Buffer.concat(outcome.data).length, 5 + FRAMES * piece.length);
});

/** Sends DATA frames as credit allows, after HEADERS. */
async function sendWithin(peer: Arrival['peer'], stream: number, frames: readonly Buffer[]): Promise<void> {
  let onStream = peer.settings.get(Setting.INITIAL_WINDOW_SIZE) ?? 65_535;
  let onConnection = 65_535;
  const before = peer.onFrame;
  let wake: () => void = () => undefined;
  const credit = (each: { type: number; stream: number; payload: Buffer }): void => {
    if (each.type !== Type.WINDOW_UPDATE) return;
    if (each.stream === stream) onStream += each.payload.readUInt32BE(0);
    if (each.stream === 0) onConnection += each.payload.readUInt32BE(0);
    wake();
  };
  for (const each of peer.frames) if (each.stream === 0) credit(each);
  peer.onFrame = each => {
    before(each);
    credit(each);
  };
  peer.send(headers(stream, encode(RESPONSE)));
  for (const each of frames) {
    const size = each.length - 9;
    while (onStream < size || onConnection < size) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await Promise.race([promise, peer.closed]);
      if (peer.isClosed) return;
    }
    onStream -= size;
    onConnection -= size;
    peer.send(each);
  }
}

function lengthOf(bytes: number): Buffer {
  return message(Buffer.alloc(bytes)).subarray(1, 5);
}

test('a window that a backend closes and opens again holds the request up, no more', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    settings: [[Setting.INITIAL_WINDOW_SIZE, 0]],
    onStream: arrival => {
      setTimeout(() => arrival.peer.send(settings([[Setting.INITIAL_WINDOW_SIZE, 100]])), 50);
      setTimeout(() => arrival.peer.send(settings([[Setting.INITIAL_WINDOW_SIZE, 65_535]])), 100);
      answerOk(arrival);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  allOk([await caller.call(request(), Buffer.alloc(20_000))]);
});

test('a backend that sends beyond its credit is cut off', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      peer.send(headers(stream, encode(RESPONSE)));
      const whole = data(stream, Buffer.alloc(16_384));
      // 64 MiB: beyond the window of any of the proxies.
      for (let n = 0; n < 4_096 && !peer.isClosed; n++) peer.send(whole);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  // The caller gives no credit, so the proxy cannot pass on what comes.
  const caller = await callerFor(t, address, { credits: false });
  const outcome = await caller.call();
  assert.notEqual(statusOf(outcome), Status.OK);
  assert.equal(outcome.lost, false, "the caller's connection ended");
});

const BREACHES: readonly [name: string, bytes: (stream: number) => Buffer][] = [
  ['DATA on stream 0', () => data(0, Buffer.from('x'))],
  ['a frame above the size limit', stream => frame(Type.DATA, 0, stream, Buffer.alloc(16_385 + 1_048_576))],
  [
    'a header block that is none',
    stream => headers(stream, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
  ],
  ['PUSH_PROMISE', stream => frame(Type.PUSH_PROMISE, 4, stream, Buffer.from([0, 0, 0, 2, 0x88]))],
  ['WINDOW_UPDATE of 0', () => frame(Type.WINDOW_UPDATE, 0, 0, Buffer.alloc(4))],
  ['CONTINUATION out of turn', stream => frame(Type.CONTINUATION, 4, stream, Buffer.from([0x88]))],
];

for (const [name, bytes] of BREACHES) {
  test(`a backend that breaks the rules by ${name}: its calls fail, nobody else's`, BOUNDED, async t => {
    const upstream = await upstreamFor(t, {
      onStream: arrival => {
        const breaks = arrival.fields.some(([field]) => field === 'x-break');
        if (breaks) arrival.peer.send(bytes(arrival.stream));
        else answerOk(arrival);
      },
    });
    const { address } = await proxyFor(t, [upstream.address]);
    const caller = await callerFor(t, address);
    allOk([await caller.call()]);
    const outcome = await caller.call(request(undefined, [['x-break', 'now']]));
    assert.ok([Status.UNAVAILABLE, Status.INTERNAL, Status.UNKNOWN].includes(statusOf(outcome) as 2));
    assert.ok(!outcome.lost, "the caller's connection ended");
    allOk([await caller.call()]);
  });
}

test('response metadata of 32 KiB passes, and of 1 MiB fails that call alone', BOUNDED, async t => {
  let bytes = 0;
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream, fields }) => {
      const asked = fields.find(([name]) => name === 'x-bytes');
      bytes = Number(asked?.[1] ?? 0);
      const more = Array.from(
        { length: Math.ceil(bytes / 4_000) },
        (_, n) => [`x-${n}`, 'v'.repeat(4_000)] as const,
      );
      const block = encode([...RESPONSE, ...more]);
      const parts: Buffer[] = [];
      for (let at = 0; at < block.length; at += 16_384) parts.push(block.subarray(at, at + 16_384));
      parts.forEach((part, index) => {
        const last = index === parts.length - 1 ? Flag.END_HEADERS : 0;
        peer.send(frame(index === 0 ? Type.HEADERS : Type.CONTINUATION, last, stream, part));
      });
      peer.sendHeaders(stream, OK, Flag.END_STREAM);
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await callerFor(t, address);
  const [small, large] = [32_000, 1_048_576].map(size => request(undefined, [['x-bytes', String(size)]]));
  const passed = await caller.call(small);
  allOk([passed]);
  assert.equal(passed.headers?.['x-7']?.length, 4_000);
  const failed = await caller.call(large);
  assert.notEqual(statusOf(failed), Status.OK);
  assert.ok(!failed.lost, "the caller's connection ended");
  allOk([await caller.call(small)]);
});

test(
  'a backend that takes connections and stays silent costs its calls no more than their deadline',
  BOUNDED,
  async t => {
    const silent = await upstreamFor(t, { onConnection: () => true });
    const { address } = await proxyFor(t, [silent.address]);
    const caller = await callerFor(t, address);
    const started = performance.now();
    const outcome = await caller.call(request(undefined, [['grpc-timeout', '1S']]));
    assert.ok([Status.DEADLINE_EXCEEDED, Status.UNAVAILABLE].includes(statusOf(outcome) as 4));
    assert.ok(outcome.grpcStatus !== undefined);
    t.diagnostic(`after ${(performance.now() - started).toFixed(0)} ms`);
  },
);

test('a stalled stream does not stall its neighbours', BOUNDED, async t => {
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      if (!arrival.fields.some(([name]) => name === 'x-flood')) {
        answerOk(arrival);
        return;
      }
      const { peer, stream } = arrival;
      void sendWithin(
        peer,
        stream,
        Array.from({ length: 200 }, () => data(stream, Buffer.alloc(16_000))),
      );
    },
  });
  const { address } = await proxyFor(t, [upstream.address]);
  const stalled = await callerFor(t, address, { credits: false });
  stalled.open(request(undefined, [['x-flood', '1']]));
  // Another connection, and, when the connection's window of 65,535 bytes is used up, calls without a body.
  await sleep(200);
  const other = await callerFor(t, address);
  for (let n = 0; n < 20; n++) allOk([await other.call()]);
});
