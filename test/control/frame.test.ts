import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { describe, it } from 'node:test';
import type { Link } from '../../src/control/rpc.ts';
import { CONTROL } from '../../src/core/limits.ts';
import { Status } from '../../src/grpc/status.ts';
import { echo, fresh, HEAD, Text, text } from './echo.ts';
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
