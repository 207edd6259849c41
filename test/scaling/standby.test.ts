/** The rule of the mission on real processes: a server is over the threshold, or fails, and a standby joins as root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heapmesh as run } from '../cli/harness.ts';
import { callerOf, SERVICE, startBackend, startBalancer, until } from './rig.ts';

const RULE = {
  threshold: 0.8,
  for: '300ms',
  cooldown: '600ms',
  max: 2,
  scaleIn: { below: 0.3, for: '500ms' },
};

test('over the threshold: one standby joins as the root, not one for each that is over; later it goes again', async t => {
  const balancer = await startBalancer(t, RULE);
  const { mesh, addresses } = balancer;
  const [a, b, s1, s2] = await Promise.all([
    startBackend(t, balancer, 'a'),
    startBackend(t, balancer, 'b'),
    startBackend(t, balancer, 's1', 'standby'),
    startBackend(t, balancer, 's2', 'standby'),
  ]);
  assert.ok(a && b && s1 && s2);
  const state = (id: string) => mesh.registry.get(id)?.state;
  assert.deepEqual([state('s1'), state('s2')], ['STANDBY', 'STANDBY']);
  const { call } = callerOf(t, balancer);
  for (const served = new Set<string>(); served.size < 2; ) served.add(await call());
  // Both are over, which one more relieves.
  a.says(0.95);
  b.says(0.9);
  await until(() => state('s1') === 'WARMING', 's1 in service');
  assert.match(
    mesh.registry.get('s1')?.cause ?? '',
    /^[ab] is at 9\d % and has been over the threshold 80 % for \d\.\d s; mean of the pool 9\d %$/,
  );
  assert.deepEqual(
    mesh
      .pool(SERVICE)
      ?.heap(mesh.now())
      .nodes.map(({ slot, newcomer }) => [mesh.idOf(slot), newcomer])[0],
    ['s1', true],
  );
  await until(() => s1.told.length === 1, 's1 told');
  assert.deepEqual(s1.told, ['activate']);
  assert.equal(await call(), 's1', 'it is picked first');
  for (const one of [a, b, s1]) one.says(0.6);
  await until(() => Math.abs((mesh.loads.utilization[mesh.slotOf('a')] as number) - 0.6) < 0.01, 'relief');
  await new Promise(resolve => setTimeout(resolve, 1_000));
  assert.equal(state('s2'), 'STANDBY');

  // Quiet again: the last one that was added drains, is told so, and waits again.
  for (const one of [a, b, s1]) one.says(0.1);
  await until(() => state('s1') === 'STANDBY', 's1 a standby again');
  assert.deepEqual(s1.told, ['activate', 'drain']);

  // A second time: the same membership is overloaded again, and is answered again.
  for (const one of [a, b]) one.says(0.9);
  await until(() => state('s1') === 'WARMING' || state('s2') === 'WARMING', 'one more');

  const shown = await run(['scaling', '--control', addresses.control]);
  assert.equal(shown.code, 0);
  assert.match(
    shown.stdout,
    /^One more by standby where a server fails, or is over 80 % for 0\.3 s; cool-down 0\.6 s, at most 2\./,
  );
  assert.match(shown.stdout, /echo\.v1\.EchoService +\d\d %/);
  assert.match(shown.stdout, /add, load +s1 .*activated the standby s1/);
  assert.match(shown.stdout, /drain +s1 .*s1 drains; it is a standby again then/);
  const { decisions, pools, provider } = JSON.parse(
    (await run(['scaling', '--control', addresses.control, '-o', 'json'])).stdout,
  );
  assert.equal(provider, 'standby');
  assert.equal(pools[0].service, SERVICE);
  assert.deepEqual(
    decisions.map((one: { kind: string; done: boolean }) => [one.kind, one.done]),
    [
      ['add', true],
      ['drain', true],
      ['add', true],
    ],
  );
});

test('a server that is killed is replaced once and at once, and one that stops answering too', async t => {
  // Nothing here is for load.
  const balancer = await startBalancer(t, { ...RULE, for: '1h', scaleIn: { below: 0 } });
  const { mesh } = balancer;
  const [a, b] = await Promise.all([
    startBackend(t, balancer, 'a'),
    startBackend(t, balancer, 'b'),
    startBackend(t, balancer, 's1', 'standby'),
    startBackend(t, balancer, 's2', 'standby'),
    startBackend(t, balancer, 's3', 'standby'),
  ]);
  assert.ok(a && b);
  const states = () => ['s1', 's2', 's3'].map(id => mesh.registry.get(id)?.state);
  a.process.kill('SIGKILL');
  await until(() => states()[0] === 'WARMING', 's1 in service');
  assert.equal(mesh.registry.get('s1')?.cause, 'a fails');
  // Its ejection is one failure, whatever becomes of its claim.
  await until(() => mesh.registry.get('a')?.sources.length === 0, 'a lost');
  await new Promise(resolve => setTimeout(resolve, 1_200));
  assert.deepEqual(states(), ['WARMING', 'STANDBY', 'STANDBY']);
  b.process.kill('SIGKILL');
  await until(() => states()[1] === 'WARMING', 's2 in service');
  await new Promise(resolve => setTimeout(resolve, 700));
  assert.equal(states()[2], 'STANDBY', 'two is the most');
});
