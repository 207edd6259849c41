/** Findings of backends: failing, slow, saturated, silent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, upstreamFor } from '../../proxy/rig.ts';
import { type Arrival, answerOk, RESPONSE } from '../../support/h2/upstream.ts';
import { Flag } from '../../support/h2/wire.ts';
import { after, assertFound, keepCalling, POOL, startFindings } from './rig.ts';

const on = (address: string) => ({ address, services: [POOL] });

test('a mesh that does well: nothing is found', async t => {
  const upstreams = await Promise.all([1, 2, 3].map(() => upstreamFor(t, { onStream: after(3) })));
  const rig = await startFindings(t, []);
  const reporting = await Promise.all(upstreams.map(({ address }, n) => rig.reporting(`r${n}`, address)));
  const caller = await rig.caller();
  const stop = keepCalling(() => caller.call(), 6);
  await rig.steps(10, 40, () => reporting.forEach(each => void each.report(0.4)));
  await stop();
  assert.deepEqual(await rig.names(), []);
});

test('backend-failing: one that fails a third of its calls, and fast', async t => {
  let failing = false;
  const bad = ({ nth, ...arrival }: Arrival): void => {
    if (!failing || nth % 3 !== 0) after(8)({ nth, ...arrival });
    else arrival.peer.sendHeaders(arrival.stream, [...RESPONSE, ['grpc-status', '14']], Flag.END_STREAM);
  };
  const a = await upstreamFor(t, { onStream: bad });
  const b = await upstreamFor(t, { onStream: after(8) });
  const rig = await startFindings(t, [on(a.address), on(b.address)]);
  const caller = await rig.caller();
  const stop = keepCalling(() => caller.call(), 6);
  await rig.steps(6);
  assert.deepEqual(await rig.found('backend-failing'), []);
  failing = true;
  rig.afresh();
  await rig.steps(16);
  await stop();
  assertFound(await rig.found('backend-failing'), {
    key: 'a',
    severity: 'warning',
    detail: /^a failed \d+ calls in \d+ s, \d+ % of what it got.*; picks keep away from it\.$/,
    advice: /`heapmesh drain a` takes it out/,
  });
});

test('backend-slow: one that takes many times as long as the others', async t => {
  let delay = 3;
  const a = await upstreamFor(t, { onStream: arrival => after(delay)(arrival) });
  const others = await Promise.all([1, 2].map(() => upstreamFor(t, { onStream: after(3) })));
  const rig = await startFindings(
    t,
    [a, ...others].map(({ address }) => on(address)),
  );
  const caller = await rig.caller();
  const stop = keepCalling(() => caller.call(), 9);
  await rig.steps(6);
  assert.deepEqual(await rig.found('backend-slow'), []);
  delay = 60;
  rig.afresh();
  await rig.steps(8, 150);
  await stop();
  assertFound(await rig.found('backend-slow'), {
    key: 'a',
    severity: 'warning',
    detail: /^a takes \d+ ms for half of its calls of test\.v1\.Test, the others \d+(\.\d)? ms/,
    advice: /`heapmesh drain a`/,
  });
});

test('backend-saturated: one at its end while its pool has room; one at its max_concurrency', async t => {
  const [a, b] = await Promise.all([1, 2].map(() => upstreamFor(t)));
  const rig = await startFindings(t, []);
  const full = await rig.reporting('full', a?.address ?? '');
  const idle = await rig.reporting('idle', b?.address ?? '');
  const say = (most: number) => () => {
    full.report(most);
    idle.report(0.3);
  };
  await rig.steps(5, 40, say(0.85));
  assert.deepEqual(await rig.found('backend-saturated'), []);
  rig.afresh();
  await rig.steps(5, 40, say(0.97));
  assertFound(await rig.found('backend-saturated'), {
    key: 'full',
    severity: 'warning',
    detail: /^full uses 97 % of what it may use, while test\.v1\.Test as a whole uses 6\d %/,
    advice: /`heapmesh servers weight full 0\.5`/,
  });

  const held: Arrival[] = [];
  const c = await upstreamFor(t, { onStream: arrival => void held.push(arrival) });
  const limited = await startFindings(t, [{ ...on(c.address), maxConcurrency: 3 }]);
  const caller = await limited.caller();
  const calls = Array.from({ length: 3 }, () => caller.call());
  await until(() => held.length === 3);
  await limited.steps(4);
  assertFound(await limited.found('backend-saturated'), {
    key: 'a',
    severity: 'warning',
    detail: /^a has 3 calls in flight, as many as its max_concurrency of 3 allows/,
    advice: /more backends are wanted/,
  });
  for (const arrival of held) answerOk(arrival);
  await Promise.all(calls);
});

test('stale-reports: one that has fallen silent, and all of them', async t => {
  const [a, b] = await Promise.all([1, 2].map(() => upstreamFor(t)));
  const rig = await startFindings(t, []);
  const one = await rig.reporting('one', a?.address ?? '');
  const two = await rig.reporting('two', b?.address ?? '');
  await rig.steps(6, 100, () => {
    one.report(0.3);
    two.report(0.3);
  });
  assert.deepEqual(await rig.found('stale-reports'), []);
  await rig.steps(6, 100, () => two.report(0.3));
  assertFound(await rig.found('stale-reports'), {
    key: 'one',
    severity: 'warning',
    detail: /^one has not reported its load for \d+ ms; it used to each \d+ ms/,
    advice: /reporter runs/,
  });
  await rig.steps(10, 60);
  assertFound(await rig.found('stale-reports'), {
    key: '',
    severity: 'critical',
    detail: /^None of the 2 backends that report has done so for \d+ ms/,
    advice: /network to the control port/,
  });
});
