/** A pool's policy comes from the configuration, and changes with it while calls are open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegistryEvent } from '../../src/core/events.ts';
import { startRig, until, upstreamFor } from '../proxy/rig.ts';
import { Code, reset } from '../support/h2/wire.ts';

test('a reload changes the policy: leases and loads stay, and WatchEvents tells', async t => {
  const a = await upstreamFor(t);
  const b = await upstreamFor(t);
  const rig = await startRig(t, [a.address, b.address], { pools: [{ service: '*', policy: 'round-robin' }] });
  const events: RegistryEvent[] = [];
  rig.mesh.registry.onEvent(event => events.push(event));
  const pool = rig.mesh.pool('any.Service');
  assert.equal(pool?.policyName, 'round-robin');
  const caller = await rig.caller();
  for (let n = 0; n < 10; n++) await caller.call();
  assert.equal(a.counts.streams, 5);
  assert.equal(b.counts.streams, 5);
  const held = caller.open();
  await until(() => rig.mesh.leases.open === 1);
  await rig.configure({ pools: [{ service: '*', policy: 'p2c' }] });
  assert.equal(pool?.policyName, 'p2c');
  assert.equal(rig.mesh.leases.open, 1, 'the open call is still counted');
  await caller.call();
  await rig.configure({ pools: [] });
  assert.equal(pool?.policyName, 'least-load');
  const told = events.filter(event => event.kind === 'policy_changed').map(event => event.cause);
  assert.deepEqual(told, [
    'the configuration says p2c in place of round-robin',
    'the configuration says least-load in place of p2c',
  ]);
  caller.send(reset(held, Code.CANCEL));
});
