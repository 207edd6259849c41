/** Calls of a nice-grpc server are counted by its middleware, each once, however they end. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { type CallContext, createServer, ServerError, type ServiceImplementation } from 'nice-grpc';
import type { LoadReporter } from '../../src/backend/backend.ts';
import { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import {
  CALLS,
  type Caller,
  callerOf,
  counted,
  deadAddress,
  inFlight,
  reporterFor,
  type Text,
} from './support.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Handlers = ServiceImplementation<typeof CALLS>;

async function serving(reporter: LoadReporter, handlers: Partial<Handlers>): Promise<Caller> {
  const unused = () => assert.fail('not to be called');
  const server = createServer().use(reporter.niceGrpcMiddleware());
  server.add(CALLS, { unary: unused, collect: unused, tell: unused, chat: unused, ...handlers });
  const caller = callerOf(`127.0.0.1:${await server.listen('127.0.0.1:0')}`);
  cleanups.push(
    () => server.forceShutdown(),
    () => caller.client.close(),
    () => reporter.close(),
  );
  return caller;
}

test('streams of all kinds are in flight for as long as they are open', async () => {
  const reporter = reporterFor([await deadAddress()]);
  const never = (context: CallContext) =>
    new Promise<never>((_, reject) =>
      context.signal.addEventListener('abort', () => {
        reject(Object.assign(new Error('aborted'), { name: 'AbortError' }));
      }),
    );
  const caller = await serving(reporter, {
    async collect(request) {
      let all = '';
      for await (const { text } of request) all += text;
      return { text: all };
    },
    async *tell(_request, context) {
      yield { text: 'first' };
      await never(context);
    },
    async *chat(request) {
      for await (const message of request) yield message;
    },
  });
  const collect = caller.collect();
  collect.write({ text: 'a' });
  const tell = caller.tell('x').on('data', () => {});
  const chat = caller.chat();
  chat.on('data', () => {}).write({ text: 'hello' });
  await inFlight(reporter, 3);
  collect.end();
  await inFlight(reporter, 2);
  tell.cancel();
  await inFlight(reporter, 1);
  chat.end();
  await inFlight(reporter, 0);
});

test('a handler that goes on after its call was cancelled is not in flight any more', async () => {
  const reporter = reporterFor([await deadAddress()]);
  let release = (_answer: Text) => {};
  const caller = await serving(reporter, {
    unary: () => new Promise<Text>(resolve => (release = resolve)),
  });
  const cancelling = new AbortController();
  const answer = caller.unary('x', { signal: cancelling.signal });
  await inFlight(reporter, 1);
  cancelling.abort();
  await assert.rejects(answer, { code: status.CANCELLED });
  await inFlight(reporter, 0);
  release({ text: 'late' });
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(reporter.state.inFlight, 0);
});

test('what handlers throw counts as the status that callers see', async t => {
  // nice-grpc warns of every error that is not its own.
  t.mock.method(process, 'emitWarning', () => {});
  const result = await counted(async reporter => {
    const caller = await serving(reporter, {
      async unary({ text }) {
        if (text === 'fine') return { text };
        if (text === 'plain') throw Object.assign(new Error('boom'), { code: status.NOT_FOUND });
        throw new ServerError(Number(text), 'as asked');
      },
    });
    await caller.unary('fine');
    for (const code of [status.INTERNAL, status.NOT_FOUND, status.CANCELLED]) {
      await assert.rejects(caller.unary(String(code)), { code });
    }
    // The code of an error of another kind is not sent: callers see UNKNOWN, which is an error.
    await assert.rejects(caller.unary('plain'), { code: status.UNKNOWN });
  });
  assert.deepEqual(result, { ended: 5, failed: 2 });
});

test('every call can carry the load as its trailer', async () => {
  const reporter = reporterFor([await deadAddress()], { perCallReports: true });
  const caller = await serving(reporter, { unary: async request => request });
  const { trailer } = await caller.unary('fine');
  const [encoded] = trailer.get('endpoint-load-metrics-bin');
  assert.ok(Buffer.isBuffer(encoded));
  assert.equal(OrcaLoadReport.decode(encoded).namedMetrics.in_flight, 1);
});
