/** Calls of a grpc-js server are counted, each once, however they end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import type { LoadReporter } from '../../src/backend/backend.ts';
import { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import {
  bind,
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

type Handlers = Partial<grpc.UntypedServiceImplementation>;

async function serving(
  reporter: LoadReporter,
  handlers: Handlers,
  interceptors: grpc.ServerInterceptor[] = [],
): Promise<{ caller: Caller; server: grpc.Server }> {
  const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor(), ...interceptors] });
  const unimplemented = () => assert.fail('not to be called');
  server.addService(CALLS, {
    unary: unimplemented,
    collect: unimplemented,
    tell: unimplemented,
    chat: unimplemented,
    ...handlers,
  });
  const caller = callerOf(`127.0.0.1:${await bind(server)}`);
  cleanups.push(
    () => server.forceShutdown(),
    () => caller.client.close(),
    () => reporter.close(),
  );
  return { caller, server };
}

async function idleReporter(): Promise<LoadReporter> {
  return reporterFor([await deadAddress()]);
}

test('a unary call is in flight until its status', async () => {
  const reporter = await idleReporter();
  let finish = () => {};
  const { caller } = await serving(reporter, {
    unary: (_call: unknown, callback: grpc.sendUnaryData<Text>) => {
      finish = () => callback(null, { text: 'done' });
    },
  });
  const answer = caller.unary('x');
  await inFlight(reporter, 1);
  finish();
  assert.equal((await answer).answer, 'done');
  await inFlight(reporter, 0);
});

test('failures of the server count as errors, those of the caller do not', async () => {
  const codes = [
    grpc.status.OK,
    grpc.status.INVALID_ARGUMENT,
    grpc.status.NOT_FOUND,
    grpc.status.INTERNAL,
    grpc.status.UNAVAILABLE,
  ];
  const result = await counted(async reporter => {
    const { caller } = await serving(reporter, {
      unary: (call: grpc.ServerUnaryCall<Text, Text>, callback: grpc.sendUnaryData<Text>) => {
        const code = Number(call.request.text);
        callback(code === 0 ? null : { code, details: 'as asked' }, { text: 'fine' });
      },
    });
    for (const code of codes) await caller.unary(String(code)).catch(() => {});
  });
  assert.deepEqual(result, { ended: 5, failed: 2 });
});

test('a handler that throws, a status without a code, and a call past its deadline are errors', async () => {
  const result = await counted(async reporter => {
    const { caller } = await serving(reporter, {
      unary: (call: grpc.ServerUnaryCall<Text, Text>, callback: grpc.sendUnaryData<Text>) => {
        if (call.request.text === 'plain') callback(new Error('boom'));
        // 'hang' gets no answer at all.
      },
    });
    await assert.rejects(caller.unary('plain'), { code: grpc.status.UNKNOWN });
    await assert.rejects(caller.unary('hang', { deadline: Date.now() + 50 }), {
      code: grpc.status.DEADLINE_EXCEEDED,
    });
  });
  assert.deepEqual(result, { ended: 2, failed: 2 });
});

test('streams of all kinds are in flight for as long as they are open', async () => {
  const reporter = await idleReporter();
  const { caller } = await serving(reporter, {
    collect: (call: grpc.ServerReadableStream<Text, Text>, callback: grpc.sendUnaryData<Text>) => {
      call.on('data', () => {}).on('end', () => callback(null, { text: 'all' }));
    },
    tell: (call: grpc.ServerWritableStream<Text, Text>) => {
      call.write({ text: 'first' });
    },
    chat: (call: grpc.ServerDuplexStream<Text, Text>) => {
      call.on('data', (message: Text) => call.write(message)).on('end', () => call.end());
    },
  });
  const collect = caller.collect();
  const tell = caller.tell('x').on('data', () => {});
  const chat = caller.chat();
  chat.write({ text: 'hello' });
  await once(chat, 'data');
  await inFlight(reporter, 3);
  collect.end();
  await inFlight(reporter, 2);
  tell.cancel();
  await inFlight(reporter, 1);
  chat.end();
  await inFlight(reporter, 0);
});

test('cancelled calls and lost connections end, and are no errors', async () => {
  const result = await counted(async reporter => {
    const { caller } = await serving(reporter, { tell: () => {} });
    caller.tell('one').cancel();
    const streams = [caller.tell('two'), caller.tell('three')];
    await inFlight(reporter, 2);
    streams[0]?.cancel();
    await inFlight(reporter, 1);
    caller.client.close();
    streams[1]?.cancel();
  });
  // The first may have been cancelled before it was sent.
  assert.ok(result.ended === 2 || result.ended === 3, `${result.ended}`);
  assert.equal(result.failed, 0);
});

test('a call is in flight while its answer waits for a caller that does not read', async () => {
  const reporter = await idleReporter();
  const { caller } = await serving(reporter, {
    tell: (call: grpc.ServerWritableStream<Text, Text>) => {
      for (let index = 0; index < 64; index += 1) call.write({ text: 'x'.repeat(256 * 1_024) });
      call.end();
    },
  });
  const tell = caller.tell('x');
  await inFlight(reporter, 1);
  await new Promise(resolve => setTimeout(resolve, 50));
  assert.equal(reporter.state.inFlight, 1);
  tell.on('data', () => {});
  await inFlight(reporter, 0);
});

test('a call that another interceptor holds back and that is cancelled meanwhile does not stay', async () => {
  const reporter = await idleReporter();
  const held: (() => void)[] = [];
  const hold: grpc.ServerInterceptor = (_method, call) =>
    new grpc.ServerInterceptingCall(call, { start: next => void held.push(() => next()) });
  const { caller } = await serving(reporter, { tell: () => {} }, [hold]);
  const tell = caller.tell('x');
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve));
  const closed = new Promise(resolve => tell.on('status', resolve));
  tell.cancel();
  await closed;
  // Another call on the connection shows that the server has seen the cancel before.
  caller.tell('y');
  while (held.length === 1) await new Promise(resolve => setImmediate(resolve));
  for (const go of held) go();
  assert.equal(reporter.state.inFlight, 1);
});

test('health checks and reflection are no load; a rule of the application goes before', async () => {
  const reporter = await idleReporter();
  const interceptor = reporter.grpcJsInterceptor();
  const own = reporterFor(['127.0.0.1:1'], { ignoreMethod: path => path === '/test.v1.Calls/Tell' });
  const seen: [string, boolean, boolean][] = [];
  const probe = (target: LoadReporter, path: string): boolean => {
    const base = {
      start: (listener: { onReceiveMetadata(m: grpc.Metadata): void; onCancel(): void }) => {
        listener.onReceiveMetadata(new grpc.Metadata());
        seen.push([path, target === reporter, target.state.inFlight === 1]);
        listener.onCancel();
      },
      getDeadline: () => Number.POSITIVE_INFINITY,
    };
    const chosen = target === reporter ? interceptor : target.grpcJsInterceptor();
    const listener = {
      onReceiveMetadata: () => {},
      onReceiveMessage: () => {},
      onReceiveHalfClose: () => {},
      onCancel: () => {},
    };
    chosen({ path } as never, base as never).start(listener);
    return seen.at(-1)?.[2] ?? false;
  };
  assert.equal(probe(reporter, '/grpc.health.v1.Health/Watch'), false);
  assert.equal(probe(reporter, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'), false);
  assert.equal(probe(reporter, '/test.v1.Calls/Tell'), true);
  assert.equal(probe(own, '/test.v1.Calls/Tell'), false);
  assert.equal(probe(own, '/grpc.health.v1.Health/Check'), true);
  assert.equal(reporter.state.inFlight, 0);
});

test('every call can carry the load as its trailer', async () => {
  const reporter = reporterFor([await deadAddress()], {
    perCallReports: true,
    applicationUtilization: () => 0.25,
    namedMetrics: () => ({ queue: 4 }),
  });
  const { caller } = await serving(reporter, {
    unary: (call: grpc.ServerUnaryCall<Text, Text>, callback: grpc.sendUnaryData<Text>) => {
      const trailer = new grpc.Metadata();
      trailer.set('own', 'kept');
      if (call.request.text === 'fail')
        callback({ code: grpc.status.INTERNAL, details: 'no', metadata: trailer });
      else callback(null, { text: 'fine' }, trailer);
    },
  });
  const { trailer } = await caller.unary('x');
  assert.deepEqual(trailer.get('own'), ['kept']);
  const [encoded] = trailer.get('endpoint-load-metrics-bin');
  assert.ok(Buffer.isBuffer(encoded));
  const report = OrcaLoadReport.decode(encoded);
  assert.equal(report.applicationUtilization, 0.25);
  assert.deepEqual(report.namedMetrics, { in_flight: 1, queue: 4 });
  const error = await caller.unary('fail').then(
    () => assert.fail('must fail'),
    (reason: grpc.ServiceError) => reason,
  );
  assert.equal(error.metadata.get('endpoint-load-metrics-bin').length, 1);
});

test('several servers, one reporter: their calls add up', async () => {
  const reporter = await idleReporter();
  const one = await serving(reporter, { tell: () => {} });
  const two = await serving(reporter, { tell: () => {} });
  one.caller.tell('x');
  two.caller.tell('x');
  two.caller.tell('x');
  await inFlight(reporter, 3);
  two.server.forceShutdown();
  await inFlight(reporter, 1);
});

test('the manual way: the first end counts', async () => {
  const result = await counted(async reporter => {
    const call = reporter.callStarted();
    assert.equal(reporter.state.inFlight, 1);
    call.end(grpc.status.DATA_LOSS);
    call.end();
    call.end(grpc.status.INTERNAL);
    assert.equal(reporter.state.inFlight, 0);
    reporter.callStarted().end();
  });
  assert.deepEqual(result, { ended: 2, failed: 1 });
});

test('a server of another copy of grpc-js is counted, and its calls carry the load', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-copy-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const require = createRequire(import.meta.url);
  const original = dirname(require.resolve('@grpc/grpc-js/package.json'));
  cpSync(original, join(folder, 'grpc-js'), { recursive: true });
  symlinkSync(dirname(dirname(original)), join(folder, 'node_modules'));
  const copy: typeof grpc = require(join(folder, 'grpc-js'));
  assert.notEqual(copy.Server, grpc.Server);

  const reporter = reporterFor([await deadAddress()], { perCallReports: true });
  const server = new copy.Server({ interceptors: [reporter.grpcJsInterceptor()] });
  const unused = () => assert.fail('not to be called');
  server.addService(CALLS, {
    unary: (_call: grpc.ServerUnaryCall<Text, Text>, callback: grpc.sendUnaryData<Text>) => {
      callback(null, { text: String(reporter.state.inFlight) });
    },
    collect: unused,
    tell: unused,
    chat: unused,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', copy.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const caller = callerOf(`127.0.0.1:${port}`);
  cleanups.push(
    () => server.forceShutdown(),
    () => caller.client.close(),
    () => reporter.close(),
  );
  const { answer, trailer } = await caller.unary('x');
  assert.equal(answer, '1');
  assert.equal(trailer.get('endpoint-load-metrics-bin').length, 1);
  await inFlight(reporter, 0);
});
