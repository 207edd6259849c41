import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { type ClientHttp2Session, constants } from 'node:http2';
import { type Server, connect as tcp } from 'node:net';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { serverStream } from '../../src/control/methods.ts';
import { CONTROL, TRANSPORT } from '../../src/core/limits.ts';
import { Status } from '../../src/grpc/status.ts';
import { echo, fresh, HEAD, Text, text } from './echo.ts';
import { call, connect, framed, rawCall, rawSession, serve } from './support.ts';

const ENHANCE_YOUR_CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM;

/** The code of the GOAWAY that a session gets. */
function goawayOf(session: ClientHttp2Session): Promise<number> {
  return new Promise(resolve => session.once('goaway', resolve));
}

describe('hostile bytes', () => {
  it('answers malformed and too large messages with a status, and other callers go on', async () => {
    await serve([echo(fresh())], async ({ address }) => {
      const session = await rawSession(address);
      const malformed = await rawCall(session, '/test.Echo/Unary', framed(Buffer.from([0x0a, 0xff])));
      assert.equal(malformed.grpcStatus, Status.INTERNAL);
      const huge = await rawCall(session, '/test.Echo/Unary', framed(Buffer.alloc(CONTROL.messageBytes + 1)));
      assert.equal(huge.grpcStatus, Status.RESOURCE_EXHAUSTED);
      const lies = framed(Buffer.alloc(0));
      lies.writeUInt32BE(0xffff_ffff, 1);
      assert.equal((await rawCall(session, '/test.Echo/Unary', lies)).grpcStatus, Status.RESOURCE_EXHAUSTED);
      assert.equal(
        (await rawCall(session, '/test.Echo/Nothing', framed(Buffer.alloc(0)))).grpcStatus,
        Status.UNIMPLEMENTED,
      );
      const html = await rawCall(session, '/test.Echo/Unary', Buffer.alloc(0), {
        'content-type': 'text/html',
      });
      assert.equal(html.httpStatus, 415);
      const fine = await rawCall(session, '/test.Echo/Unary', framed(Text.encode(text('ok')).finish()));
      assert.equal(fine.grpcStatus, Status.OK);
      session.close();
    });
  });

  it('takes compressed messages, and not what they blow up to', async () => {
    await serve([echo(fresh())], async ({ address }) => {
      const session = await rawSession(address);
      const ask = (coding: string | undefined, content: Uint8Array) => {
        const body = framed(content);
        body[0] = 1;
        return rawCall(
          session,
          '/test.Echo/Unary',
          body,
          coding === undefined ? {} : { 'grpc-encoding': coding },
        );
      };
      const message = Text.encode(text('small')).finish();
      for (const [coding, packed] of [
        ['gzip', gzipSync(message)],
        ['deflate', deflateSync(message)],
      ] as const) {
        const { grpcStatus, body } = await ask(coding, packed);
        assert.equal(grpcStatus, Status.OK, coding);
        assert.equal(Text.decode(body.subarray(5)).id, 'small');
        const bomb = coding === 'gzip' ? gzipSync(Buffer.alloc(50e6)) : deflateSync(Buffer.alloc(50e6));
        assert.equal((await ask(coding, bomb)).grpcStatus, Status.RESOURCE_EXHAUSTED, coding);
        assert.equal((await ask(coding, message)).grpcStatus, Status.INTERNAL, coding);
      }
      const unknown = session.request({ ...HEAD, ':path': '/test.Echo/Unary', 'grpc-encoding': 'br' });
      unknown.end(Buffer.from([1, 0, 0, 0, 0]));
      unknown.resume();
      const trailers = once(unknown, 'trailers');
      const [head] = await once(unknown, 'response');
      assert.equal(head['grpc-accept-encoding'], 'identity,deflate,gzip');
      assert.equal(Number((await trailers)[0]['grpc-status']), Status.UNIMPLEMENTED);
      assert.equal((await ask(undefined, message)).grpcStatus, Status.INTERNAL);
      session.close();
    });
  });

  it('answers what is no whole request, or more than one', async () => {
    await serve([echo(fresh())], async ({ address }) => {
      const session = await rawSession(address);
      const one = framed(Text.encode(text('a')).finish());
      for (const method of ['Unary', 'Down']) {
        const path = `/test.Echo/${method}`;
        const statusOf = async (body: Buffer) => (await rawCall(session, path, body)).grpcStatus;
        assert.equal(await statusOf(Buffer.alloc(0)), Status.UNIMPLEMENTED);
        assert.equal(await statusOf(Buffer.concat([one, one])), Status.UNIMPLEMENTED);
        assert.equal(await statusOf(one.subarray(0, -1)), Status.INTERNAL);
        assert.equal(await statusOf(Buffer.from([7, 0, 0, 0, 0])), Status.INTERNAL);
        assert.equal(await statusOf(one), Status.OK);
      }
      session.close();
    });
  });

  it('holds so much of messages that never come whole, and cuts off who sent most of them', async () => {
    await serve([echo(fresh())], async ({ address, server }) => {
      const half = framed(Buffer.alloc(CONTROL.messageBytes)).subarray(0, -1);
      const send = (session: ClientHttp2Session, octets: Buffer) => {
        const stream = session.request({ ...HEAD, ':path': '/test.Echo/Unary' });
        stream.on('error', () => {});
        stream.resume();
        stream.write(octets);
        return stream;
      };
      const modest = await rawSession(address);
      const message = framed(Text.encode(text('z'.repeat(CONTROL.messageBytes / 2))).finish());
      const slow = send(modest, message.subarray(0, -1));
      const each = CONTROL.heldBytes / half.length / 3 + 5;
      const sessions = await Promise.all([0, 1, 2].map(() => rawSession(address)));
      const cut = sessions.map(goawayOf);
      for (const session of sessions) for (let i = 0; i < each; i++) send(session, half);
      assert.equal(await Promise.race(cut), ENHANCE_YOUR_CALM);
      assert.ok(server.heldBytes <= CONTROL.heldBytes);
      assert.ok(server.heldBytes > CONTROL.heldBytes / 2);
      const head = once(slow, 'response');
      slow.end(message.subarray(-1));
      assert.equal((await head)[0]['grpc-status'], undefined);
      for (const session of [...sessions, modest]) session.destroy();
      while (server.connections > 0) await new Promise(resolve => setTimeout(resolve, 5));
      assert.equal(server.heldBytes, 0);
    });
  });

  it('holds so much of answers that are not read, and cuts off who reads least', async () => {
    const answer = 1024 ** 2;
    const path = '/test.Large/Down';
    const method = serverStream(path, Text, (_request, _peer, sink) => {
      sink.write(Buffer.alloc(answer));
      return () => {};
    });
    await serve([{ name: 'test.Large', methods: [method] }], async ({ address, server }) => {
      const watch = (session: ClientHttp2Session) => {
        const stream = session.request({ ...HEAD, ':path': path });
        stream.on('error', () => {});
        stream.end(framed(Buffer.alloc(0)));
        return stream;
      };
      const modest = await rawSession(address);
      const slow = watch(modest);
      await once(slow, 'response');
      const sessions = await Promise.all([0, 1].map(() => rawSession(address, { initialWindowSize: 0 })));
      const cut = sessions.map(goawayOf);
      for (const session of sessions) for (let i = 0; i < 70; i++) watch(session);
      assert.equal(await Promise.race(cut), ENHANCE_YOUR_CALM);
      assert.ok(server.heldBytes <= CONTROL.heldBytes);
      assert.ok(server.heldBytes > CONTROL.heldBytes / 3);
      let got = 0;
      for await (const [part] of on(slow, 'data')) {
        got += part.length;
        if (got === 5 + answer) break;
      }
      for (const session of [...sessions, modest]) session.destroy();
      while (server.connections > 0) await new Promise(resolve => setTimeout(resolve, 5));
      assert.equal(server.heldBytes, 0);
    });
  });

  it('tells who has no room for a message how its call ended, where none has begun', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address, server }) => {
      const session = await rawSession(address, { initialWindowSize: 0 });
      const message = framed(Text.encode(text('open')).finish());
      const path = '/test.Echo/Down';
      const { grpcStatus, body } = await rawCall(session, path, message, { 'grpc-timeout': '20m' });
      assert.equal(grpcStatus, Status.DEADLINE_EXCEEDED);
      assert.equal(body.length, 0);
      assert.equal(server.heldBytes, 0);
      session.destroy();
    });
  });

  it('tells what is no gRPC so once it is whole, as fast as it reads', async () => {
    await serve([echo(fresh())], async ({ address }) => {
      const session = await rawSession(address, { initialWindowSize: 10 });
      const stream = session.request({ ':method': 'PUT', ':path': '/test.Echo/Unary' });
      stream.write('some');
      await new Promise(resolve => session.ping(resolve));
      let answered = false;
      const head = once(stream, 'response').then(([fields]) => {
        answered = true;
        return fields;
      });
      await new Promise(resolve => session.ping(resolve));
      assert.equal(answered, false);
      stream.end('thing');
      assert.equal((await head)[':status'], 415);
      let got = '';
      for await (const part of stream.setEncoding('latin1')) got += part;
      assert.match(got, /^This is the control API.*\n$/);
      assert.equal(stream.rstCode, 0);
      session.destroy();
    });
  });

  it('asks a silent connection for a sign of life, and ends one that gives none', async () => {
    await serve([echo(fresh())], async ({ port, server }) => {
      const socket = tcp(port, '127.0.0.1');
      let got = Buffer.alloc(0);
      let closed = false;
      socket.on('data', chunk => {
        got = Buffer.concat([got, chunk]);
      });
      socket.on('close', () => {
        closed = true;
      });
      const saw = async (octets: Buffer) => {
        while (!got.includes(octets)) await once(socket, 'data');
        got = Buffer.alloc(0);
      };
      const settingsAck = Buffer.from('000000040100000000', 'hex');
      socket.write(
        Buffer.concat([
          Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
          Buffer.from('000000040000000000', 'hex'),
          settingsAck,
        ]),
      );
      await saw(settingsAck);
      const ping = Buffer.from('0000080600000000000000000000000000', 'hex');
      const late = () => performance.now() + CONTROL.keepaliveMs;
      server.watch(late());
      await saw(ping);
      socket.write(Buffer.from('0000080601000000000000000000000000', 'hex'));
      // Its answer is seen by that the next look asks again, and ends nothing.
      let asked = performance.now();
      do {
        await new Promise(resolve => setTimeout(resolve, 5));
        asked = late();
        server.watch(asked);
      } while (!got.includes(ping));
      assert.equal(closed, false);
      server.watch(asked + CONTROL.keepaliveTimeoutMs + 1);
      while (!closed) await once(socket, 'close');
    });
  });

  it('looks after each connection in its turn, those that come meanwhile too', async () => {
    await serve([echo(fresh())], async ({ port, server }) => {
      const parts = CONTROL.watchMs / TRANSPORT.watchMs;
      let open = 0;
      const dial = async () => {
        const socket = tcp(port, '127.0.0.1');
        socket.on('error', () => {}).on('close', () => open--);
        socket.resume();
        open++;
        await once(socket, 'connect');
        while (server.connections < open) await new Promise(resolve => setImmediate(resolve));
      };
      const late = performance.now() + 2 * TRANSPORT.prefaceMs;
      for (let i = 0; i < 10; i++) await dial();
      server.watchSome(late);
      assert.equal(server.silent, Math.ceil(10 / parts));
      await dial();
      // One round more, as the one that goes on is over within a part.
      for (let i = 0; i < 2 * parts; i++) server.watchSome(late);
      assert.equal(server.silent, 11);
      while (open > 0) await new Promise(resolve => setImmediate(resolve));
    });
  });

  it('closes what speaks no HTTP/2', async () => {
    await serve([echo(fresh())], async ({ address, port }) => {
      const socket = tcp(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
      socket.resume();
      await once(socket, 'close');
      const client = connect(address);
      assert.equal((await call(client, '/test.Echo/Unary', Text, Text, text('a'))).id, 'a');
      client.close();
    });
  });

  it('goes on where a connection cannot be accepted', async () => {
    await serve([echo(fresh())], async ({ address, server, faults }) => {
      // As Node does where the process has no file left for it.
      (Reflect.get(server, 'net') as Server).emit('error', new Error('accept EMFILE'));
      assert.equal(faults.length, 1);
      const client = connect(address);
      assert.equal((await call(client, '/test.Echo/Unary', Text, Text, text('a'))).id, 'a');
      client.close();
    });
  });
});
