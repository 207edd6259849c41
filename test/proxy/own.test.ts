/** What the proxy answers itself (health), whom it asks for reflection, and what it reads of calls (load reports). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthListResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from '../../src/gen/grpc/health/v1/health.ts';
import { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import { type Caller, request } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import { Status } from '../support/h2/status.ts';
import { OK, RESPONSE } from '../support/h2/upstream.ts';
import { Code, data, Flag, headers, message, reset, Setting, windowUpdate } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

const HEALTH = '/grpc.health.v1.Health';
const ask = (service: string): Uint8Array => HealthCheckRequest.encode({ service }).finish();

async function check(
  caller: Caller,
  service: string,
): Promise<Serving | { status: number | undefined; says: string }> {
  const outcome = await caller.call(request(`${HEALTH}/Check`), ask(service));
  if (outcome.grpcStatus !== Status.OK) return { status: outcome.grpcStatus, says: outcome.grpcMessage };
  return HealthCheckResponse.decode(Buffer.concat(outcome.data).subarray(5)).status;
}

/** What a watcher was told so far. */
function told(caller: Caller, stream: number): Serving[] {
  let bytes = Buffer.concat(caller.answer(stream).data);
  const all: Serving[] = [];
  for (; bytes.length >= 5; bytes = bytes.subarray(5 + bytes.readUInt32BE(1))) {
    all.push(HealthCheckResponse.decode(bytes.subarray(5, 5 + bytes.readUInt32BE(1))).status);
  }
  return all;
}

test("health: the proxy's own for '', that of its pool for a service", async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [
    { address: upstream.address, services: ['a.A', 'a.B'] },
    { address: upstream.address, services: ['a.S'], standby: true },
  ]);
  const caller = await rig.caller();
  assert.equal(await check(caller, ''), Serving.SERVING);
  assert.equal(await check(caller, 'a.A'), Serving.SERVING);
  assert.equal(await check(caller, 'a.S'), Serving.NOT_SERVING);
  assert.deepEqual(await check(caller, 'a.None'), { status: 5, says: 'no backend serves a.None' });
  const list = await caller.call(request(`${HEALTH}/List`), Buffer.alloc(0));
  const { statuses } = HealthListResponse.decode(Buffer.concat(list.data).subarray(5));
  assert.deepEqual(Object.fromEntries(Object.entries(statuses).map(([name, { status }]) => [name, status])), {
    '': Serving.SERVING,
    'a.A': Serving.SERVING,
    'a.B': Serving.SERVING,
    'a.S': Serving.NOT_SERVING,
  });
  assert.equal(upstream.counts.streams, 0);
});

test('health: requests that are none are refused in words, and hold nothing', async t => {
  const rig = await startRig(t, []);
  const caller = await rig.caller();
  const unknown = await caller.call(request(`${HEALTH}/Cure`), ask(''));
  assert.deepEqual(
    [unknown.grpcStatus, unknown.grpcMessage],
    [Status.UNIMPLEMENTED, 'grpc.health.v1.Health has no method Cure'],
  );
  const large = await caller.call(request(`${HEALTH}/Check`), Buffer.alloc(5_000));
  assert.equal(large.grpcStatus, Status.RESOURCE_EXHAUSTED);
  for (const body of [
    Buffer.alloc(0),
    Buffer.from([0, 0, 0]),
    Buffer.from([1, 0, 0, 0, 0]),
    Buffer.from([0, 0, 0, 0, 9, 1]),
    Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x7f]),
  ]) {
    const stream = caller.stream();
    caller.send(headers(stream, encode(request(`${HEALTH}/Check`))), data(stream, body, Flag.END_STREAM));
    const outcome = await caller.outcome(stream);
    assert.equal(outcome.grpcStatus, Status.INTERNAL, body.toString('hex'));
  }
  // By HEADERS alone, in small parts, and with trailers.
  const bare = caller.stream();
  caller.send(headers(bare, encode(request(`${HEALTH}/Check`)), Flag.END_STREAM));
  assert.equal((await caller.outcome(bare)).grpcStatus, Status.INTERNAL);
  const slow = caller.open(request(`${HEALTH}/Check`));
  for (const byte of message(ask(''))) caller.send(data(slow, Buffer.from([byte])));
  caller.send(headers(slow, encode([['x-end', '1']]), Flag.END_STREAM));
  assert.equal((await caller.outcome(slow)).grpcStatus, Status.OK);
  // One that never comes whole ends by its deadline.
  const never = caller.open(request(`${HEALTH}/Check`, [['grpc-timeout', '50m']]));
  assert.equal((await caller.outcome(never)).grpcStatus, Status.DEADLINE_EXCEEDED);
});

test('health: a watcher hears of changes, and one that reads nothing is told the last of them', async t => {
  const gone = await upstreamFor(t);
  await gone.close();
  const rig = await startRig(t, [{ address: gone.address, services: ['a.A'] }]);
  const { registry } = rig.mesh;
  const caller = await rig.caller();
  const watch = (): number => {
    const stream = caller.stream();
    caller.send(
      headers(stream, encode(request(`${HEALTH}/Watch`))),
      data(stream, message(ask('a.A')), Flag.END_STREAM),
    );
    return stream;
  };
  const stream = watch();
  await until(() => told(caller, stream).length === 1);
  const lazy = await rig.caller({ settings: [[Setting.INITIAL_WINDOW_SIZE, 0]], credits: false });
  const stalled = lazy.stream();
  lazy.send(
    headers(stalled, encode(request(`${HEALTH}/Watch`))),
    data(stalled, message(ask('a.A')), Flag.END_STREAM),
  );
  await lazy.roundTrip();
  const observe = (phase: 'ejected' | 'warming') =>
    registry.propose(
      { kind: 'observe', id: 'a', observation: { phase, healthy: phase === 'warming' } },
      'the test',
    );
  for (let n = 0; n < 10; n++) {
    await observe('ejected');
    await observe('warming');
  }
  await observe('ejected');
  await until(() => told(caller, stream).length === 22);
  lazy.send(windowUpdate(0, 1_000), windowUpdate(stalled, 1_000));
  await until(() => told(lazy, stalled).length === 2);
  await lazy.roundTrip();
  assert.deepEqual(told(lazy, stalled), [Serving.SERVING, Serving.NOT_SERVING]);
  caller.send(reset(stream, Code.CANCEL));
  lazy.send(reset(stalled, Code.CANCEL));
  const last = watch();
  await until(() => told(caller, last).length === 1);
  await rig.close();
  const outcome = await caller.outcome(last);
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.deepEqual(told(caller, last), [Serving.NOT_SERVING]);
});

test('health: a watcher of a service that nobody serves is told so, and when that changes', async t => {
  const rig = await startRig(t, []);
  const caller = await rig.caller();
  const stream = caller.stream();
  caller.send(
    headers(stream, encode(request(`${HEALTH}/Watch`))),
    data(stream, message(ask('a.A')), Flag.END_STREAM),
  );
  await until(() => told(caller, stream).length === 1);
  const spec = { id: 'a', address: '127.0.0.1:1', services: ['a.A'], weight: 1, zone: '', labels: {} };
  await rig.mesh.registry.propose(
    { kind: 'claim', source: 'operator', spec: { ...spec, maxConcurrency: 0, standby: false } },
    'the test',
  );
  await until(() => told(caller, stream).length === 2);
  assert.deepEqual(told(caller, stream), [Serving.SERVICE_UNKNOWN, Serving.SERVING]);
  caller.send(reset(stream, Code.CANCEL));
});

test('health: a drain is told to watchers, and they do not hold it up', async t => {
  const rig = await startRig(t, []);
  const caller = await rig.caller();
  const stream = caller.stream();
  caller.send(
    headers(stream, encode(request(`${HEALTH}/Watch`))),
    data(stream, message(ask('')), Flag.END_STREAM),
  );
  await until(() => told(caller, stream).length === 1);
  const from = performance.now();
  await rig.close();
  assert.deepEqual(told(caller, stream), [Serving.SERVING, Serving.NOT_SERVING]);
  assert.equal((await caller.outcome(stream)).grpcStatus, Status.UNAVAILABLE);
  assert.ok(performance.now() - from < 5_000);
});

test('reflection: the backends of the service that is named, else those for any service', async t => {
  const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const [named, any] = [await upstreamFor(t), await upstreamFor(t)];
  const one = { address: named.address, services: ['a.A'] };
  const rig = await startRig(t, [one]);
  const caller = await rig.caller();
  const outcome = await caller.call(request(REFLECTION));
  assert.deepEqual(
    [outcome.grpcStatus, outcome.grpcMessage],
    [Status.UNIMPLEMENTED, 'no backend serves grpc.reflection.v1.ServerReflection'],
  );
  await rig.configure({ proxy: { reflection: 'a.A' } });
  assert.equal((await caller.call(request(REFLECTION))).grpcStatus, Status.OK);
  assert.equal(named.counts.streams, 1);
  const other = await startRig(t, [one, any.address]);
  assert.equal((await (await other.caller()).call(request(REFLECTION))).grpcStatus, Status.OK);
  assert.equal(any.counts.streams, 1);
});

const report = (utilization: number): string =>
  Buffer.from(
    OrcaLoadReport.encode(
      OrcaLoadReport.fromPartial({ applicationUtilization: utilization, rpsFractional: 100 }),
    ).finish(),
  ).toString('base64');

test('load reports of calls: some are enough, none of a backend that streams them, and callers see none', async t => {
  let trailer = report(0.25);
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      peer.send(headers(stream, encode(RESPONSE)));
      peer.sendHeaders(
        stream,
        [...OK, ['endpoint-load-metrics-bin', trailer], ['x-kept', '1']],
        Flag.END_STREAM,
      );
    },
  });
  const rig = await startRig(t, [upstream.address]);
  const { loads, registry } = rig.mesh;
  const caller = await rig.caller();
  const { trailers } = await caller.call();
  assert.deepEqual(trailers, { 'grpc-status': '0', 'x-kept': '1' });
  const slot = rig.mesh.slotOf('a');
  assert.equal(loads.utilization[slot], 0.25);
  const reports = loads.reports;
  for (let n = 0; n < 20; n++) await caller.call();
  assert.equal(loads.reports, reports);
  await new Promise(resolve => setTimeout(resolve, 300));
  trailer = '%%%';
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  const spec = registry.get('a')?.spec;
  await registry.propose({ kind: 'claim', source: 'stream', spec } as never, 'the test');
  assert.ok(registry.get('a')?.sources.includes('stream'));
  await new Promise(resolve => setTimeout(resolve, 300));
  trailer = report(0.9);
  await caller.call();
  assert.notEqual(loads.utilization[slot], 0.9);
});

test("callers without a zone of their own are in the instance's", async t => {
  const [near, far] = [await upstreamFor(t), await upstreamFor(t)];
  const servers = [
    { address: far.address, zone: 'z2', weight: 1.2 },
    { address: near.address, zone: 'z1' },
  ];
  const settings = { instance: { zone: 'z1' }, pools: [{ service: '*', zoneFactor: 100 }] };
  const rig = await startRig(t, servers, settings);
  const caller = await rig.caller();
  for (let n = 0; n < 10; n++) await caller.call();
  assert.deepEqual([near.counts.streams, far.counts.streams], [10, 0]);
  for (let n = 0; n < 10; n++) await caller.call(request(undefined, [['heapmesh-zone', 'z2']]));
  assert.deepEqual([near.counts.streams, far.counts.streams], [10, 10]);
});

test('one hash key, one backend', async t => {
  const all = [await upstreamFor(t), await upstreamFor(t), await upstreamFor(t)];
  const rig = await startRig(
    t,
    all.map(({ address }) => address),
  );
  const caller = await rig.caller();
  for (let n = 0; n < 100; n++) await caller.call();
  const before = all.map(({ counts }) => counts.streams);
  for (let n = 0; n < 30; n++) await caller.call(request(undefined, [['heapmesh-hash-key', 'k']]));
  const more = all.map(({ counts }, i) => counts.streams - (before[i] ?? 0));
  assert.deepEqual(more.toSorted(), [0, 0, 30].toSorted());
});
