/** Warm-up against what went wrong with the slow start of others; the numbers are of their issues. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaseKind } from '../../src/core/load-table.ts';
import { WARMUP, warmupCap } from '../../src/core/warmup.ts';
import { Rig, spec } from './rig.ts';

/** Warm servers with so many calls in flight each. */
function busyRig(servers: number, each: number): Rig {
  const rig = new Rig({ random: () => 0 });
  for (let i = 0; i < servers; i++) rig.addWarm(spec(`w${i}`));
  for (let n = 0; n < servers * each; n++) rig.pick();
  rig.advance(500);
  return rig;
}

/** Picks until a server has no more room by its cap; what it has in flight then. */
function fill(rig: Rig, slot: number): number {
  for (let n = 0; n < 60; n++) rig.pick();
  return rig.mesh.loads.own(slot);
}

/** Calls on a server are served, so many, one after the other. */
function serve(rig: Rig, slot: number, count: number): void {
  for (let n = 0; n < count; n++) {
    const lease = rig.mesh.leases.begin(rig.mesh.loads, slot, rig.pool.id, LeaseKind.RELAYED, rig.now);
    rig.complete(lease);
  }
}

test('the window passes without traffic (envoy #29008): the first wave finds a server that is cold still', () => {
  const rig = busyRig(4, 10);
  const slot = rig.add(spec('new'));
  // Its place at the root is taken once, and then nobody calls for six windows.
  const first = rig.pick();
  assert.equal(rig.mesh.leases.slotOf(first), slot);
  rig.advance(6 * WARMUP.windowMs);
  assert.equal(rig.mesh.registry.get('new')?.state, 'WARMING');
  assert.equal(fill(rig, slot), 1, 'time alone opens nothing');
  rig.complete(first);
  assert.equal(fill(rig, slot), 2, 'one call that was served opens the way for one more');
});

test('a hundredth of the traffic is nothing (#29259): a newcomer of a small pool has a call at once, and a tenth', () => {
  const rig = busyRig(3, 20);
  const slot = rig.add(spec('new'));
  assert.equal(rig.mesh.leases.slotOf(rig.pick()), slot);
  serve(rig, slot, 5);
  assert.equal(fill(rig, slot), Math.ceil(WARMUP.floor * 20));
  for (const mean of [0, 0.1, 1, 3]) assert.equal(warmupCap(0, 0, mean), 1, 'never nobody');
});

test('one that is added brings no surge to those that ramp (#26290)', () => {
  const rig = busyRig(4, 20);
  const early = rig.add(spec('early'));
  rig.pick();
  serve(rig, early, 50);
  rig.advance(3_000);
  const before = fill(rig, early);
  // A third of the window, so a third of the mean.
  assert.ok(before >= 5 && before <= 9, `${before}`);
  const late = rig.add(spec('late'));
  rig.pick();
  serve(rig, late, 50);
  const room = fill(rig, late);
  assert.ok(room <= 4, `${room}`);
  assert.ok(rig.mesh.loads.own(early) <= before + 1, 'those before it have what they had');
});

test('the window begins with the first call that may come (#23946), not with the first sight of the server', () => {
  const rig = busyRig(4, 20);
  const slot = rig.add(spec('spare', { standby: true }));
  rig.advance(60_000);
  rig.propose({ kind: 'activate', id: 'spare' });
  serve(rig, slot, 50);
  assert.ok(fill(rig, slot) <= 3, 'a minute as a standby is no warm-up');
  rig.advance(WARMUP.windowMs + 100);
  assert.equal(rig.mesh.registry.get('spare')?.state, 'ACTIVE');
  // It fails, and its checks pass again: that is the beginning, and what it served before is no proof.
  rig.propose({ kind: 'observe', id: 'spare', observation: { phase: 'ejected', healthy: false } });
  rig.advance(60_000);
  const old = rig.mesh.loads.own(slot);
  rig.propose({ kind: 'observe', id: 'spare', observation: { phase: 'warming', healthy: true } });
  assert.equal(rig.mesh.loads.provenSince(slot), 0);
  assert.ok(fill(rig, slot) <= Math.max(old, 1));
});

test('a pool that starts as a whole has no newcomer: a large server gets its part with its first proofs', () => {
  const rig = new Rig({ random: () => 0 });
  const large = rig.add(spec('large', { weight: 100 }));
  const small = Array.from({ length: 9 }, (_, n) => rig.add(spec(`small${n}`)));
  // The root by rule, each in its turn.
  const first = Array.from({ length: 10 }, () => rig.pick());
  assert.deepEqual(
    [large, ...small].map(slot => rig.mesh.loads.own(slot)),
    Array(10).fill(1),
  );
  for (const lease of first) rig.complete(lease);
  rig.advance(500);
  for (let n = 0; n < 10; n++) rig.pick();
  assert.equal(rig.mesh.loads.own(large), 2, 'no more than it has proven, whoever else is new');
  serve(rig, large, 50);
  for (let n = 0; n < 30; n++) rig.pick();
  assert.equal(rig.mesh.loads.own(large), 32, 'small ones would have half of them each');
  // One of the small ones has been there for long: from now on the others are new beside it.
  rig.propose({ kind: 'observe', id: 'small0', observation: { phase: 'active', healthy: true } });
  rig.advance(500);
  const before = rig.mesh.loads.own(large);
  for (let n = 0; n < 10; n++) rig.pick();
  assert.equal(rig.mesh.loads.own(large), before);
});

test('a large newcomer ramps to its share by weight, not to what a small server has', () => {
  const rig = busyRig(4, 20);
  const slot = rig.add(spec('large', { weight: 4 }));
  rig.pick();
  serve(rig, slot, 50);
  rig.advance(500);
  // Eighty calls over a weight of eight are forty for it, a tenth of that at the start.
  const room = fill(rig, slot);
  assert.ok(room >= 4 && room <= 7, `${room}`);
});
