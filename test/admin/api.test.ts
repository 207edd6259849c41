/** What the console reads and does, on a whole balancer with calls through its proxy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRig, until, upstreamFor } from '../proxy/rig.ts';
import { PATH, request } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import { answerOk, okFrames, RESPONSE } from '../support/h2/upstream.ts';
import { Flag, headers } from '../support/h2/wire.ts';
import { ask } from './raw.ts';

async function get(address: string, path: string) {
  const answer = await ask(address, `GET ${path}`);
  assert.equal(answer.status, 200, `${path}: ${answer.body}`);
  return JSON.parse(
    answer.headers.get('transfer-encoding') === 'chunked' ? unchunked(answer.body) : answer.body,
  );
}

/** RFC 9112 section 7.1. */
function unchunked(body: string): string {
  let text = '';
  let rest = body;
  for (;;) {
    const [line = ''] = rest.split('\r\n', 1);
    const length = Number.parseInt(line, 16);
    if (!(length > 0)) return text;
    text += rest.slice(line.length + 2, line.length + 2 + length);
    rest = rest.slice(line.length + 2 + length + 2);
  }
}

async function post(address: string, action: string, body: unknown) {
  const headers = { 'content-type': 'application/json' };
  const answer = await ask(address, `POST /api/servers/${action}`, headers, JSON.stringify(body));
  return { status: answer.status, ...(JSON.parse(answer.body) as { id?: string; error?: string }) };
}

test('servers are changed from here as by the control API, and say why', async t => {
  const rig = await startRig(t, [{ address: '127.0.0.1:1', services: ['a.B'] }]);
  const { admin } = rig.addresses;
  const stateOf = (id: string) => rig.mesh.registry.get(id)?.state;
  assert.deepEqual(await post(admin, 'drain', { id: 'a', cause: 'new kernel', timeoutMs: 60_000 }), {
    status: 200,
    id: 'a',
  });
  assert.equal(stateOf('a'), 'DRAINING');
  assert.match(rig.mesh.registry.get('a')?.cause ?? '', /new kernel/);
  assert.equal(rig.mesh.registry.get('a')?.drain?.timeoutMs, 60_000);
  assert.equal((await post(admin, 'undrain', { id: 'a' })).status, 200);
  assert.equal(stateOf('a'), 'WARMING');
  assert.equal((await post(admin, 'weight', { id: 'a', weight: 0.5 })).status, 200);
  assert.equal(rig.mesh.registry.get('a')?.spec.weight, 0.5);
  const added = await post(admin, 'add', {
    address: '127.0.0.1:2',
    services: ['a.B'],
    standby: true,
    zone: 'z1',
    maxConcurrency: 7,
  });
  assert.deepEqual(added, { status: 200, id: '127.0.0.1:2' });
  assert.equal(stateOf('127.0.0.1:2'), 'STANDBY');
  assert.equal((await post(admin, 'activate', { id: '127.0.0.1:2', cause: 'more calls' })).status, 200);
  assert.equal(stateOf('127.0.0.1:2'), 'WARMING');
  assert.equal((await post(admin, 'remove', { id: '127.0.0.1:2' })).status, 200);
  assert.equal(stateOf('127.0.0.1:2'), undefined);

  for (const [action, body, status, error] of [
    ['drain', { id: 'nobody' }, 404, /no server has the id 'nobody'/],
    ['drain', { id: 'a', timeout: 1 }, 400, /'timeout' is no field/],
    ['drain', { id: 5 }, 400, /id: expected a string/],
    ['drain', [], 400, /no JSON object/],
    ['weight', { id: 'a', weight: -1 }, 400, /weight/],
    ['add', { address: 'x', services: ['a.B'] }, 400, /address/],
    ['add', { address: '127.0.0.1:1', id: 'a', services: ['a B'] }, 400, /services/],
    ['add', { address: '127.0.0.1:9', id: 'a', services: ['a.B'] }, 409, /./],
    ['activate', { id: 'a' }, 409, /./],
  ] as const) {
    const got = await post(admin, action, body);
    assert.equal(got.status, status, `${action} ${JSON.stringify(body)}: ${got.error}`);
    assert.match(got.error ?? '', error);
  }
  const broken = await ask(admin, 'POST /api/servers/drain', { 'content-type': 'application/json' }, '{"id"');
  assert.equal(broken.status, 400);
  const cause = await get(admin, '/api/events?most=1');
  assert.equal(cause.events.length, 1);
});

test('state, heap, servers, calls and connections as JSON', async t => {
  const later: (() => void)[] = [];
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      const { peer, stream, nth } = arrival;
      if (nth === 1)
        peer.send(
          headers(
            stream,
            encode([...RESPONSE, ['grpc-status', '13'], ['grpc-message', 'broken']]),
            Flag.END_STREAM | Flag.END_HEADERS,
          ),
        );
      else if (nth === 2) later.push(() => peer.send(...okFrames(stream)));
      else answerOk(arrival);
    },
  });
  const traceLink = 'http://127.0.0.1:16686/trace/{traceId}';
  const rig = await startRig(t, [upstream.address], { admin: { traceLink } });
  const { admin } = rig.addresses;
  const caller = await rig.caller();
  const failed = await caller.call();
  assert.equal(failed.grpcStatus, 13);
  const slow = caller.call();
  await until(() => later.length === 1);
  const open = await get(admin, '/api/connections');
  assert.equal(open.callersInAll, 1);
  assert.deepEqual([open.callers[0].streams, open.callers[0].draining], [1, false]);
  assert.match(open.callers[0].address, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual([open.upstreams[0].serverId, open.upstreams[0].state], ['a', 'open']);
  assert.deepEqual(
    [open.calls[0].path, open.calls[0].serverId, open.calls[0].requestMessages],
    [PATH, 'a', 1],
  );
  await sleep(60);
  later[0]?.();
  assert.equal((await slow).grpcStatus, 0);
  assert.equal((await caller.call()).grpcStatus, 0);

  const { calls } = await get(admin, '/api/calls');
  assert.deepEqual(
    calls.map((call: { status: string; why: string; serverId: string }) => [
      call.status,
      call.why,
      call.serverId,
    ]),
    [
      ['INTERNAL', 'failed', 'a'],
      ['OK', 'slow', 'a'],
    ],
  );
  assert.ok(calls[1].durationMs >= 50);
  assert.deepEqual((await get(admin, `/api/calls?after=${calls[1].n}`)).calls, []);

  const state = await get(admin, '/api/state');
  assert.deepEqual([state.instance.id, state.writes, state.traceLink], ['lb-1', true, traceLink]);
  assert.equal(state.pools[0].service, '*');
  assert.equal(state.totals.connections, 1);
  const heap = await get(admin, '/api/heap?service=any.Thing&most=1000000');
  assert.deepEqual([heap.service, heap.size, heap.nodes[0].id], ['*', 1, 'a']);
  const { backends } = await get(admin, '/api/backends?service=*');
  assert.deepEqual([backends.length, backends[0].id, backends[0].load.relayed], [1, 'a', 0]);
  for (const [path, status] of [
    ['/api/heap?service=*&zone=z', 404],
    ['/api/events?after=x', 400],
  ] as const) {
    assert.equal((await ask(admin, `GET ${path}`)).status, status, path);
  }
});

test('nothing is changed where the configuration forbids it, and a reload takes effect', async t => {
  const rig = await startRig(t, ['127.0.0.1:1'], { admin: { allowWrites: false } });
  const { admin } = rig.addresses;
  assert.equal((await post(admin, 'drain', { id: 'a' })).status, 403);
  assert.equal((await get(admin, '/api/state')).writes, false);
  await rig.configure({ admin: { allowWrites: true, allowedHosts: ['mesh.example'] } });
  assert.equal((await post(admin, 'drain', { id: 'a' })).status, 200);
  assert.equal((await ask(admin, 'GET /api/state', { host: 'mesh.example' })).status, 200);
});

test('a call that failed has its own trace, also where it was recorded only at its end, and no other', async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) =>
      peer.send(
        headers(stream, encode([...RESPONSE, ['grpc-status', '13']]), Flag.END_STREAM | Flag.END_HEADERS),
      ),
  });
  const traces = { endpoint: 'http://127.0.0.1:1', sampleRatio: 0 };
  const rig = await startRig(t, [upstream.address], { telemetry: { traces } });
  const caller = await rig.caller();
  // One after the other: each takes the place of the one before.
  const fail = (trace: string, flags: string) =>
    caller.call(request(PATH, [['traceparent', `00-${trace.repeat(32)}-${'b'.repeat(16)}-${flags}`]]));
  await fail('1', '01');
  await fail('2', '00');
  await rig.configure({ telemetry: { traces: { ...traces, alwaysErrors: true } } });
  await fail('3', '00');
  const { calls } = await get(rig.addresses.admin, '/api/calls');
  assert.deepEqual(
    calls.map((call: { traceId: string }) => call.traceId),
    ['1'.repeat(32), '', '3'.repeat(32)],
  );
});
