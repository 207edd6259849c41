/** The attacks that brought down other servers, each on a live proxy with another caller beside it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectCaller, connectSilently, request } from '../support/h2/caller.ts';
import { encode, integer, literal } from '../support/h2/hpack.ts';
import { statusOf } from '../support/h2/status.ts';
import { type Arrival, RESPONSE } from '../support/h2/upstream.ts';
import {
  Code,
  data,
  Flag,
  frame,
  headers,
  PREFACE,
  ping,
  reset,
  Setting,
  settings,
  Type,
  uint32,
  windowUpdate,
} from '../support/h2/wire.ts';
import { attack, flood } from './attack.ts';
import { callerFor, proxyFor, upstreamFor } from './harness.ts';

const BOUNDED = { timeout: 30_000 };

/** A backend that takes calls and never answers. */
const keeps = (): void => undefined;
const block = encode(request());

test('many streams: no more are open than was advertised', BOUNDED, async t => {
  const { upstream, attacker } = await attack(t, {
    ends: false,
    onStream: keeps,
    run: async ({ attacker: caller }) => {
      await flood(caller, 5_000, () => headers(caller.stream(), block));
      await sleep(300);
    },
  });
  const most = attacker.settings.get(Setting.MAX_CONCURRENT_STREAMS) ?? Number.POSITIVE_INFINITY;
  assert.ok(most <= 1_024, `${most} streams advertised`);
  const open = [...upstream.peers].reduce((sum, peer) => sum + openStreams(peer.frames), 0);
  assert.ok(open <= most, `${open} streams open at the backend`);
});

function openStreams(frames: readonly { type: number; stream: number; flags: number }[]): number {
  const open = new Set<number>();
  for (const { type, stream, flags } of frames) {
    if (type === Type.HEADERS && (flags & Flag.END_STREAM) === 0) open.add(stream);
    if (type === Type.RST_STREAM || (flags & Flag.END_STREAM) !== 0) open.delete(stream);
  }
  return open.size;
}

test('rapid reset (CVE-2023-44487)', BOUNDED, async t => {
  await attack(t, {
    ends: true,
    onStream: keeps,
    run: async ({ attacker }) => {
      await flood(attacker, 20_000, () => {
        const stream = attacker.stream();
        return Buffer.concat([headers(stream, block), reset(stream, Code.CANCEL)]);
      });
    },
  });
});

test('resets that the proxy is made to send (CVE-2025-8671)', BOUNDED, async t => {
  await attack(t, {
    ends: true,
    onStream: keeps,
    run: async ({ attacker }) => {
      // RFC 9113, 6.9: an increment of 0 on a stream is a stream error.
      await flood(attacker, 10_000, () => {
        const stream = attacker.stream();
        return Buffer.concat([headers(stream, block), windowUpdate(stream, 0)]);
      });
    },
  });
});

test('CONTINUATION flood', BOUNDED, async t => {
  const part = literal(['x-filler', 'v'.repeat(1_000)]);
  await attack(t, {
    ends: true,
    run: async ({ attacker }) => {
      attacker.send(frame(Type.HEADERS, 0, attacker.stream(), block));
      await flood(attacker, 100_000, () => frame(Type.CONTINUATION, 0, 1, part));
    },
  });
});

test('CONTINUATION flood of empty frames', BOUNDED, async t => {
  await attack(t, {
    ends: true,
    run: async ({ attacker }) => {
      attacker.send(frame(Type.HEADERS, 0, attacker.stream(), block));
      await flood(attacker, 200_000, () => frame(Type.CONTINUATION, 0, 1));
    },
  });
});

test('header bomb: 16 KiB on the wire that stand for 30 MiB', BOUNDED, async t => {
  // A field of 3,000 bytes goes into the dynamic table once, and is named by one byte after that.
  const value = Buffer.alloc(3_000, 0x61);
  const insert = Buffer.concat([Buffer.from([0x40, 1, 0x78]), Buffer.from(integer(value.length, 7)), value]);
  const again = Buffer.alloc(10_000, 0x80 | 62);
  let reached = 0;
  await attack(t, {
    ends: false,
    onStream: ({ fields }) => {
      reached = Math.max(reached, fields.length);
    },
    run: async ({ attacker }) => {
      await flood(attacker, 200, () => headers(attacker.stream(), Buffer.concat([block, insert, again])));
      await sleep(300);
    },
  });
  assert.ok(reached <= 200, `${reached} fields reached a backend`);
});

test('header bomb of cookie crumbs', BOUNDED, async t => {
  let reached = 0;
  await attack(t, {
    ends: false,
    onStream: ({ fields }) => {
      reached = Math.max(reached, fields.length);
    },
    run: async ({ attacker }) => {
      const crumb = Buffer.from([0x40, 6, ...Buffer.from('cookie'), 1, 0x61]);
      const again = Buffer.alloc(16_000, 0x80 | 62);
      await flood(attacker, 200, () => headers(attacker.stream(), Buffer.concat([block, crumb, again])));
      await sleep(300);
    },
  });
  assert.ok(reached <= 200, `${reached} fields reached a backend`);
});

test('a header table as large as the caller says', BOUNDED, async t => {
  let n = 0;
  await attack(t, {
    caller: { settings: [[Setting.HEADER_TABLE_SIZE, 2 ** 32 - 1]], connectionWindow: 2 ** 30 },
    ends: false,
    onStream: ({ peer, stream }) => {
      const more = Array.from({ length: 10 }, (_, at) => [`x-${at}`, `${n++}`.padStart(1_000, '0')] as const);
      peer.sendHeaders(stream, [...RESPONSE, ...more, ['grpc-status', '0']], Flag.END_STREAM);
    },
    run: async ({ attacker }) => {
      attacker.keep = false;
      // 60 MiB of values of which none comes twice.
      for (let round = 0; round < 60; round++) {
        await Promise.all(Array.from({ length: 100 }, () => attacker.call()));
      }
    },
  });
});

for (const [name, chunk] of [
  ['PING', ping()],
  ['SETTINGS', settings([[Setting.INITIAL_WINDOW_SIZE, 65_535]])],
] as const) {
  test(`${name} flood by a caller that reads no answers`, BOUNDED, async t => {
    const many = Buffer.concat(Array.from({ length: 64 }, () => chunk));
    await attack(t, {
      ends: false,
      run: async ({ attacker }) => {
        attacker.socket.pause();
        await flood(attacker, 20_000, () => many);
        attacker.socket.resume();
      },
    });
  });
}

test('SETTINGS that change the window of many streams, again and again', BOUNDED, async t => {
  await attack(t, {
    ends: false,
    onStream: keeps,
    run: async ({ attacker }) => {
      for (let n = 0; n < 100; n++) attacker.open();
      await flood(attacker, 100_000, n =>
        settings([[Setting.INITIAL_WINDOW_SIZE, n % 2 === 0 ? 0 : 65_535]]),
      );
    },
  });
});

test('empty DATA', BOUNDED, async t => {
  await attack(t, {
    ends: true,
    onStream: keeps,
    run: async ({ attacker }) => {
      const stream = attacker.open();
      await flood(attacker, 200_000, () => data(stream, Buffer.alloc(0)));
    },
  });
});

test('DATA of one byte', BOUNDED, async t => {
  await attack(t, {
    ends: false,
    onStream: keeps,
    run: async ({ attacker }) => {
      const stream = attacker.open();
      await flood(attacker, 60_000, () => data(stream, Buffer.from([0])));
    },
  });
});

test('PRIORITY flood', BOUNDED, async t => {
  await attack(t, {
    ends: true,
    run: async ({ attacker }) => {
      await flood(attacker, 200_000, n =>
        frame(Type.PRIORITY, 0, 2 * (n % 1_000) + 1, Buffer.concat([uint32(0), Buffer.from([1])])),
      );
    },
  });
});

test('WINDOW_UPDATE flood', BOUNDED, async t => {
  await attack(t, {
    ends: true,
    onStream: keeps,
    run: async ({ attacker }) => {
      const stream = attacker.open();
      await flood(attacker, 200_000, () => windowUpdate(stream, 1));
    },
  });
});

test('a window beyond 2^31-1', BOUNDED, async t => {
  await attack(t, {
    ends: true,
    run: async ({ attacker }) => {
      attacker.send(windowUpdate(0, 2 ** 31 - 1), windowUpdate(0, 2 ** 31 - 1));
      await attacker.closed;
    },
  });
});

/** 4 MiB for each call, as fast as the proxy gives credit for it. */
function largeAnswer({ peer, stream }: Arrival): void {
  let onStream = peer.settings.get(Setting.INITIAL_WINDOW_SIZE) ?? 65_535;
  let left = 4 * 2 ** 20;
  const before = peer.onFrame;
  const push = (): void => {
    while (left > 0 && onStream >= 16_384 && peer.socket.writableLength < 2 ** 20) {
      left -= 16_384;
      onStream -= 16_384;
      peer.send(data(stream, Buffer.alloc(16_384)));
    }
  };
  peer.onFrame = each => {
    before(each);
    if (each.type !== Type.WINDOW_UPDATE) return;
    if (each.stream === stream) onStream += each.payload.readUInt32BE(0);
    push();
  };
  peer.socket.setMaxListeners(0).on('drain', push);
  peer.send(headers(stream, encode(RESPONSE)));
  push();
}

test('zero window: calls whose answers the caller gives no credit for', BOUNDED, async t => {
  await attack(t, {
    caller: { settings: [[Setting.INITIAL_WINDOW_SIZE, 0]], credits: false },
    ends: false,
    onStream: largeAnswer,
    run: async ({ attacker }) => {
      for (let n = 0; n < 100; n++) attacker.open();
      await sleep(2_000);
    },
  });
});

test('slow reader: much credit, and nothing is read', BOUNDED, async t => {
  await attack(t, {
    caller: { settings: [[Setting.INITIAL_WINDOW_SIZE, 2 ** 31 - 1]], connectionWindow: 2 ** 30 },
    ends: false,
    onStream: largeAnswer,
    run: async ({ attacker }) => {
      attacker.socket.pause();
      for (let n = 0; n < 100; n++) attacker.open();
      await sleep(2_000);
    },
  });
});

test('a connection that never says what it speaks is ended', { timeout: 20_000 }, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const silent = await connectSilently(address);
  const nearly = await connectSilently(address);
  nearly.send(PREFACE.subarray(0, 10));
  t.after(() => {
    silent.socket.destroy();
    nearly.socket.destroy();
  });
  await Promise.all([silent.closed, nearly.closed]);
});

test('a caller that never acknowledges SETTINGS is told so', { timeout: 20_000 }, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await connectCaller(address, { acknowledges: false });
  await caller.closed;
  // RFC 9113, 6.5.3: SETTINGS_TIMEOUT.
  assert.equal(caller.goneAway?.code, 4);
});

test('500 connections that begin and stop do not keep others out', BOUNDED, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const idle = await Promise.all(Array.from({ length: 500 }, () => connectSilently(address)));
  t.after(() => {
    for (const each of idle) each.socket.destroy();
  });
  for (const each of idle) each.send(PREFACE.subarray(0, 3));
  const caller = await callerFor(t, address);
  for (let n = 0; n < 50; n++) assert.equal(statusOf(await caller.call()), 0);
});

test('HTTP/1 gets an answer and an end, not a wait', BOUNDED, async t => {
  const upstream = await upstreamFor(t);
  const { address } = await proxyFor(t, [upstream.address]);
  const caller = await connectSilently(address);
  caller.send(Buffer.from('GET / HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n'));
  await caller.closed;
  assert.equal(upstream.counts.streams, 0);
});
