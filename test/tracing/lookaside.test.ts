/** Picks as a real Jaeger shows them: the pick, the call that is linked to it, what became of the lease. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { type CallTracer, createPickClient, type TraceContext } from '../../src/client/client.ts';
import { startRig } from '../proxy/rig.ts';
import { type Jaeger, startJaeger } from '../support/jaeger.ts';
import { backendFor, metadataOf, tracedAs } from './peers.ts';

const SERVICE = 'one.v1.First';

let jaeger: Jaeger;
before(async () => {
  process.env.OTEL_BSP_SCHEDULE_DELAY = '20';
  jaeger = await startJaeger();
});
after(() => jaeger.stop());

function contextOf(span: Span): TraceContext {
  const [traceparent = ''] = metadataOf(span).get('traceparent');
  return { traceparent: String(traceparent), tracestate: '' };
}

/** The port on OpenTelemetry, as the guide shows it; `active` is the span that the caller is in. */
function portOf(tracer: Tracer, active: Span): CallTracer {
  return {
    current: () => contextOf(active),
    begin({ method, link, attributes }) {
      const [, traceId = '', spanId = ''] = link?.traceparent.split('-') ?? [];
      const links =
        link === undefined ? [] : [{ context: { traceId, spanId, traceFlags: 1, isRemote: true } }];
      const span = tracer.startSpan(
        method,
        { kind: SpanKind.CLIENT, links, attributes: attributes ?? {} },
        trace.setSpan(ROOT_CONTEXT, active),
      );
      return {
        context: contextOf(span),
        set: (name, value) => void span.setAttribute(name, value),
        end(status, message = '') {
          if (status !== 0) span.setStatus({ code: SpanStatusCode.ERROR, message });
          span.end();
        },
      };
    },
  };
}

test('a call by the pick client: its span is linked to that of its pick; the outcome is on the lease', async t => {
  const a = await backendFor(t, SERVICE, tracedAs(t, 'backend', jaeger.grpc));
  const servers = [
    { address: a.address, services: [SERVICE] },
    { address: '127.0.0.1:1', services: [SERVICE], standby: true },
  ];
  const rig = await startRig(t, servers, {
    telemetry: { traces: { endpoint: jaeger.grpc, sampleRatio: 0 } },
  });
  const tracer = tracedAs(t, 'shop', jaeger.grpc);
  const active = tracer.startSpan('buy');
  const client = createPickClient({
    balancers: [rig.addresses.control],
    service: SERVICE,
    tracer: portOf(tracer, active),
    flushMs: 5,
  });
  const bytes = (value: Buffer): Buffer => value;
  await client.call(
    ({ address }, given) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const stub = new grpc.Client(address, grpc.credentials.createInsecure());
      const metadata = new grpc.Metadata();
      metadata.set('traceparent', given?.traceparent ?? '');
      stub.makeUnaryRequest(`/${SERVICE}/Get`, bytes, bytes, Buffer.from('x'), metadata, error =>
        error === null ? resolve() : reject(error),
      );
      return promise.finally(() => stub.close());
    },
    { method: 'Get' },
  );
  active.end();
  const { traceId } = active.spanContext();
  const spans = await jaeger.trace(traceId, all => all.length === 5);
  const named = (name: string, kind: string) => spans.find(each => each.name === name && each.kind === kind);
  const root = named('buy', 'internal');
  const pick = named('heapmesh.v1.LookasideService/PickServer', 'server');
  const lease = named('lease', 'internal');
  const call = named(`${SERVICE}/Get`, 'client');
  const served = named(`${SERVICE}/Get`, 'server');
  assert.equal(pick?.parentId, root?.spanId);
  assert.equal(pick?.service, 'heapmesh');
  const expected = {
    'heapmesh.pick.service': SERVICE,
    'heapmesh.pick.method': 'Get',
    'heapmesh.pool': SERVICE,
    'heapmesh.backend': 'a',
    'rpc.response.status_code': 'OK',
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(pick?.tags[name], value, name);
  assert.ok(Number(pick?.tags['heapmesh.score']) >= 0);
  assert.equal(call?.service, 'shop');
  assert.equal(call?.parentId, root?.spanId);
  assert.deepEqual(call?.links, [pick?.spanId]);
  assert.equal(call?.tags['heapmesh.backend'], 'a');
  assert.equal(served?.parentId, call?.spanId, 'the context went with the call');
  assert.equal(lease?.parentId, pick?.spanId);
  assert.equal(lease?.tags['heapmesh.lease'], 'reported');
  assert.equal(lease?.tags['rpc.response.status_code'], 'OK');
  assert.ok(Number(lease?.tags['heapmesh.latency_ms']) > 0);
  await client.close();
});

test('a pick that fails, one whose outcome is a failure, and one that is not sampled', async t => {
  const rig = await startRig(t, [{ address: '127.0.0.1:1', services: [SERVICE] }], {
    telemetry: { traces: { endpoint: jaeger.grpc, sampleRatio: 0 } },
  });
  const tracer = tracedAs(t, 'shop', jaeger.grpc);
  const failing = tracer.startSpan('failing');
  const balancers = [rig.addresses.control];
  const missing = createPickClient({
    balancers,
    service: 'no.such.Service',
    tracer: portOf(tracer, failing),
  });
  await assert.rejects(missing.pick(), /no server serves/);
  await missing.close();
  const client = createPickClient({
    balancers,
    service: SERVICE,
    tracer: portOf(tracer, failing),
    flushMs: 5,
  });
  const { lease, trace: of } = await client.pick();
  assert.match(of?.traceparent ?? '', new RegExp(`^00-${failing.spanContext().traceId}-`));
  lease.complete({ status: grpc.status.INTERNAL, latencyMs: 12 });
  failing.end();
  const spans = await jaeger.trace(failing.spanContext().traceId, all => all.length === 4);
  assert.deepEqual(
    spans
      .map(each => [each.name.replace(/.*\//, ''), each.tags['rpc.response.status_code'], each.tags.error])
      .sort(),
    [
      ['PickServer', 'NOT_FOUND', undefined],
      ['PickServer', 'OK', undefined],
      ['failing', undefined, undefined],
      ['lease', 'INTERNAL', true],
    ],
  );
  await client.close();

  const unsampled = trace.wrapSpanContext({ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), traceFlags: 0 });
  const quiet = createPickClient({
    balancers,
    service: SERVICE,
    tracer: portOf(tracer, unsampled),
    flushMs: 5,
  });
  const before = rig.tracing?.counts().recorded;
  const picked = await quiet.pick();
  picked.lease.complete();
  assert.equal(picked.trace, undefined);
  await quiet.close();
  assert.equal(rig.tracing?.counts().recorded, before);
});
