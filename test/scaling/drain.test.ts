/** Drains on real processes: calls finish, streams are asked to move, leases are waited for, and nothing fails. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { createPickClient } from '../../src/client/client.ts';
import { heapmesh } from '../cli/harness.ts';
import { callBy, callerOf, SERVICE, startBackend, startBalancer, until } from './rig.ts';

test('by an operator: no more picks at once, calls finish, streams end when the time is over', async t => {
  const balancer = await startBalancer(t, { provider: 'none' });
  const { mesh, addresses } = balancer;
  await startBackend(t, balancer, 'a');
  const { call, chat } = callerOf(t, balancer);
  const slow = call(1_500);
  const stream = chat();
  await until(() => stream.heard.length > 0, 'the stream open');
  await startBackend(t, balancer, 'b');
  const from = performance.now();
  const drained = heapmesh(['drain', 'a', '--timeout', '600ms', '--control', addresses.control]);
  await until(() => mesh.registry.get('a')?.state === 'DRAINING', 'a draining');
  for (let n = 0; n < 20; n++) assert.equal(await call(), 'b');
  assert.equal((await drained).code, 0);
  const { code, details } = await stream.ended;
  const tookMs = performance.now() - from;
  assert.ok(tookMs >= 590 && tookMs < 1_400, `${tookMs}`);
  assert.equal(code, grpc.status.UNAVAILABLE);
  assert.match(
    details,
    /^backend a \(127\.0\.0\.1:\d+\) is draining, and its 0\.6 s are over: open the stream again$/,
  );
  assert.equal(mesh.registry.get('a')?.drain?.empty, true);
  assert.match(mesh.registry.get('a')?.cause ?? '', /^drained for 0\.6 s$/);
  const again = chat();
  await until(() => again.heard.length > 0, 'the stream elsewhere');
  assert.equal(again.heard[0], 'b');
  assert.equal(await slow, 'a', 'a call in flight is not cut off');
});

test('a lease is waited for, and the one who waits by the command is told when the server is empty', async t => {
  const balancer = await startBalancer(t, { provider: 'none' });
  const { mesh, addresses } = balancer;
  await startBackend(t, balancer, 'a');
  const picks = createPickClient({ balancers: [addresses.control], service: SERVICE });
  t.after(() => picks.close());
  const { lease, server } = await picks.pick();
  const direct = new grpc.Client(server.address, grpc.credentials.createInsecure());
  t.after(() => direct.close());
  const answered = callBy(direct)(1_500);
  let done = false;
  const waiting = heapmesh(['drain', 'a', '--timeout', '20s', '--wait', '--control', addresses.control]);
  void waiting.then(() => {
    done = true;
  });
  await until(() => mesh.registry.get('a')?.state === 'DRAINING', 'a draining');
  await sleep(700);
  assert.deepEqual([done, mesh.registry.get('a')?.drain?.empty], [false, false]);
  assert.equal(await answered, 'a');
  lease.complete();
  const { code, stdout } = await waiting;
  assert.equal(code, 0);
  assert.match(stdout, /^a is drained: no call in flight$/m);
  await until(() => mesh.registry.get('a')?.drain?.empty === true, 'known to be empty');
  assert.match(mesh.registry.get('a')?.cause ?? '', /no calls in flight any more$/);
});

test('by SIGTERM: the process ends after its last call, and no call fails meanwhile', async t => {
  const balancer = await startBalancer(t, { provider: 'none' });
  const a = await startBackend(t, balancer, 'a');
  const { call } = callerOf(t, balancer);
  const slow = call(1_200);
  await startBackend(t, balancer, 'b');
  let going = true;
  const others = (async () => {
    let count = 0;
    for (; going; count++) await call();
    return count;
  })();
  await sleep(100);
  const gone = once(a.process, 'exit');
  a.process.kill('SIGTERM');
  await until(() => balancer.mesh.registry.get('a')?.state === 'DRAINING', 'a draining');
  assert.equal(await slow, 'a');
  assert.deepEqual(await gone, [0, null]);
  assert.equal(await call(), 'b');
  going = false;
  assert.ok((await others) > 10);
  assert.equal(balancer.mesh.registry.get('a'), undefined);
});
