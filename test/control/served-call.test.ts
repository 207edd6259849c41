/**
 * Calls of every kind whose callers and handlers do anything at any time: messages in slices, cut off, compressed or
 * no messages, windows of any size, deadlines, resets, lost connections; answers at once, later, too large, none. What
 * must hold for each: its handler hears of one end and of nothing after it, and nothing is held once all are over.
 */
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { requestStream, serverStream, unary } from '../../src/control/methods.ts';
import { RpcError, type Service, type Sink } from '../../src/control/rpc.ts';
import { RemoveServerRequest as Text } from '../../src/gen/heapmesh/v1/admin.ts';
import { Status } from '../../src/grpc/status.ts';
import { cases, generator } from '../support/seed.ts';
import { framed, serve } from './support.ts';

const draw = generator();
/** A whole number from 0 to `most`. */
const upTo = (most: number) => Math.floor(draw() * (most + 1));
const one = <T>(...of: readonly T[]): T => of[upTo(of.length - 1)] as T;

const encode = (id: string) => Text.encode({ id, drainTimeout: undefined }).finish();

/** A call as its handler sees it. */
interface Seen {
  /** How it ended; empty as long as it goes on. */
  end: string;
}

class Handlers {
  readonly open = new Set<Seen>();
  readonly wrong: string[] = [];

  start(): Seen {
    const seen = { end: '' };
    this.open.add(seen);
    return seen;
  }

  /** Something that a handler must not hear of any more once its call has ended. */
  hear(seen: Seen, what: string): void {
    if (seen.end !== '') this.wrong.push(`${what} after ${seen.end}`);
  }

  end(seen: Seen, how: string): void {
    seen.end = how;
    this.open.delete(seen);
  }

  /** Does what a message says. */
  do(seen: Seen, sink: Sink, id: string): void {
    switch (id[0]) {
      case 'e':
        this.end(seen, 'its end');
        sink.end();
        break;
      case 'f':
        this.end(seen, 'its failure');
        sink.end(new RpcError(Status.ABORTED, 'as asked'));
        break;
      case 't':
        this.end(seen, 'what it threw');
        throw new RpcError(Status.ABORTED, 'as asked');
      case 'l':
        setTimeout(() => {
          if (seen.end === '') this.end(seen, 'its late end');
          sink.write(encode(id));
          sink.end();
        }, upTo(20));
        break;
      default:
        for (let n = upTo(3); n >= 0; n--) {
          sink.write(Buffer.alloc(one(0, 10, 20_000, 300_000)), () => this.hear(seen, 'taken'));
        }
    }
  }

  service(): Service {
    const requests = (kind: 'bidi' | 'clientStream') =>
      requestStream(kind, `/test.Any/${kind}`, Text, (_peer, sink) => {
        const seen = this.start();
        return {
          message: ({ id }) => {
            this.hear(seen, 'a message');
            this.do(seen, sink, id);
          },
          halfClosed: () => {
            this.hear(seen, 'half-closed');
            this.end(seen, 'its answer');
            sink.write(encode('over'));
            sink.end();
          },
          cancelled: () => {
            this.hear(seen, 'cancelled');
            this.end(seen, 'cancelled');
          },
        };
      });
    const answer = ({ id }: { id: string }) => {
      if (id[0] === 't') throw new RpcError(Status.ABORTED, 'as asked');
      return { id, drainTimeout: undefined };
    };
    return {
      name: 'test.Any',
      methods: [
        requests('bidi'),
        requests('clientStream'),
        serverStream('/test.Any/down', Text, ({ id }, _peer, sink) => {
          const seen = this.start();
          this.do(seen, sink, id);
          let told = 0;
          return () => {
            if (++told > 1) this.wrong.push('told twice that the reader has gone');
            this.end(seen, seen.end || 'gone');
          };
        }),
        unary('/test.Any/now', Text, Text, answer),
        unary('/test.Any/later', Text, Text, async request => {
          await sleep(upTo(10));
          return answer(request);
        }),
      ],
    };
  }
}

function message(): Buffer {
  const whole = framed(
    upTo(15) === 0 ? Buffer.from([0x0a, 0xff]) : encode(one(...'eftlwxyz') + 'x'.repeat(one(0, 20, 100_000))),
  );
  if (upTo(25) === 0) whole[0] = upTo(2);
  return whole;
}

async function call(session: http2.ClientHttp2Session): Promise<void> {
  const stream = session.request({
    ':method': upTo(30) === 0 ? 'PUT' : 'POST',
    ':path': `/test.Any/${one('bidi', 'clientStream', 'down', 'now', 'later', 'none')}`,
    'content-type': upTo(30) === 0 ? 'text/plain' : 'application/grpc',
    ...(upTo(2) === 0 && { 'grpc-timeout': `${upTo(40)}m` }),
    ...(upTo(10) === 0 && { 'grpc-encoding': 'gzip' }),
  });
  stream.on('error', () => {});
  if (upTo(2) > 0) stream.resume();
  const all = Buffer.concat(Array.from({ length: upTo(3) }, message));
  const body = upTo(4) === 0 ? all.subarray(0, upTo(all.length)) : all;
  for (let at = 0; at < body.length; ) {
    const stop = upTo(2) > 0 ? body.length : Math.min(body.length, at + 1 + upTo(20_000));
    stream.write(body.subarray(at, stop));
    at = stop;
    if (upTo(1) === 0) await sleep(upTo(3));
  }
  if (upTo(3) > 0) stream.end();
  if (upTo(3) === 0) stream.close(one(0, 7, 8));
}

it('whatever callers and handlers do, each call has one end, and nothing stays', async () => {
  const handlers = new Handlers();
  await serve([handlers.service()], async ({ address, server, faults }) => {
    for (let n = cases(40); n > 0; n--) {
      const initialWindowSize = one(0, 10, 1000, 65_535, 2 ** 20);
      const session = http2.connect(`http://${address}`, { settings: { initialWindowSize } });
      session.on('error', () => {});
      await Promise.allSettled(Array.from({ length: 1 + upTo(25) }, () => call(session)));
      await sleep(upTo(20));
      session.destroy();
    }
    while (server.connections > 0 || handlers.open.size > 0) await sleep(5);
    assert.deepEqual(handlers.wrong, []);
    assert.deepEqual(faults, []);
    assert.equal(server.heldBytes, 0);
  });
});
