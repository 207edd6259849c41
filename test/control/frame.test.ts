import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as tcp } from 'node:net';
import { describe, it } from 'node:test';
import { Health } from '../../src/control/health.ts';
import { requestStream, serverStream, unary } from '../../src/control/methods.ts';
import { reflectionServices } from '../../src/control/reflection.ts';
import { type Link, type Peer, RpcError, type Service } from '../../src/control/rpc.ts';
import { CONTROL } from '../../src/core/limits.ts';
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthListRequest,
  HealthListResponse,
} from '../../src/gen/grpc/health/v1/health.ts';
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../src/gen/grpc/reflection/v1/reflection.ts';
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
function echo(seen: { peers: Peer[]; links: Link[]; events: string[] }): Service {
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
        return act(id);
      }),
      unary('/test.Echo/Later', Text, Text, async ({ id }) => act(id)),
      serverStream('/test.Echo/Down', Text, ({ id }, _peer, sink) => {
        act(id);
        for (let i = 0; i < 3; i++) sink.write(encode(`${id}${i}`));
        if (id !== 'open') sink.end();
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

function fresh() {
  return { peers: [] as Peer[], links: [] as Link[], events: [] as string[] };
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
      assert.equal(await ping(), true, 'grpc-js has moved the session of a call: see grpcjs-link.ts');
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
      client.close();
      await closed;
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

describe('health', () => {
  const path = (method: string) => `/grpc.health.v1.Health/${method}`;
  it('is SERVING for what is there and NOT_FOUND for what is not, until it stops', async () => {
    const health = new Health(['a.B']);
    await serve([health.service()], async ({ address }) => {
      const client = connect(address);
      const check = (service: string) =>
        call(client, path('Check'), HealthCheckRequest, HealthCheckResponse, { service });
      assert.equal((await check('')).status, 1);
      assert.equal((await check('a.B')).status, 1);
      assert.equal((await failure(check('x.Y'))).code, Status.NOT_FOUND);
      const list = await call(client, path('List'), HealthListRequest, HealthListResponse, {});
      assert.deepEqual(Object.keys(list.statuses).sort(), ['', 'a.B']);
      const watch = (service: string) =>
        new Inbox(
          openServerStream(client, path('Watch'), HealthCheckRequest, HealthCheckResponse, { service }),
        );
      const known = watch('a.B');
      assert.equal((await known.next()).status, 1);
      const unknown = watch('x.Y');
      assert.equal((await unknown.next()).status, 3);
      health.stop();
      assert.equal((await known.next()).status, 2);
      await assert.rejects(known.next(), /has ended/);
      client.close();
    });
  });
});

describe('reflection', () => {
  const names = ['heapmesh.v1.LookasideService', 'grpc.health.v1.Health'];
  for (const version of ['v1', 'v1alpha']) {
    it(`lists services and gives files with all that they import, in ${version}`, async () => {
      await serve(reflectionServices(names), async ({ address }) => {
        const client = connect(address);
        const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
        const stream = openBidi(client, path, ServerReflectionRequest, ServerReflectionResponse);
        const inbox = new Inbox(stream);
        const ask = async (messageRequest: ServerReflectionRequest['messageRequest']) => {
          stream.write({ host: 'h', messageRequest });
          const { messageResponse, validHost } = await inbox.next();
          assert.equal(validHost, 'h');
          return messageResponse;
        };
        const list = await ask({ $case: 'listServices', value: '' });
        assert.deepEqual(
          list?.$case === 'listServicesResponse' && list.value.service.map(s => s.name),
          [...names].sort(),
        );
        for (const symbol of [
          'heapmesh.v1.LookasideService',
          'heapmesh.v1.LookasideService.PickServer',
          'heapmesh.v1.PickServerRequest',
          'heapmesh.v1.PickServerRequest.hash_key',
        ]) {
          const files = await ask({ $case: 'fileContainingSymbol', value: symbol });
          assert.equal(files?.$case, 'fileDescriptorResponse', symbol);
          // lookaside, server, orca, duration, timestamp.
          assert.equal(
            files?.$case === 'fileDescriptorResponse' && files.value.fileDescriptorProto.length,
            5,
          );
        }
        const file = await ask({ $case: 'fileByFilename', value: 'heapmesh/v1/server.proto' });
        assert.equal(file?.$case, 'fileDescriptorResponse');
        const extensions = await ask({ $case: 'allExtensionNumbersOfType', value: 'heapmesh.v1.Server' });
        assert.equal(extensions?.$case, 'allExtensionNumbersResponse');
        for (const question of [
          { $case: 'fileContainingSymbol', value: 'heapmesh.v1.LookasideService.Nothing' },
          { $case: 'fileContainingSymbol', value: '' },
          { $case: 'fileByFilename', value: '../../etc/passwd' },
          { $case: 'allExtensionNumbersOfType', value: 'x' },
          { $case: 'fileContainingExtension', value: { containingType: 'x', extensionNumber: 1 } },
          undefined,
        ] as ServerReflectionRequest['messageRequest'][]) {
          assert.equal((await ask(question))?.$case, 'errorResponse');
        }
        stream.end();
        await assert.rejects(inbox.next(), /has ended/);
        client.close();
      });
    });
  }

  it('ends a caller that asks without reading', async () => {
    await serve(reflectionServices(names), async ({ address }) => {
      const session = await rawSession(address);
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      const question = framed(
        ServerReflectionRequest.encode({
          host: '',
          messageRequest: { $case: 'fileContainingSymbol', value: 'heapmesh.v1.AdminService' },
        }).finish(),
      );
      for (let i = 0; i < 1000; i++) stream.write(question);
      // Paused until now: only now does it read, and finds fewer answers than questions.
      const trailers = once(stream, 'trailers');
      await new Promise(resolve => setTimeout(resolve, 200));
      stream.resume();
      const [tail] = await trailers;
      assert.equal(Number(tail['grpc-status']), Status.RESOURCE_EXHAUSTED);
      session.destroy();
    });
  });
});
