/** Callers and backends that are traced by the SDK of OpenTelemetry itself, with a Jaeger as their collector. */
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type TextMapGetter,
  type TextMapSetter,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const propagator = new W3CTraceContextPropagator();
const setter: TextMapSetter<grpc.Metadata> = { set: (carrier, key, value) => carrier.set(key, value) };
const getter: TextMapGetter<grpc.Metadata> = {
  get: (carrier, key) => carrier.get(key)[0]?.toString(),
  keys: carrier => Object.keys(carrier.getMap()),
};

const bytes = (value: Buffer): Buffer => value;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

/** A process that is traced as `service`, until the test ends. */
export function tracedAs(t: TestContext, service: string, endpoint: string): Tracer {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter({ url: endpoint }))],
  });
  t.after(() => provider.shutdown());
  return provider.getTracer('test');
}

export function metadataOf(span: Span): grpc.Metadata {
  const metadata = new grpc.Metadata();
  propagator.inject(trace.setSpan(ROOT_CONTEXT, span), metadata, setter);
  return metadata;
}

export function contextOf(metadata: grpc.Metadata): Context {
  return propagator.extract(ROOT_CONTEXT, metadata, getter);
}

/** Calls a unary method in a client span; rejects with the status where that is not OK. */
export async function call(
  address: string,
  name: string,
  tracer: Tracer,
  parent: Context = ROOT_CONTEXT,
): Promise<{ traceId: string; spanId: string }> {
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT }, parent);
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.makeUnaryRequest(`/${name}`, bytes, bytes, Buffer.from('ask'), metadataOf(span), error =>
    error === null ? resolve() : reject(error),
  );
  await promise.finally(() => {
    span.end();
    client.close();
  });
  return span.spanContext();
}

export interface Backend {
  readonly address: string;
  readonly server: grpc.Server;
}

/** A backend for `service` with the methods Get, Upload, List and Chat; Get does `work` in a server span. */
export async function backendFor(
  t: TestContext,
  service: string,
  tracer?: Tracer,
  work: (call: grpc.ServerUnaryCall<Buffer, Buffer>, context: Context) => Promise<void> = async () => {},
): Promise<Backend> {
  const server = new grpc.Server();
  server.addService(
    {
      get: method(`${service}/Get`, false, false),
      upload: method(`${service}/Upload`, true, false),
      list: method(`${service}/List`, false, true),
      chat: method(`${service}/Chat`, true, true),
    },
    {
      get(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
        const name = `${service}/Get`;
        const span = tracer?.startSpan(name, { kind: SpanKind.SERVER }, contextOf(call.metadata));
        const context = span === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, span);
        work(call, context)
          .then(
            () => done(null, Buffer.from('answer')),
            error => done(error),
          )
          .finally(() => span?.end());
      },
      upload(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
        call.on('data', () => {}).on('end', () => done(null, Buffer.from('all')));
      },
      list(call: grpc.ServerWritableStream<Buffer, Buffer>) {
        for (const each of ['one', 'two', 'three']) call.write(Buffer.from(each));
        call.end();
      },
      chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
        call.on('data', (message: Buffer) => call.write(message)).on('end', () => call.end());
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, server };
}

/** A stream with so many messages up, `more` run while it is open. Resolves with its status and what came. */
export async function stream(
  address: string,
  name: string,
  metadata: grpc.Metadata,
  messages: readonly string[],
  more: () => Promise<void> = async () => {},
): Promise<{ code: number; received: number }> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const call = client.makeBidiStreamRequest(`/${name}`, bytes, bytes, metadata);
  let received = 0;
  call.on('data', () => received++).on('error', () => {});
  for (const message of messages) call.write(Buffer.from(message));
  await more();
  call.end();
  const [status] = (await once(call, 'status')) as [grpc.StatusObject];
  client.close();
  return { code: status.code, received };
}
