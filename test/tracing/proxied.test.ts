/** Proxied calls as a real Jaeger shows them: parents, kinds, status, attributes, events, links. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { SpanKind } from '@opentelemetry/api';
import { startRig, until, upstreamFor } from '../proxy/rig.ts';
import { request } from '../support/h2/caller.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk, RESPONSE } from '../support/h2/upstream.ts';
import { Code, Flag, goaway, reset } from '../support/h2/wire.ts';
import { type Jaeger, type JaegerSpan, startJaeger } from '../support/jaeger.ts';
import { backendFor, call, metadataOf, stream, tracedAs } from './peers.ts';

let jaeger: Jaeger;
before(async () => {
  // Nobody wants to wait for a batch to fill.
  process.env.OTEL_BSP_SCHEDULE_DELAY = '20';
  jaeger = await startJaeger();
});
after(() => jaeger.stop());

const FIRST = 'one.v1.First';
const SECOND = 'two.v1.Second';

/** Telemetry that records every call of a caller that has not decided. */
const traced = (more: object = {}): Record<string, unknown> => ({
  telemetry: { traces: { endpoint: jaeger.grpc, sampleRatio: 1, ...more } },
});

let made = 0;

/** A caller's context, as a field, and its ids. */
function context(flags = '01') {
  const traceId = (++made + Math.floor(Math.random() * 2 ** 40) * 256).toString(16).padStart(32, 'a');
  const spanId = made.toString(16).padStart(16, 'b');
  return { traceId, spanId, field: ['traceparent', `00-${traceId}-${spanId}-${flags}`] as const };
}

const ours = (spans: readonly JaegerSpan[]): JaegerSpan[] =>
  spans.filter(each => each.service === 'heapmesh');
const server = (spans: readonly JaegerSpan[]): JaegerSpan[] =>
  ours(spans).filter(each => each.kind === 'server');
const clients = (spans: readonly JaegerSpan[]): JaegerSpan[] =>
  ours(spans).filter(each => each.kind === 'client');

test('caller → Heapmesh → backend → Heapmesh → second backend: one trace, each span the child of the one before', async t => {
  const as = (name: string) => tracedAs(t, name, jaeger.grpc);
  const [callers, firsts, seconds] = [as('caller'), as('first'), as('second')];
  let proxy = '';
  const b = await backendFor(t, SECOND, seconds);
  const a = await backendFor(t, FIRST, firsts, async (_call, context) => {
    await call(proxy, `${SECOND}/Get`, firsts, context);
  });
  const servers = [
    { address: a.address, services: [FIRST] },
    { address: b.address, services: [SECOND], zone: 'z1' },
    { address: b.address.replace('127.0.0.1', 'localhost'), services: [SECOND] },
  ];
  const rig = await startRig(t, servers, traced());
  proxy = rig.address;
  const { traceId } = await call(proxy, `${FIRST}/Get`, callers);
  const spans = chain(await jaeger.trace(traceId, all => all.length === 8));
  assert.deepEqual(
    spans.map(({ service, kind, name }) => [service, kind, name]),
    [
      ['caller', 'client', `${FIRST}/Get`],
      ['heapmesh', 'server', `${FIRST}/Get`],
      ['heapmesh', 'client', `${FIRST}/Get`],
      ['first', 'server', `${FIRST}/Get`],
      ['first', 'client', `${SECOND}/Get`],
      ['heapmesh', 'server', `${SECOND}/Get`],
      ['heapmesh', 'client', `${SECOND}/Get`],
      ['second', 'server', `${SECOND}/Get`],
    ],
  );
  spans.forEach((span, at) => {
    assert.equal(span.parentId, spans[at - 1]?.spanId ?? '');
    assert.equal(span.traceId, traceId);
  });
  const [, in1, out1, , , in2, out2] = spans;
  const { 'client.port': port, ...tags } = in1?.tags ?? {};
  assert.ok(Number(port) > 0);
  assert.deepEqual(pick(tags, /^rpc|^heapmesh|^client|^error/), {
    'rpc.system.name': 'grpc',
    'rpc.method': `${FIRST}/Get`,
    'rpc.response.status_code': 'OK',
    'client.address': '127.0.0.1',
    'heapmesh.pool': FIRST,
    'heapmesh.attempts': 1,
    'heapmesh.queue_ms': tags['heapmesh.queue_ms'],
    'heapmesh.request.messages': 1,
    'heapmesh.request.bytes': 8,
    'heapmesh.response.messages': 1,
    'heapmesh.response.bytes': 11,
    'heapmesh.ended_by': 'backend',
  });
  assert.ok(Number(tags['heapmesh.queue_ms']) > 0, 'it waited for the first connection');
  assert.deepEqual(pick(out1?.tags ?? {}, /^rpc|^heapmesh|^server|^error/), {
    'rpc.system.name': 'grpc',
    'rpc.method': `${FIRST}/Get`,
    'rpc.response.status_code': 'OK',
    'server.address': '127.0.0.1',
    'server.port': Number(a.address.split(':')[1]),
    'heapmesh.backend': 'a',
    'heapmesh.pool': FIRST,
    'heapmesh.attempt': 1,
    'heapmesh.queue_ms': out1?.tags['heapmesh.queue_ms'],
    'heapmesh.score': out1?.tags['heapmesh.score'],
  });
  assert.deepEqual(
    out1?.events.map(each => each.event),
    ['response'],
  );
  // The pool of the second service has another one, which was the runner-up.
  const other = out2?.tags['heapmesh.backend'] === 'b' ? 'c' : 'b';
  assert.equal(out2?.tags['heapmesh.runner_up'], other);
  assert.ok(Number(out2?.tags['heapmesh.score']) <= Number(out2?.tags['heapmesh.runner_up.score']));
  assert.equal(in2?.resource['service.instance.id'], 'lb-1');
  assert.match(String(in2?.resource['service.version']), /^\d+\.\d+\.\d+/);
});

test('the three streaming kinds: messages and octets in each direction', async t => {
  const a = await backendFor(t, FIRST);
  const rig = await startRig(t, [a.address], traced());
  const callers = tracedAs(t, 'streams', jaeger.grpc);
  const expected = { Upload: [3, 27, 1, 8], List: [1, 6, 3, 26], Chat: [2, 14, 2, 14] } as const;
  const sent = { Upload: ['a', 'bbbb', 'ccccccc'], List: ['x'], Chat: ['hi', 'ho'] } as const;
  for (const kind of ['Upload', 'List', 'Chat'] as const) {
    const root = callers.startSpan('root', { kind: SpanKind.CLIENT });
    const { code } = await stream(rig.address, `${FIRST}/${kind}`, metadataOf(root), sent[kind]);
    root.end();
    assert.equal(code, 0);
    const { traceId } = root.spanContext();
    const spans = await jaeger.trace(traceId, all => all.length === 3);
    const tags = server(spans)[0]?.tags ?? {};
    assert.equal(tags['rpc.method'], `${FIRST}/${kind}`);
    assert.deepEqual(
      ['request.messages', 'request.bytes', 'response.messages', 'response.bytes'].map(
        each => tags[`heapmesh.${each}`],
      ),
      expected[kind],
    );
  }
});

test('a retry: a client span for each attempt, the first with what failed, and an event', async t => {
  let nth = 0;
  const onStream = (arrival: Arrival): void => {
    if (++nth > 1) answerOk(arrival);
    else arrival.peer.sendHeaders(arrival.stream, [...RESPONSE, ['grpc-status', '14']], Flag.END_STREAM);
  };
  const [a, b] = [await upstreamFor(t, { onStream }), await upstreamFor(t, { onStream })];
  const rig = await startRig(t, [a.address, b.address], {
    ...traced(),
    pools: [{ service: '*', retry: { codes: ['UNAVAILABLE'], budget: 1 } }],
  });
  const caller = await rig.caller();
  const { traceId, spanId, field } = context();
  assert.equal((await caller.call(request('/a.B/C', [field]))).grpcStatus, Status.OK);
  const spans = await jaeger.trace(traceId, all => all.length === 3);
  const [root] = server(spans);
  assert.equal(root?.parentId, spanId);
  assert.equal(root?.tags['rpc.response.status_code'], 'OK');
  assert.equal(root?.tags['heapmesh.attempts'], 2);
  const retry = root?.events.find(each => each.event === 'retry');
  const [first, second] = clients(spans);
  assert.deepEqual(
    [retry?.['heapmesh.attempt'], retry?.['heapmesh.backend']],
    [2, second?.tags['heapmesh.backend']],
  );
  assert.deepEqual([first?.parentId, second?.parentId], [root?.spanId, root?.spanId]);
  assert.notEqual(first?.tags['heapmesh.backend'], second?.tags['heapmesh.backend']);
  assert.deepEqual(
    [first, second].map(each => each?.tags['rpc.response.status_code']),
    ['UNAVAILABLE', 'OK'],
  );
  assert.equal(first?.tags['error.type'], 'UNAVAILABLE');
  assert.equal(first?.tags['otel.status_description'], 'answered UNAVAILABLE');
  assert.equal(second?.tags.error, undefined);
});

test('a deadline, and a caller that gives up', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void arrived.push(arrival) });
  const rig = await startRig(t, [upstream.address], traced());
  const caller = await rig.caller();
  const late = context();
  const outcome = await caller.call(request('/a.B/C', [late.field, ['grpc-timeout', '30m']]));
  assert.equal(outcome.grpcStatus, Status.DEADLINE_EXCEEDED);
  const spans = await jaeger.trace(late.traceId, all => all.length === 2);
  const [root] = server(spans);
  assert.equal(root?.tags['rpc.response.status_code'], 'DEADLINE_EXCEEDED');
  assert.equal(root?.tags['otel.status_code'], 'ERROR');
  assert.match(String(root?.tags['otel.status_description']), /deadline of 30 ms is over at backend a/);
  assert.equal(root?.tags['heapmesh.ended_by'], 'proxy');
  const event = root?.events.find(each => each.event === 'time-out');
  assert.equal(event?.['heapmesh.deadline_ms'], 30);
  assert.equal(clients(spans)[0]?.tags['error.type'], 'DEADLINE_EXCEEDED');

  const left = context();
  const stream = caller.open(request('/a.B/C', [left.field]));
  await until(() => arrived.length === 2);
  caller.send(reset(stream, 8));
  const both = await jaeger.trace(left.traceId, all => all.length === 2);
  const [given] = server(both);
  assert.equal(given?.tags['rpc.response.status_code'], 'CANCELLED');
  assert.equal(given?.tags['heapmesh.ended_by'], 'caller');
  // It is no error of the server's, and the attempt did fail.
  assert.equal(given?.tags.error, undefined);
  assert.equal(clients(both)[0]?.tags.error, true);
});

test('a backend that leaves while a call is open: an event; tracestate and baggage go on beside the new parent', async t => {
  const arrived: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void arrived.push(arrival) });
  const rig = await startRig(t, [upstream.address], traced());
  const caller = await rig.caller();
  const { traceId, field } = context();
  const fields = [field, ['tracestate', 'vendor=1'], ['baggage', 'tenant=x']] as const;
  const outcome = caller.call(request('/a.B/C', fields));
  await until(() => arrived.length === 1);
  const [arrival] = arrived as [Arrival];
  arrival.peer.send(goaway(arrival.stream, Code.NO_ERROR));
  await until(() => rig.proxy.counters.goaways === 1);
  answerOk(arrival);
  assert.equal((await outcome).grpcStatus, Status.OK);
  const spans = await jaeger.trace(traceId, all => all.length === 2);
  const event = server(spans)[0]?.events.find(each => each.event === 'drain');
  assert.match(String(event?.['heapmesh.cause']), /^backend a \([\d.:]+\) is leaving \(GOAWAY\)$/);
  const sent = (name: string) => arrival.fields.find(([each]) => each === name)?.[1];
  assert.equal(sent('traceparent'), `00-${traceId}-${clients(spans)[0]?.spanId}-01`);
  assert.equal(sent('tracestate'), 'vendor=1');
  assert.equal(sent('baggage'), 'tenant=x');
});

test('an unsampled call has no span and its context goes on as it came; errors and slow calls are recorded after their end', async t => {
  const got: string[] = [];
  let answer: (arrival: Arrival) => void = answerOk;
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      got.push(arrival.fields.find(([name]) => name === 'traceparent')?.[1] ?? '');
      answer(arrival);
    },
  });
  const settings = (more: object = {}) => traced({ sampleRatio: 0, ...more });
  const rig = await startRig(t, [upstream.address], settings());
  const caller = await rig.caller();
  const silent = context('00');
  await caller.call(request('/a.B/C', [silent.field]));
  await caller.call(request('/a.B/C'));
  assert.deepEqual(got.splice(0), [silent.field[1], '']);
  assert.equal(rig.tracing?.counts().recorded, 0);

  await rig.configure(settings({ alwaysErrors: true }));
  answer = ({ peer, stream }) =>
    peer.sendHeaders(
      stream,
      [...RESPONSE, ['grpc-status', '13'], ['grpc-message', 'broken']],
      Flag.END_STREAM,
    );
  const failed = context('00');
  await caller.call(request('/a.B/C', [failed.field]));
  assert.deepEqual(got.splice(0), [failed.field[1]]);
  const [span, ...none] = await jaeger.trace(failed.traceId, all => all.length > 0);
  assert.deepEqual(none, []);
  assert.equal(span?.parentId, failed.spanId);
  assert.equal(span?.kind, 'server');
  assert.deepEqual(
    ['rpc.response.status_code', 'heapmesh.backend', 'heapmesh.unsampled', 'heapmesh.request.bytes'].map(
      each => span?.tags[each],
    ),
    ['INTERNAL', 'a', true, 8],
  );
  assert.ok((span?.durationUs ?? 0) > 0);

  await rig.configure(settings({ alwaysSlowerThan: '20ms' }));
  answer = arrival => void setTimeout(() => answerOk(arrival), 40);
  const slow = context('00');
  await caller.call(request('/a.B/C', [slow.field]));
  const [late] = await jaeger.trace(slow.traceId, all => all.length > 0);
  assert.equal(late?.tags['rpc.response.status_code'], 'OK');
  assert.ok((late?.durationUs ?? 0) >= 35_000);
  answer = answerOk;
  await caller.call(request('/a.B/C', [context('00').field]));
  assert.equal(rig.tracing?.counts().recorded, 2);
});

test('a stream that stays open is found while it is open: a span a segment, each linked to the one before', async t => {
  const a = await backendFor(t, FIRST);
  const rig = await startRig(t, [a.address], traced({ streamSegment: '1s' }));
  const callers = tracedAs(t, 'long', jaeger.grpc);
  const root = callers.startSpan('root', { kind: SpanKind.CLIENT });
  const { traceId } = root.spanContext();
  await stream(rig.address, `${FIRST}/Chat`, metadataOf(root), ['one', 'two'], async () => {
    const open = await jaeger.trace(traceId, all => all.length >= 2);
    const [one, two] = open;
    assert.deepEqual(
      [one, two].map(each => [each?.kind, each?.tags['heapmesh.segment']]),
      [
        ['internal', 1],
        ['internal', 2],
      ],
    );
    assert.equal(one?.tags['heapmesh.segment.open'], true);
    assert.deepEqual(
      [one, two].map(each => [
        each?.tags['heapmesh.request.messages'],
        each?.tags['heapmesh.response.messages'],
      ]),
      [
        [2, 2],
        [0, 0],
      ],
    );
    assert.deepEqual(two?.links, [one?.spanId]);
    assert.ok((one?.durationUs ?? 0) >= 500_000);
  });
  root.end();
  const spans = await jaeger.trace(traceId, all => all.length >= 6);
  const [whole] = server(spans);
  const segments = ours(spans).filter(each => each.kind === 'internal');
  assert.deepEqual(
    segments.map(each => each.parentId),
    segments.map(() => whole?.spanId),
  );
  assert.equal(segments.at(-1)?.tags['heapmesh.segment.open'], false);
  assert.equal(whole?.tags['heapmesh.request.messages'], 2);
});

test('OTLP by HTTP, and a pool that is not known', async t => {
  const upstream = await upstreamFor(t, { onStream: answerOk });
  const rig = await startRig(
    t,
    [{ address: upstream.address, services: [FIRST] }],
    traced({ endpoint: jaeger.http, protocol: 'http/protobuf' }),
  );
  const caller = await rig.caller();
  const { traceId, field } = context();
  const { grpcStatus } = await caller.call(request('/no.such/Method', [field]));
  assert.equal(grpcStatus, grpc.status.UNIMPLEMENTED);
  const [span] = await jaeger.trace(traceId, all => all.length > 0);
  assert.equal(span?.name, '_OTHER');
  assert.equal(span?.tags['rpc.method_original'], 'no.such/Method');
  assert.equal(span?.tags['otel.status_code'], 'ERROR');
});

/** From the root on, each with its first child behind it: two within a microsecond have no order by time. */
function chain(spans: readonly JaegerSpan[]): JaegerSpan[] {
  const found: JaegerSpan[] = [];
  for (let id = ''; ; ) {
    const next = spans.find(each => each.parentId === id);
    if (next === undefined) return found;
    found.push(next);
    id = next.spanId;
  }
}

function pick(tags: Readonly<Record<string, unknown>>, names: RegExp): Record<string, unknown> {
  return Object.fromEntries(Object.entries(tags).filter(([name]) => names.test(name)));
}
