import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { type ClientHttp2Session, constants } from 'node:http2';
import { type Server, connect as tcp } from 'node:net';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { requestStream, serverStream, unary } from '../../src/control/methods.ts';
import { type Link, type Peer, RpcError, type Service } from '../../src/control/rpc.ts';
import { CONTROL, TRANSPORT } from '../../src/core/limits.ts';
import { RemoveServerRequest as Text } from '../../src/gen/heapmesh/v1/admin.ts';
import { Status } from '../../src/grpc/status.ts';
import {
  call,
  connect,
  ended,
  failure,
  fieldsOf,
  framed,
  Inbox,
  openBidi,
  openClientStream,
  openServerStream,
  rawCall,
  rawSession,
  serve,
} from './support.ts';

const text = (id: string) => ({ id, drainTimeout: undefined });

/** A service that echoes, and fails in every way that a handler can. */
function echo(seen: ReturnType<typeof fresh>): Service {
  const encode = (id: string) => Text.encode(text(id)).finish();
  const act = (id: string) => {
    if (id === 'status') throw new RpcError(Status.ABORTED, 'as asked \ud800 100 % ünicode');
    if (id === 'fields')
      throw new RpcError(Status.INVALID_ARGUMENT, 'bad', [{ field: 'a.b', description: 'c' }]);
    if (id === 'crash') throw new TypeError('a fault');
    return text(id);
  };
  return {
    name: 'test.Echo',
    methods: [
      unary('/test.Echo/Unary', Text, Text, ({ id }, peer) => {
        seen.peers.push({ host: peer.host, address: peer.address });
        if (id === 'metadata') peer.answer?.('x-answer', `got ${peer.metadata?.('x-question')}`);
        return act(id);
      }),
      unary('/test.Echo/Later', Text, Text, async ({ id }) => act(id)),
      unary('/test.Echo/Never', Text, Text, () => new Promise<never>(() => {})),
      serverStream('/test.Echo/Down', Text, ({ id }, _peer, sink) => {
        act(id);
        for (let i = 0; i < 3; i++) {
          sink.write(encode(`${id}${i}`), () => seen.taken.push(i));
        }
        if (!id.startsWith('open')) sink.end();
        return () => seen.events.push('down closed');
      }),
      requestStream('clientStream', '/test.Echo/Up', Text, (_peer, sink) => {
        const ids: string[] = [];
        return {
          message: ({ id }) => ids.push(act(id).id),
          halfClosed: () => {
            sink.write(encode(ids.join(',')));
            sink.end();
          },
          cancelled: () => seen.events.push('up cancelled'),
        };
      }),
      requestStream('bidi', '/test.Echo/Both', Text, (_peer, sink, link) => {
        seen.links.push(link);
        return {
          message: ({ id }) => sink.write(encode(act(id).id)),
          halfClosed: () => sink.end(),
          cancelled: () => seen.events.push('both cancelled'),
        };
      }),
    ],
  };
}

const ENHANCE_YOUR_CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM;
const HEAD = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' } as const;

function fresh() {
  return {
    peers: [] as Pick<Peer, 'host' | 'address'>[],
    links: [] as Link[],
    events: [] as string[],
    taken: [] as number[],
  };
}

/** The code of the GOAWAY that a session gets. */
function goawayOf(session: ClientHttp2Session): Promise<number> {
  return new Promise(resolve => session.once('goaway', resolve));
}

describe('the server frame', () => {
  it('serves the four kinds of calls', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address }) => {
      const client = connect(address);
      assert.equal((await call(client, '/test.Echo/Unary', Text, Text, text('a'))).id, 'a');
      assert.equal((await call(client, '/test.Echo/Later', Text, Text, text('b'))).id, 'b');
      const down = new Inbox(openServerStream(client, '/test.Echo/Down', Text, Text, text('c')));
      assert.deepEqual(
        [(await down.next()).id, (await down.next()).id, (await down.next()).id],
        ['c0', 'c1', 'c2'],
      );
      await assert.rejects(down.next(), /has ended/);
      const { stream, answer } = openClientStream(client, '/test.Echo/Up', Text, Text);
      stream.write(text('d'));
      stream.end(text('e'));
      assert.equal((await answer).id, 'd,e');
      const both = openBidi(client, '/test.Echo/Both', Text, Text);
      const inbox = new Inbox(both);
      both.write(text('f'));
      assert.equal((await inbox.next()).id, 'f');
      both.end();
      await assert.rejects(inbox.next(), /has ended/);
      const [peer] = seen.peers;
      assert.equal(peer?.host, '127.0.0.1');
      assert.match(peer?.address ?? '', /^127\.0\.0\.1:\d+$/);
      client.close();
    });
  });

  it('turns what a handler throws into a status, with field violations, in every kind', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address, faults }) => {
      const client = connect(address);
      for (const path of ['/test.Echo/Unary', '/test.Echo/Later']) {
        const error = await failure(call(client, path, Text, Text, text('status')));
        assert.equal(error.code, Status.ABORTED);
        assert.equal(error.details, 'as asked \ufffd 100 % ünicode');
        const invalid = await failure(call(client, path, Text, Text, text('fields')));
        assert.equal(invalid.code, Status.INVALID_ARGUMENT);
        assert.deepEqual(fieldsOf(invalid), ['a.b']);
      }
      const down = await ended(openServerStream(client, '/test.Echo/Down', Text, Text, text('status')));
      assert.equal(down.code, Status.ABORTED);
      const up = openClientStream(client, '/test.Echo/Up', Text, Text);
      up.stream.write(text('status'));
      assert.equal((await failure(up.answer)).code, Status.ABORTED);
      const both = openBidi(client, '/test.Echo/Both', Text, Text);
      both.write(text('status'));
      assert.equal((await ended(both)).code, Status.ABORTED);
      assert.equal(faults.length, 0);
      client.close();
    });
  });

  it('answers INTERNAL for a fault of its own, keeps the reason to itself, and goes on', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address, faults }) => {
      const client = connect(address);
      for (const path of ['/test.Echo/Unary', '/test.Echo/Later']) {
        const error = await failure(call(client, path, Text, Text, text('crash')));
        assert.equal(error.code, Status.INTERNAL);
        assert.doesNotMatch(error.details, /a fault/);
      }
      const both = openBidi(client, '/test.Echo/Both', Text, Text);
      both.write(text('crash'));
      assert.equal((await ended(both)).code, Status.INTERNAL);
      assert.equal(faults.length, 3);
      assert.equal((await call(client, '/test.Echo/Unary', Text, Text, text('still here'))).id, 'still here');
      client.close();
    });
  });

  it('tells a handler that its caller has gone', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address }) => {
      const client = connect(address);
      const down = openServerStream(client, '/test.Echo/Down', Text, Text, text('open'));
      const both = openBidi(client, '/test.Echo/Both', Text, Text);
      both.on('error', () => {});
      down.on('error', () => {});
      await once(down, 'data');
      both.write(text('x'));
      await once(both, 'data');
      down.cancel();
      both.cancel();
      while (seen.events.length < 2) await new Promise(resolve => setTimeout(resolve, 5));
      assert.deepEqual(seen.events.sort(), ['both cancelled', 'down closed']);
      client.close();
    });
  });

  it('ends a call at its deadline, and its handler hears of it', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address }) => {
      const session = await rawSession(address);
      const soon = { 'grpc-timeout': '30m' };
      const message = framed(Text.encode(text('open')).finish());
      for (const method of ['Never', 'Down']) {
        const { grpcStatus } = await rawCall(session, `/test.Echo/${method}`, message, soon);
        assert.equal(grpcStatus, Status.DEADLINE_EXCEEDED, method);
      }
      assert.ok(seen.events.includes('down closed'));
      const both = session.request({ ...HEAD, ':path': '/test.Echo/Both', ...soon });
      both.on('error', () => {});
      both.resume();
      const [head] = await once(both, 'response');
      assert.equal(Number(head['grpc-status']), Status.DEADLINE_EXCEEDED);
      assert.ok(seen.events.includes('both cancelled'));
      const never = await rawCall(session, '/test.Echo/Unary', message, { 'grpc-timeout': '0n' });
      assert.equal(never.grpcStatus, Status.DEADLINE_EXCEEDED);
      const wrong = await rawCall(session, '/test.Echo/Unary', message, { 'grpc-timeout': '5 minutes' });
      assert.equal(wrong.grpcStatus, Status.INTERNAL);
      assert.match(wrong.message, /grpc-timeout '5 minutes' is malformed/);
      const long = await rawCall(session, '/test.Echo/Unary', message, { 'grpc-timeout': '99999999H' });
      assert.equal(long.grpcStatus, Status.OK);
      session.close();
    });
  });

  it('gives handlers the metadata of a call, and callers what is answered beside a message', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address }) => {
      const session = await rawSession(address);
      const body = framed(Text.encode(text('metadata')).finish());
      for (let i = 0; i < 40; i++) {
        // Head and message apart, with another call's head in between; at the end so often that it is remembered.
        const stream = session.request({ ...HEAD, ':path': '/test.Echo/Unary', 'x-question': `${i >> 3}` });
        const other = rawCall(session, '/test.Echo/Unary', body, { 'x-question': 'other' });
        const head = once(stream, 'response');
        await other;
        stream.end(body);
        stream.resume();
        assert.equal((await head)[0]['x-answer'], `got ${i >> 3}`);
      }
      session.close();
    });
  });

  it('tells a handler when a message is taken, and not before there is room for it', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address }) => {
      const session = await rawSession(address);
      const long = `open${'x'.repeat(CONTROL.messageBytes / 2)}`;
      const stream = session.request({ ...HEAD, ':path': '/test.Echo/Down' });
      stream.end(framed(Text.encode(text(long)).finish()));
      await once(stream, 'response');
      // A PING comes back behind all that was sent: the window of a stream has no room for the first of them.
      await new Promise(resolve => session.ping(resolve));
      assert.deepEqual(seen.taken, []);
      const expected = Buffer.concat([0, 1, 2].map(i => framed(Text.encode(text(`${long}${i}`)).finish())));
      const parts: Buffer[] = [];
      let got = 0;
      for await (const part of on(stream, 'data')) {
        parts.push(part[0]);
        got += part[0].length;
        if (got >= expected.length) break;
      }
      assert.ok(Buffer.concat(parts).equals(expected));
      await new Promise(resolve => session.ping(resolve));
      assert.deepEqual(seen.taken, [0, 1, 2]);
      stream.close();
      session.close();
    });
  });

  it('pings the connection under a call, and knows when it is gone', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address }) => {
      const client = connect(address);
      const both = openBidi(client, '/test.Echo/Both', Text, Text);
      both.on('error', () => {});
      both.write(text('x'));
      await once(both, 'data');
      const link = seen.links[0] as Link;
      const ping = () => new Promise<boolean>(resolve => link.ping(1000, resolve));
      assert.equal(await ping(), true);
      both.cancel();
      client.close();
      while (seen.events.length < 1) await new Promise(resolve => setTimeout(resolve, 5));
      assert.equal(await ping(), false);
    });
  });
});

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

describe('closing', () => {
  it('lets calls end within the grace, then cuts them', async () => {
    const seen = fresh();
    await serve([echo(seen)], async ({ address, server }) => {
      const client = connect(address);
      const both = openBidi(client, '/test.Echo/Both', Text, Text);
      const inbox = new Inbox(both);
      both.write(text('x'));
      await inbox.next();
      const closed = server.close(60_000);
      both.write(text('y'));
      assert.equal((await inbox.next()).id, 'y');
      both.end();
      await assert.rejects(inbox.next());
      const again = server.close(60_000);
      client.close();
      await closed;
      await again;
      assert.equal(server.connections, 0);
    });
    await serve([echo(seen)], async ({ address, server }) => {
      const client = connect(address);
      const both = openBidi(client, '/test.Echo/Both', Text, Text);
      const inbox = new Inbox(both);
      both.write(text('x'));
      await inbox.next();
      await server.close(20);
      await assert.rejects(inbox.next(), { code: Status.UNAVAILABLE });
      client.close();
    });
  });
});
