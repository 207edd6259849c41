/** Findings of pools: none there, too few, uneven, streams that stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, upstreamFor } from '../../proxy/rig.ts';
import { request } from '../../support/h2/caller.ts';
import { encode } from '../../support/h2/hpack.ts';
import { type Arrival, answerOk, RESPONSE } from '../../support/h2/upstream.ts';
import { Code, headers, reset } from '../../support/h2/wire.ts';
import { after, assertFound, keepCalling, POOL, startFindings } from './rig.ts';

const on = (address: string) => ({ address, services: [POOL] });

test('no-backend: all are out, with the reason of each, and calls are refused', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startFindings(t, [on(upstream.address)]);
  const caller = await rig.caller();
  await caller.call();
  await rig.steps(4);
  assert.deepEqual(await rig.found('no-backend'), []);
  await upstream.close();
  await caller.call();
  await caller.call();
  await until(() => rig.mesh.registry.get('a')?.state === 'EJECTED');
  await rig.steps(6, 40, () => caller.call());
  assertFound(await rig.found('no-backend'), {
    key: POOL,
    severity: 'critical',
    detail: /^No backend of test\.v1\.Test takes calls, and [\d.]+ a second fail: a is EJECTED \(.+\)/,
    advice: /network/,
  });
});

test('too-few-backends: all are busy, and a standby would help', async t => {
  const [a, b] = await Promise.all([1, 2].map(() => upstreamFor(t)));
  const spare = { ...on('127.0.0.1:9'), id: 'spare', standby: true };
  const rig = await startFindings(t, [spare]);
  const one = await rig.reporting('one', a?.address ?? '');
  const two = await rig.reporting('two', b?.address ?? '');
  const say = (utilization: number) => () => {
    one.report(utilization);
    two.report(utilization + 0.04);
  };
  await rig.steps(5, 40, say(0.7));
  assert.deepEqual(await rig.found('too-few-backends'), []);
  rig.afresh();
  await rig.steps(5, 40, say(0.95));
  assertFound(await rig.found('too-few-backends'), {
    key: POOL,
    severity: 'critical',
    detail: /^test\.v1\.Test has too few backends: for \d+ s its 2 backends use 97 % of what they may use\./,
    advice: /About 1 more.*`heapmesh servers activate spare`.*scaling: \{ threshold: 0\.8/,
  });
});

test('too-few-backends: each has as many calls as it takes, and the rest is refused', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const rig = await startFindings(t, [{ ...on(upstream.address), maxConcurrency: 2 }]);
  const caller = await rig.caller();
  const calls = [caller.call(), caller.call()];
  await until(() => held.length === 2);
  await rig.steps(4);
  assert.deepEqual(await rig.found('too-few-backends'), []);
  await rig.steps(6, 40, () => caller.call());
  assertFound(await rig.found('too-few-backends'), {
    key: POOL,
    severity: 'critical',
    detail: /each has as many calls in flight as it takes, and .* a second are refused/,
    advice: /standby: true/,
  });
  for (const arrival of held) answerOk(arrival);
  await Promise.all(calls);
});

test('uneven-spread: callers of one zone, and a slow backend that rightly gets less', async t => {
  let slow = 2;
  const upstreams = await Promise.all([
    upstreamFor(t, { onStream: after(2) }),
    upstreamFor(t, { onStream: arrival => after(slow)(arrival) }),
  ]);
  const zoned = upstreams.map(({ address }, n) => ({ ...on(address), zone: `z${n + 1}` }));
  const rig = await startFindings(t, zoned, { pools: [{ service: '*', zoneFactor: 1000 }] });
  const caller = await rig.caller();
  const even = keepCalling(() => caller.call(), 4);
  await rig.steps(8);
  await even();
  assert.deepEqual(await rig.found('uneven-spread'), []);
  rig.afresh();
  // One at a time: as long as it warms up, a server takes no more than a few at once.
  const stop = keepCalling(() => caller.call(request(undefined, [['heapmesh-zone', 'z1']])), 1);
  await rig.steps(20);
  await stop();
  assertFound(await rig.found('uneven-spread'), {
    key: POOL,
    severity: 'warning',
    detail:
      /^Of the picks of test\.v1\.Test, \d+ % go to a, whose share is 50 %: callers are in zone z1, and b is elsewhere \(z2\)/,
    advice: /Add backends in z1, or lower `pools\[\]\.zoneFactor`/,
  });

  const same = await startFindings(
    t,
    upstreams.map(({ address }) => on(address)),
  );
  slow = 40;
  const other = await same.caller();
  const again = keepCalling(() => other.call(), 4);
  await same.steps(12, 60);
  await again();
  assertFound(await same.found('uneven-spread'), {
    key: POOL,
    severity: 'info',
    detail: /go to a, whose share is 50 %: b takes \d+ ms, it takes [\d.]+ ms/,
    advice: /that is what balancing by load is for/,
  });
});

test('pinned-streams: they stay where they were opened, and who comes later has none', async t => {
  const open: Arrival[] = [];
  const onStream = (arrival: Arrival): void => {
    open.push(arrival);
    arrival.peer.send(headers(arrival.stream, encode(RESPONSE)));
  };
  const [a, b] = await Promise.all([1, 2].map(() => upstreamFor(t, { onStream })));
  const rig = await startFindings(t, [on(a?.address ?? '')]);
  const caller = await rig.caller();
  const streams = Array.from({ length: 12 }, () => caller.open());
  await until(() => open.length === 12);
  await rig.steps(3);
  assert.deepEqual(await rig.found('pinned-streams'), []);
  const spec = { id: 'late', address: b?.address ?? '', services: [POOL], weight: 1, zone: '', labels: {} };
  const body = {
    kind: 'claim',
    source: 'operator',
    spec: { ...spec, maxConcurrency: 0, standby: false },
  } as const;
  await rig.mesh.registry.propose(body, 'a test');
  rig.afresh();
  await rig.steps(5);
  assertFound(await rig.found('pinned-streams'), {
    key: POOL,
    severity: 'warning',
    detail:
      /^12 calls of the 12 that are open for test\.v1\.Test are at a, whose share would be 6\. Only 0 calls began/,
    advice: /pools\[\]\.maxStreamAge/,
  });
  for (const stream of streams) caller.send(reset(stream, Code.CANCEL));
});
