import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect as tcp } from 'node:net';
import { describe, it } from 'node:test';
import { CONTROL } from '../../src/core/limits.ts';
import { ReportLoadRequest } from '../../src/gen/heapmesh/v1/load_report.ts';
import { WatchServersRequest } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { durationOf } from '../../src/grpc/duration.ts';
import { Status } from '../../src/grpc/status.ts';
import { claim, LOOKASIDE, pick, registration, rig, SERVICE } from './rig.ts';
import { framed, rawCall, rawSession } from './support.ts';

const seed = Number(process.env.HEAPMESH_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
function numbers(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function open(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  return stream;
}

const METHODS = [
  ...['PickServer', 'WatchServers', 'ReportOutcomes'].map(name => `/heapmesh.v1.LookasideService/${name}`),
  '/heapmesh.v1.LoadReportService/ReportLoad',
  ...['List', 'Add', 'Remove', 'Drain', 'Undrain', 'Activate'].map(
    name => `/heapmesh.v1.AdminService/${name}Server${name === 'List' ? 's' : ''}`,
  ),
  ...['SetServerWeight', 'GetHeap', 'WatchEvents'].map(name => `/heapmesh.v1.AdminService/${name}`),
  ...['Check', 'List', 'Watch'].map(name => `/grpc.health.v1.Health/${name}`),
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
];

describe('hostile callers', () => {
  it(`get a status for any bytes to any method, and change nothing (seed ${seed})`, async () => {
    await rig({}, async ({ mesh, client, control, address }) => {
      claim(mesh, { id: 'a' });
      const position = mesh.registry.position;
      const random = numbers(seed);
      const session = await rawSession(address);
      for (let i = 0; i < 600; i++) {
        const path = METHODS[i % METHODS.length] as string;
        // Fields 1 to 12 of any type, with content that may or may not fit: what a decoder meets at worst.
        const message = Buffer.from(
          Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 256)),
        );
        message[0] = ((1 + Math.floor(random() * 12)) << 3) | Math.floor(random() * 6);
        const stream = open(session, path);
        const ended = once(stream, 'close');
        const timer = setTimeout(() => stream.close(8), 25);
        stream.resume();
        stream.end(framed(message));
        await ended;
        clearTimeout(timer);
      }
      assert.equal(session.destroyed, false);
      session.destroy();
      assert.equal(control.counters.faults, 0);
      for (const view of mesh.registry.list()) assert.equal(view.spec.id, 'a');
      assert.ok(mesh.registry.position - position < 20);
      assert.equal((await pick(client())).server?.id, 'a');
    });
  });

  it('open more streams than they may, and others are served', async () => {
    await rig({}, async ({ mesh, client, control, address, until }) => {
      claim(mesh);
      const session = await rawSession(address);
      const request = framed(
        WatchServersRequest.encode(WatchServersRequest.fromPartial({ service: SERVICE })).finish(),
      );
      for (let i = 0; i < 3000; i++) {
        const stream = open(session, `${LOOKASIDE}/WatchServers`);
        stream.end(request);
      }
      await until(() => control.gauges().watches === CONTROL.streamsPerConnection);
      const caller = client();
      for (let i = 0; i < 20; i++) assert.equal((await pick(caller)).server?.id, 'a');
      assert.equal(control.gauges().watches, CONTROL.streamsPerConnection);
      session.destroy();
      await until(() => control.gauges().watches === 0);
    });
  });

  it('reset thousands of streams, and others are served', async () => {
    await rig({}, async ({ mesh, client, control, address, until }) => {
      claim(mesh);
      const caller = client();
      await pick(caller);
      const session = await rawSession(address);
      const request = framed(
        WatchServersRequest.encode(WatchServersRequest.fromPartial({ service: SERVICE })).finish(),
      );
      for (let i = 0; i < 5000 && !session.destroyed; i++) {
        const stream = open(session, `${LOOKASIDE}/WatchServers`);
        stream.end(request);
        stream.close(8);
        if (i % 100 === 0) assert.equal((await pick(caller)).server?.id, 'a');
      }
      session.destroy();
      await until(() => control.gauges().watches === 0);
    });
  });

  it('read nothing on hundreds of streams, at a bounded cost', async () => {
    await rig({}, async ({ mesh, client, control, address, until }) => {
      const labels = { filler: 'y'.repeat(500) };
      for (let i = 0; i < 500; i++) claim(mesh, { id: `s${i}`, labels });
      const caller = client();
      await pick(caller);
      const session = await rawSession(address);
      const watch = WatchServersRequest.fromPartial({ service: SERVICE, minInterval: durationOf(100) });
      const request = framed(WatchServersRequest.encode(watch).finish());
      const before = process.memoryUsage();
      for (let i = 0; i < 400; i++) {
        const stream = open(session, `${LOOKASIDE}/WatchServers`);
        stream.pause();
        stream.end(request);
      }
      await until(() => control.gauges().watches === 400 || session.destroyed);
      for (let round = 0; round < 10; round++) {
        for (let i = 0; i < 500; i++) claim(mesh, { id: `s${i}`, labels, weight: round + 2 });
        assert.ok((await pick(caller)).server !== undefined);
      }
      const after = process.memoryUsage();
      const grown = after.rss - before.rss;
      // 400 chunks of 64 KiB are 26 MB, held twice, and as much by the clients of this same process;
      // all that was said to them would be 400 × 11 × 280 KB.
      assert.ok(grown < 300e6, `${(grown / 1e6).toFixed(0)} MB`);
      session.destroy();
      await until(() => control.gauges().watches === 0);
    });
  });

  it('register again and again without reading the answers', async () => {
    await rig({}, async ({ address, control, mesh, until }) => {
      const session = await rawSession(address);
      const stream = open(session, '/heapmesh.v1.LoadReportService/ReportLoad');
      stream.pause();
      const labels = { filler: 'x'.repeat(500) };
      for (let i = 0; i < 2 * CONTROL.registrationsPerStream; i++) {
        const value = registration({ labels });
        const message = { kind: { $case: 'registration', value }, sequence: 0n, window: undefined } as const;
        stream.write(framed(ReportLoadRequest.encode(message).finish()));
      }
      await until(() => control.counters.registered > 0 && control.gauges().reporters === 0);
      const trailers = once(stream, 'trailers');
      stream.resume();
      assert.equal(Number((await trailers)[0]['grpc-status']), Status.RESOURCE_EXHAUSTED);
      assert.ok(mesh.registry.position <= CONTROL.registrationsPerStream + 10);
      session.destroy();
    });
  });

  it('connect all at once, and each of them is served', async () => {
    const settings = Buffer.from('000000040000000000', 'hex');
    const ping = Buffer.from('0000080600000000000102030405060708', 'hex');
    const acknowledged = Buffer.from('0000080601000000000102030405060708', 'hex');
    await rig({}, async ({ address, control }) => {
      const [host = '', port = ''] = address.split(':');
      const count = 40;
      const sockets = await Promise.all(
        Array.from({ length: count }, async () => {
          const socket = tcp(Number(port), host);
          socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings, ping]));
          let got = Buffer.alloc(0);
          for await (const [chunk] of on(socket, 'data')) {
            got = Buffer.concat([got, chunk]);
            if (got.includes(acknowledged)) return socket;
          }
          return socket;
        }),
      );
      assert.ok(control.gauges().connections >= count);
      for (const socket of sockets) socket.destroy();
    });
  });

  it('send half a frame, a bad frame or a bad header, and only their own connection ends', async () => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
      const head = Buffer.alloc(9);
      head.writeUIntBE(payload.length, 0, 3);
      head[3] = type;
      head[4] = flags;
      head.writeUInt32BE(stream, 5);
      return Buffer.concat([head, payload]);
    };
    const settings = frame(4, 0, 0, Buffer.alloc(0));
    await rig({}, async ({ mesh, client, address }) => {
      claim(mesh);
      const port = Number(address.split(':')[1]);
      const attacks: Buffer[] = [
        Buffer.concat([preface, settings, frame(0, 0, 1, Buffer.alloc(10))]),
        Buffer.concat([preface, settings, frame(4, 0, 0, Buffer.alloc(5))]),
        Buffer.concat([preface, settings, frame(8, 0, 0, Buffer.alloc(4))]),
        Buffer.concat([preface, settings, frame(1, 4, 1, Buffer.from([0x80]))]),
        Buffer.concat([preface, settings, frame(9, 4, 1, Buffer.from([0x82]))]),
        Buffer.concat([preface, frame(6, 0, 0, Buffer.alloc(8))]),
        Buffer.from('\u0016\u0003\u0001 not TLS here'),
      ];
      for (const attack of attacks) {
        const socket = tcp(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.write(attack);
        socket.resume();
        await once(socket, 'close');
      }
      // Half of a frame, and then silence: costs a socket.
      const half = tcp(port, '127.0.0.1');
      half.on('error', () => {});
      half.write(Buffer.concat([preface, settings]).subarray(0, 30));
      const caller = client();
      assert.equal((await pick(caller)).server?.id, 'a');
      const session = await rawSession(address);
      const fields = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, 'v'.repeat(500)]));
      const stream = session.request({
        ':method': 'POST',
        ':path': `${LOOKASIDE}/PickServer`,
        'content-type': 'application/grpc',
        ...fields,
      });
      stream.on('error', () => {});
      await new Promise(resolve => stream.once('close', resolve));
      session.destroy();
      assert.equal((await pick(caller)).server?.id, 'a');
      half.destroy();
    });
  });

  it('send messages of any length up to the limit, and not above it', async () => {
    await rig({}, async ({ mesh, address }) => {
      claim(mesh);
      const session = await rawSession(address);
      // An unknown field of the length that fills the message.
      const filled = (length: number) => {
        const message = Buffer.alloc(length);
        message[0] = (15 << 3) | 2;
        const content = length - 4;
        message[1] = (content & 0x7f) | 0x80;
        message[2] = ((content >>> 7) & 0x7f) | 0x80;
        message[3] = content >>> 14;
        return framed(message);
      };
      const most = await rawCall(session, `${LOOKASIDE}/PickServer`, filled(CONTROL.messageBytes));
      assert.equal(most.grpcStatus, Status.INVALID_ARGUMENT);
      const above = await rawCall(session, `${LOOKASIDE}/PickServer`, filled(CONTROL.messageBytes + 1));
      assert.equal(above.grpcStatus, Status.RESOURCE_EXHAUSTED);
      session.destroy();
    });
  });
});
