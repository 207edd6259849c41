/** The engine against HTTP/2 of other authors (nghttp2, in node:http2), in both roles, over real sockets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import {
  Connection,
  type ConnectionError,
  type ConnectionHandler,
  type HeaderList,
  HeadersKind,
  Http2Context,
  NameKind,
} from '../../src/http2/http2.ts';
import { generator } from '../support/seed.ts';

/** A connection on a socket. Streams are echoed, or what `script` makes of them. */
class Wire implements ConnectionHandler {
  readonly connection: Connection;
  readonly socket: net.Socket;
  readonly context: Http2Context;
  error: ConnectionError | undefined;
  goaways: number[] = [];
  pongs = 0;
  resets: number[] = [];
  ready: () => void = () => {};
  onHeaders: (slot: number, list: HeaderList, kind: HeadersKind, endStream: boolean) => void = () => {};
  onData: (slot: number, bytes: Buffer, endStream: boolean) => void = () => {};
  onClosed: (slot: number) => void = () => {};
  readonly #unsent = new Map<number, { bytes: Buffer; then: () => void }>();
  #scheduled = false;
  #writing = false;

  constructor(role: 'client' | 'server', socket: net.Socket, context: Http2Context) {
    this.socket = socket;
    this.context = context;
    this.connection = new Connection(role, context, this);
    socket.on('data', (chunk: Buffer) => this.connection.receive(chunk, 0, chunk.length, performance.now()));
    socket.on('error', () => {});
    socket.on('close', () => this.connection.lost());
    this.connection.start();
  }

  /** Sends all of it, whenever it can, then does what comes next. */
  send(slot: number, bytes: Buffer, then: () => void): void {
    const before = this.#unsent.get(slot);
    const all = before === undefined ? bytes : Buffer.concat([before.bytes, bytes]);
    const taken = this.connection.sendData(slot, all, 0, all.length, false);
    if (taken === all.length) {
      this.#unsent.delete(slot);
      then();
    } else this.#unsent.set(slot, { bytes: all.subarray(taken), then });
  }

  output(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }
  #flush(): void {
    if (this.#writing) return;
    const buffers = this.connection.take();
    if (buffers.length === 0) return;
    this.#writing = true;
    for (const [i, buffer] of buffers.entries()) {
      this.socket.write(buffer, () => {
        if (i < buffers.length - 1) return;
        this.#writing = false;
        this.connection.written();
        this.#flush();
      });
    }
  }

  headers(slot: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void {
    this.onHeaders(slot, list, kind, endStream);
  }
  data(slot: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    this.onData(slot, Buffer.from(buffer.subarray(start, end)), endStream);
  }
  writable(slot: number): void {
    const waiting = this.#unsent.get(slot);
    if (waiting !== undefined) this.send(slot, Buffer.alloc(0), waiting.then);
  }
  closed(slot: number): void {
    this.#unsent.delete(slot);
    this.onClosed(slot);
  }
  reset(_: number, code: number): void {
    this.resets.push(code);
  }
  settings(): void {
    this.ready();
  }
  pong(): void {
    this.pongs++;
  }
  goaway(_: number, code: number): void {
    this.goaways.push(code);
  }
  failed(error: ConnectionError): void {
    this.error = error;
    this.socket.end();
  }
}

/** Echoes each request: its fields under `x-`, its body, then trailers. */
function echo(wire: Wire): void {
  const { connection, context } = wire;
  const answer = context.listOf([
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ]);
  const trailers = context.listOf([['grpc-status', '0']]);
  wire.onHeaders = (slot, list, kind, endStream) => {
    if (kind === HeadersKind.REQUEST) {
      if (list.valueIs(list.find(NameKind.PATH), '/trailers-only')) {
        connection.beginHeaders(slot);
        connection.addList(answer);
        connection.addText(context.names.named('grpc-status'), '12');
        connection.endHeaders(true);
        return;
      }
      connection.beginHeaders(slot);
      connection.addList(answer);
      for (let i = 0; i < list.count; i++)
        if (list.name(i).text.startsWith('x-')) connection.addField(list, i);
      connection.endHeaders(false);
    }
    if (endStream) connection.sendList(slot, trailers, true);
  };
  wire.onData = (slot, bytes, endStream) => {
    if (!connection.isSendable(slot)) return;
    wire.send(slot, bytes, () => {
      if (endStream) connection.sendList(slot, trailers, true);
    });
    connection.credit(slot, bytes.length);
  };
}

async function listening(server: net.Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

for (const rememberBlocks of [true, false]) {
  describe(`a node:http2 client and our server, ${rememberBlocks ? 'with' : 'without'} memory of blocks`, async () => {
    const wires: Wire[] = [];
    const context = new Http2Context({ rememberBlocks });
    const server = net.createServer(socket => {
      const wire = new Wire('server', socket, context);
      wires.push(wire);
      echo(wire);
    });
    const port = await listening(server);
    after(() => {
      for (const wire of wires) wire.socket.destroy();
      server.close();
    });
    const connect = () => http2.connect(`http://127.0.0.1:${port}`);

    interface Reply {
      headers: http2.IncomingHttpHeaders;
      trailers: http2.IncomingHttpHeaders;
      body: Buffer;
      code: number;
    }
    async function call(
      session: http2.ClientHttp2Session,
      path: string,
      fields: object,
      body: Buffer,
    ): Promise<Reply> {
      const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers', ...fields });
      const parts: Buffer[] = [];
      const reply: Reply = { headers: {}, trailers: {}, body: Buffer.alloc(0), code: 0 };
      stream.on('response', headers => {
        reply.headers = headers;
      });
      stream.on('trailers', trailers => {
        reply.trailers = trailers;
      });
      stream.on('data', (chunk: Buffer) => parts.push(chunk));
      stream.on('error', () => {});
      const closed = new Promise(resolve => stream.on('close', resolve));
      stream.end(body);
      await closed;
      return { ...reply, body: Buffer.concat(parts), code: stream.rstCode };
    }

    test('unary calls, one after the other and at once, with fields that repeat and fields that do not', async () => {
      const session = connect();
      const random = generator();
      const one = async (i: number) => {
        const body = Buffer.alloc(Math.floor(random() * 3000), i);
        const fields = {
          'x-seq': `${i}`,
          'x-trace': random().toString(36).repeat(4),
          'x-same': 'same value',
        };
        const reply = await call(session, '/a/b', fields, body);
        assert.equal(reply.code, 0);
        assert.ok(reply.body.equals(body));
        assert.equal(reply.trailers['grpc-status'], '0');
        for (const [name, value] of Object.entries(fields)) assert.equal(reply.headers[name], value);
      };
      for (let i = 0; i < 60; i++) await one(i);
      for (let k = 0; k < 5; k++) await Promise.all(Array.from({ length: 90 }, (_, i) => one(i)));
      session.close();
      await once(session, 'close');
    });

    test('megabytes both ways at once', async () => {
      const session = connect();
      const bodies = [5_000_000, 3_000_000, 100, 0, 2_000_000].map((size, i) => Buffer.alloc(size, i + 1));
      const replies = await Promise.all(bodies.map(body => call(session, '/a/b', {}, body)));
      for (const [i, reply] of replies.entries()) assert.ok(reply.body.equals(bodies[i] as Buffer));
      session.close();
      await once(session, 'close');
    });

    test('every octet of a field value comes back, in long values too, over CONTINUATION', async () => {
      const session = connect();
      let octets = '';
      for (let i = 0x21; i < 0x100; i++) if (i !== 0x7f) octets += String.fromCharCode(i);
      const fields = { 'x-all': octets, 'x-long': 'v'.repeat(20_000), 'x-longer': octets.repeat(100) };
      for (let i = 0; i < 3; i++) {
        const reply = await call(session, '/a/b', fields, Buffer.from('x'));
        for (const [name, value] of Object.entries(fields)) assert.equal(reply.headers[name], value);
      }
      session.close();
      await once(session, 'close');
    });

    test('trailers-only, and a path that is none', async () => {
      const session = connect();
      const only = await call(session, '/trailers-only', {}, Buffer.alloc(0));
      assert.equal(only.headers['grpc-status'], '12');
      assert.equal(only.body.length, 0);
      const bad = await call(session, 'no-slash', {}, Buffer.alloc(0));
      assert.equal(bad.code, http2.constants.NGHTTP2_PROTOCOL_ERROR);
      assert.equal((await call(session, '/a/b', {}, Buffer.from('on'))).body.toString(), 'on');
      session.close();
      await once(session, 'close');
    });

    test('PING, RST_STREAM of the client, and a graceful end with a call in flight', async () => {
      const session = connect();
      await once(session, 'remoteSettings');
      assert.equal(session.remoteSettings?.maxConcurrentStreams, 100);
      const ping = Promise.withResolvers<void>();
      session.ping(error => (error ? ping.reject(error) : ping.resolve()));
      await ping.promise;
      const wire = wires.at(-1) as Wire;

      const given = session.request({ ':method': 'POST', ':path': '/a/b' });
      given.on('error', () => {});
      await once(given, 'response');
      const closed = Promise.withResolvers<void>();
      wire.onClosed = () => closed.resolve();
      given.destroy(new Error('given up'));
      await closed.promise;
      assert.deepEqual(wire.resets, [http2.constants.NGHTTP2_INTERNAL_ERROR]);

      const open = session.request({ ':method': 'POST', ':path': '/a/b' });
      await once(open, 'response');
      wire.connection.drain();
      await once(session, 'goaway');
      open.end('last words');
      let text = '';
      for await (const chunk of open) text += chunk;
      assert.equal(text, 'last words');
      assert.equal(wire.connection.openStreams, 0);
      assert.equal(wire.error, undefined);
      session.destroy();
    });
  });

  describe(`a node:http2 server and our client, ${rememberBlocks ? 'with' : 'without'} memory of blocks`, async () => {
    const context = new Http2Context({ rememberBlocks });
    const sessions: http2.ServerHttp2Session[] = [];
    const server = http2.createServer({ settings: { initialWindowSize: 20_000, headerTableSize: 512 } });
    server.on('session', session => sessions.push(session));
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      if (headers[':path'] === '/refuse') {
        stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
        return;
      }
      stream.additionalHeaders({ ':status': 103, link: '<x>' });
      stream.respond({ ':status': 200, 'x-seq': headers['x-seq'] }, { waitForTrailers: true });
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'grpc-status': '0', 'x-back': headers['x-trace'] }),
      );
      stream.pipe(stream);
    });
    const port = await listening(server);
    const sockets: net.Socket[] = [];
    after(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });

    async function dial(): Promise<Wire> {
      const socket = net.connect(port, '127.0.0.1');
      sockets.push(socket);
      const wire = new Wire('client', socket, context);
      const ready = Promise.withResolvers<void>();
      wire.ready = ready.resolve;
      await ready.promise;
      return wire;
    }

    interface Result {
      kinds: HeadersKind[];
      fields: Record<string, string>;
      body: Buffer;
    }

    /** Sends requests on one connection, all at once as far as the peer allows. */
    async function exchange(
      wire: Wire,
      requests: { path: string; fields: [string, string][]; body: Buffer }[],
    ) {
      const { connection } = wire;
      const results: Result[] = requests.map(() => ({ kinds: [], fields: {}, body: Buffer.alloc(0) }));
      const parts = requests.map((): Buffer[] => []);
      const done = Promise.withResolvers<void>();
      let next = 0;
      let open = 0;
      const more = () => {
        while (next < requests.length && connection.canOpen) {
          const slot = connection.open();
          const at = next++;
          const { path, fields, body } = requests[at] as (typeof requests)[number];
          connection.setTag(slot, at);
          open++;
          connection.beginHeaders(slot);
          connection.addList(
            context.listOf([
              [':method', 'POST'],
              [':scheme', 'http'],
              [':path', path],
              [':authority', 'localhost'],
              ['te', 'trailers'],
            ]),
          );
          for (const [name, value] of fields) connection.addText(context.names.named(name), value);
          connection.endHeaders(false);
          wire.send(slot, body, () => connection.sendData(slot, body, 0, 0, true));
        }
        if (open === 0) done.resolve();
      };
      wire.onHeaders = (slot, list, kind) => {
        const result = results[connection.tag(slot)] as Result;
        result.kinds.push(kind);
        for (const [name, value] of list.toArray()) result.fields[name] = value;
      };
      wire.onData = (slot, bytes) => {
        parts[connection.tag(slot)]?.push(bytes);
        connection.credit(slot, bytes.length);
      };
      wire.onClosed = () => {
        open--;
        more();
      };
      more();
      await done.promise;
      for (const [i, result] of results.entries()) result.body = Buffer.concat(parts[i] ?? []);
      return results;
    }

    test('calls with 1xx, bodies and trailers', async () => {
      const wire = await dial();
      const random = generator();
      const requests = Array.from({ length: 300 }, (_, i) => ({
        path: `/svc/${i % 3}`,
        fields: [
          ['x-seq', `${i}`],
          ['x-trace', random().toString(36).repeat(3)],
        ] as [string, string][],
        body: Buffer.alloc(i % 50 === 0 ? 300_000 : Math.floor(random() * 2000), i),
      }));
      const results = await exchange(wire, requests);
      assert.equal(wire.error, undefined);
      for (const [i, result] of results.entries()) {
        const { fields, body } = requests[i] as (typeof requests)[number];
        assert.deepEqual(result.kinds, [
          HeadersKind.INFORMATIONAL,
          HeadersKind.RESPONSE,
          HeadersKind.TRAILERS,
        ]);
        assert.ok(result.body.equals(body), `body ${i}`);
        assert.equal(result.fields['x-seq'], `${i}`);
        assert.equal(result.fields['x-back'], fields[1]?.[1]);
      }
      wire.socket.destroy();
    });

    test('a refused stream, a PING, and GOAWAY of the server', async () => {
      const wire = await dial();
      await exchange(wire, [{ path: '/refuse', fields: [], body: Buffer.alloc(0) }]);
      assert.deepEqual(wire.resets, [http2.constants.NGHTTP2_REFUSED_STREAM]);
      wire.connection.ping(7, 8);
      // PINGs are answered in order, so that the answer is there when the next call is.
      await exchange(wire, [
        {
          path: '/svc/1',
          fields: [
            ['x-seq', '1'],
            ['x-trace', 'a'],
          ],
          body: Buffer.from('x'),
        },
      ]);
      assert.equal(wire.pongs, 1);
      const told = Promise.withResolvers<void>();
      wire.goaway = (_, code) => {
        wire.goaways.push(code);
        told.resolve();
      };
      sessions.at(-1)?.goaway(http2.constants.NGHTTP2_NO_ERROR);
      await told.promise;
      assert.equal(wire.connection.canOpen, false);
      assert.equal(wire.connection.open(), -1);
      wire.socket.destroy();
    });
  });
}
