/** Calls of a backend are traced by the tracer that is handed in, whichever library serves them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { type CallContext, createServer, ServerError, Status } from 'nice-grpc';
import { type CallTracer, createLoadReporter, type TracedCall } from '../../src/backend/backend.ts';
import { EchoServiceDefinition } from '../../src/gen/echo/v1/echo.ts';

const PARENT = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
const OWN = `00-${'1'.repeat(32)}-${'3'.repeat(16)}-01`;
const METHOD = 'echo.v1.EchoService/Echo';

function tracerOf() {
  const said: unknown[] = [];
  const tracer: CallTracer = {
    current: () => undefined,
    begin(call: TracedCall) {
      said.push(['began', call.kind, call.method, call.parent?.traceparent ?? 'none']);
      if (call.parent === undefined) return undefined;
      return {
        context: { traceparent: OWN, tracestate: '' },
        set() {},
        end: (status, message) => void said.push(['ended', status, message]),
      };
    },
  };
  return { said, tracer };
}

const reporterWith = (tracer: CallTracer) =>
  createLoadReporter({ balancers: ['127.0.0.1:1'], services: ['echo.v1.EchoService'], tracer });

async function ask(port: number, metadata: grpc.Metadata): Promise<number> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const bytes = (value: Buffer): Buffer => value;
  const { promise, resolve } = Promise.withResolvers<number>();
  client.makeUnaryRequest(`/${METHOD}`, bytes, bytes, Buffer.alloc(0), metadata, error =>
    resolve(error?.code ?? 0),
  );
  return promise.finally(() => client.close());
}

function traced(fails = false): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('traceparent', PARENT);
  if (fails) metadata.set('x-fails', 'yes');
  return metadata;
}

/** The same for both: what the tracer is told, and the context that handlers find. */
async function check(port: number, said: unknown[], contexts: string[]): Promise<void> {
  assert.equal(await ask(port, traced()), 0);
  assert.equal(await ask(port, traced(true)), grpc.status.NOT_FOUND);
  assert.equal(await ask(port, new grpc.Metadata()), 0);
  assert.deepEqual(contexts, [OWN, OWN, '']);
  const began = ['began', 'server', METHOD, PARENT];
  assert.deepEqual(
    said.map(each => ((each as unknown[])[0] === 'ended' ? (each as unknown[]).slice(0, 2) : each)),
    [began, ['ended', 0], began, ['ended', 5], ['began', 'server', METHOD, 'none']],
  );
  assert.match(String((said[3] as unknown[])[2]), /nothing here/);
}

test('grpc-js', async (t: TestContext) => {
  const { said, tracer } = tracerOf();
  const contexts: string[] = [];
  const reporter = reporterWith(tracer);
  const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor()] });
  const bytes = (value: Buffer): Buffer => value;
  server.register(
    `/${METHOD}`,
    (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      contexts.push(String(call.metadata.get('traceparent')[0] ?? ''));
      if (call.metadata.get('x-fails').length > 0)
        done({ code: grpc.status.NOT_FOUND, details: 'nothing here' });
      else done(null, Buffer.alloc(0));
    },
    bytes,
    bytes,
    'unary',
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.after(async () => {
    server.forceShutdown();
    await reporter.close();
  });
  await check(port, said, contexts);
});

test('nice-grpc', async (t: TestContext) => {
  const { said, tracer } = tracerOf();
  const contexts: string[] = [];
  const reporter = reporterWith(tracer);
  const server = createServer().use(reporter.niceGrpcMiddleware());
  const unused = Object.keys(EchoServiceDefinition.methods).map(name => [name, () => assert.fail()]);
  server.add(EchoServiceDefinition, {
    ...Object.fromEntries(unused),
    async echo(_request: unknown, { metadata }: CallContext) {
      contexts.push(String(metadata.get('traceparent') ?? ''));
      if (metadata.has('x-fails')) throw new ServerError(Status.NOT_FOUND, 'nothing here');
      return {};
    },
  } as never);
  const port = await server.listen('127.0.0.1:0');
  t.after(async () => {
    server.forceShutdown();
    await reporter.close();
  });
  await check(port, said, contexts);
});
