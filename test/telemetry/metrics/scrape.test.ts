/** `/metrics` of a real balancer, with calls of every kind behind it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Rig, startRig, until, upstreamFor } from '../../proxy/rig.ts';
import { request } from '../../support/h2/caller.ts';
import { encode } from '../../support/h2/hpack.ts';
import { type Arrival, answerOk, okFrames, RESPONSE } from '../../support/h2/upstream.ts';
import { Code, data, Flag, headers, message, reset } from '../../support/h2/wire.ts';
import { parseScrape, type Scrape } from './exposition.ts';

const POOL = 'test.v1.Test';

async function scrape(rig: Rig, accept = 'text/plain'): Promise<Scrape & { type: string; text: string }> {
  const answer = await fetch(`http://${rig.addresses.admin}/metrics`, { headers: { accept } });
  assert.equal(answer.status, 200);
  const text = await answer.text();
  return { ...parseScrape(text), type: answer.headers.get('content-type') ?? '', text };
}

const status =
  (code: number) =>
  ({ peer, stream }: Arrival): void => {
    peer.sendHeaders(stream, [...RESPONSE, ['grpc-status', String(code)]], Flag.END_STREAM);
  };

test('calls and attempts are counted by method, backend and code, with their times', async t => {
  const answers = [answerOk, status(14), answerOk, status(5)];
  const upstream = await upstreamFor(t, {
    onStream: arrival => (answers[arrival.nth - 1] ?? answerOk)(arrival),
  });
  const rig = await startRig(t, [{ address: upstream.address, services: [POOL] }], {
    pools: [{ service: '*', retry: { codes: ['UNAVAILABLE'], budget: 1 } }],
  });
  const caller = await rig.caller();
  for (let n = 0; n < 3; n++) await caller.call();
  const seen = await scrape(rig);
  const method = { service: POOL, method: 'Call' };
  assert.equal(seen.value('heapmesh_calls_total', { ...method, code: 'OK' }), 2);
  assert.equal(seen.value('heapmesh_calls_total', { ...method, code: 'NOT_FOUND' }), 1);
  assert.equal(seen.value('heapmesh_call_duration_seconds_count', { service: POOL }), 3);
  assert.equal(seen.value('heapmesh_attempts_total', { pool: POOL, backend: 'a' }), 4);
  assert.equal(seen.value('heapmesh_attempts_total', { backend: 'a', code: 'UNAVAILABLE' }), 1);
  assert.equal(seen.value('heapmesh_retries_total', { pool: POOL }), 1);
  assert.equal(seen.value('heapmesh_attempt_duration_seconds_count', { backend: 'a' }), 4);
  assert.equal(seen.value('heapmesh_attempt_duration_seconds_bucket', { backend: 'a', le: '+Inf' }), 4);
  const sum = seen.value('heapmesh_attempt_duration_seconds_sum', { backend: 'a' });
  assert.ok(sum > 0 && sum < 5, `${sum} s`);
  assert.equal(seen.value('heapmesh_backend_picks_total', { backend: 'a' }), 4);
  assert.equal(seen.value('heapmesh_sent_messages_total', { backend: 'a' }), 3);
});

test('the counters of a stream move while it is open, and are right once it is over', async t => {
  let open: Arrival | undefined;
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      open = arrival;
      arrival.peer.send(headers(arrival.stream, encode(RESPONSE)));
    },
  });
  const rig = await startRig(t, [{ address: upstream.address, services: [POOL] }]);
  const caller = await rig.caller();
  const stream = caller.open();
  await until(() => open !== undefined);
  const { peer, stream: there } = open as unknown as Arrival;
  const at = { pool: POOL, backend: 'a' };
  for (let n = 1; n <= 2; n++) {
    caller.send(data(stream, message(Buffer.alloc(100))));
    peer.send(data(there, message(Buffer.alloc(10))), data(there, message(Buffer.alloc(10))));
    await until(() => Buffer.concat(caller.answer(stream).data).length === 30 * n);
    await until(() => Buffer.concat(peer.answer(there).data).length === 105 * n);
    const seen = await scrape(rig);
    assert.equal(seen.value('heapmesh_sent_bytes_total', at), 105 * n);
    assert.equal(seen.value('heapmesh_received_bytes_total', at), 30 * n);
    assert.equal(seen.value('heapmesh_sent_messages_total', at), n);
    assert.equal(seen.value('heapmesh_received_messages_total', at), 2 * n);
    assert.equal(seen.value('heapmesh_attempts_in_flight', at), 1);
    assert.equal(seen.value('heapmesh_calls_in_flight', { pool: POOL }), 1);
    assert.equal(seen.value('heapmesh_calls_total'), 0);
  }
  peer.send(...okFrames(there).slice(2));
  caller.send(data(stream, Buffer.alloc(0), Flag.END_STREAM));
  await caller.outcome(stream);
  await until(() => rig.proxy.gauges().calls === 0);
  const seen = await scrape(rig);
  assert.equal(seen.value('heapmesh_sent_bytes_total', at), 210);
  assert.equal(seen.value('heapmesh_received_bytes_total', at), 60);
  assert.equal(seen.value('heapmesh_attempts_in_flight', at), 0);
  assert.equal(seen.value('heapmesh_calls_total', { code: 'OK' }), 1);
});

test('resets, faults, refusals and methods that nobody serves are counted, and make no labels of what callers say', async t => {
  const upstream = await upstreamFor(t, {
    onStream: arrival => (arrival.nth === 1 ? undefined : status(12)(arrival)),
  });
  const rig = await startRig(t, [{ address: upstream.address, services: [POOL] }]);
  const caller = await rig.caller();
  const stream = caller.open();
  await until(() => upstream.counts.streams === 1);
  caller.send(reset(stream, Code.CANCEL));
  for (let n = 0; n < 5; n++) await caller.call(request(`/test.v1.Test/Invented${n}`));
  await caller.call(request('/invented.Service/Call'));
  await caller.call(request('no-slash'));
  const seen = await scrape(rig);
  assert.equal(seen.value('heapmesh_caller_resets_total', { code: 'CANCEL' }), 1);
  assert.equal(seen.value('heapmesh_attempts_total', { code: 'CANCELLED' }), 1);
  assert.equal(seen.value('heapmesh_http2_faults_total', { scope: 'stream', fault: 'PATH' }), 1);
  assert.equal(seen.value('heapmesh_calls_total', { method: 'other', code: 'UNIMPLEMENTED' }), 6);
  assert.equal(seen.value('heapmesh_calls_without_pool_total'), 1);
  assert.doesNotMatch(seen.text, /[Ii]nvented/);
});

test('a collector that asks for OpenMetrics gets it', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address]);
  await (await rig.caller()).call();
  const plain = await scrape(rig);
  assert.match(plain.type, /^text\/plain; version=0\.0\.4/);
  const open = await scrape(rig, 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5');
  assert.match(open.type, /^application\/openmetrics-text; version=1\.0\.0/);
  assert.ok(open.text.endsWith('# EOF\n') && !plain.text.includes('# EOF'));
  assert.equal(open.types.get('heapmesh_calls'), 'counter');
  assert.equal(plain.types.get('heapmesh_calls_total'), 'counter');
  assert.equal(open.value('heapmesh_calls_total'), 1);
});

test('the bucket of a traced call carries its trace, for collectors that can take it', async t => {
  const upstream = await upstreamFor(t);
  // Nobody listens there: spans are dropped, and the trace has its number all the same.
  const traces = { endpoint: 'http://127.0.0.1:9', sampleRatio: 1 };
  const rig = await startRig(t, [upstream.address], { telemetry: { traces } });
  const trace = '0af7651916cd43dd8448eb211c80319c';
  const caller = await rig.caller();
  await caller.call(request(undefined, [['traceparent', `00-${trace}-b7ad6b7169203331-01`]]));
  const seen = await scrape(rig, 'application/openmetrics-text');
  const exemplars = seen.samples.filter(({ exemplar }) => exemplar !== undefined);
  assert.ok(exemplars.some(({ exemplar }) => exemplar?.startsWith(`{trace_id="${trace}"} 0.`)));
  for (const { name } of exemplars) assert.equal(name, 'heapmesh_call_duration_seconds_bucket');
  assert.ok((await scrape(rig)).samples.every(({ exemplar }) => exemplar === undefined));
});

test('every metric of the catalogue has somebody who tells it, with the labels that it says', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address]);
  assert.deepEqual(rig.metrics.registry.missing(), []);
  await (await rig.caller()).call();
  const seen = await scrape(rig);
  const { CATALOG } = await import('../../../src/telemetry/metrics/catalog.ts');
  const families = CATALOG.flatMap(area => area.families);
  assert.deepEqual([...seen.types.keys()].sort(), families.map(family => family.name).sort());
  for (const { name, labels } of seen.samples) {
    const family = families.find(
      each => name.replace(/_(bucket|sum|count)$/, '') === each.name || name === each.name,
    );
    assert.deepEqual(
      Object.keys(labels).filter(label => label !== 'le'),
      family?.labels,
      name,
    );
  }
});
