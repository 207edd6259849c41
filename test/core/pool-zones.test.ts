import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome, PickFailure } from '../../src/core/core.ts';
import { POOL_LIMITS } from '../../src/core/limits.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { Rig, spec } from './rig.ts';

function zoned(zones: readonly string[]): Rig {
  const rig = new Rig();
  for (const zone of zones) rig.addWarm(spec(`in-${zone}`, { zone }));
  return rig;
}

test('ties between zones go to the one picked longest ago, too', () => {
  const rig = zoned(['za', 'zb', 'zc']);
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) {
    const { lease, id } = rig.pickId(i % 2 === 0 ? undefined : { exclude: [] });
    ids.push(id);
    rig.complete(lease);
  }
  assert.deepEqual(ids, ['in-za', 'in-zb', 'in-zc', 'in-za', 'in-zb', 'in-zc']);
});

test('newcomers at their cap are taken in turn, whatever their zones', () => {
  const rig = new Rig();
  for (const zone of ['za', 'zb', 'zc']) rig.add(spec(`in-${zone}`, { zone }));
  const ids = Array.from({ length: 9 }, () => rig.pickId().id);
  assert.deepEqual(ids.slice(3), [...ids.slice(0, 3), ...ids.slice(0, 3)]);
  rig.verify();
});

test('a server that was picked at its cap was picked', () => {
  const rig = new Rig();
  for (const id of ['a', 'b']) rig.add(spec(id));
  const held = Array.from({ length: 3 }, () => rig.pickId());
  assert.deepEqual(
    held.map(one => one.id),
    ['a', 'b', 'a'],
  );
  for (const { lease } of held) rig.complete(lease, Outcome.SUCCESS, 20);
  // Both are back in the order with nothing in flight: the third pick, at the cap, was a's.
  assert.equal(rig.pickId().id, 'b');
});

test('zones beyond the limit share the heap of those without a zone', () => {
  const count = POOL_LIMITS.zones + 20;
  const names = Array.from({ length: count }, (_, n) => `host-${n}`);
  const rig = zoned(names);
  assert.equal(rig.pool.zones.length, POOL_LIMITS.zones + 1);
  assert.equal(rig.pool.zoneNamed('')?.members, 20);
  const picked = new Set<string>();
  for (let i = 0; i < count; i++) picked.add(rig.pickId({ zone: `host-${i}` }).id);
  assert.equal(picked.size, count, 'each has its turn');
  rig.verify();
  // One that changes stays where it is, one that leaves leaves room.
  rig.add(spec(`in-host-${count - 1}`, { zone: `host-${count - 1}`, weight: 2 }));
  for (const name of names) {
    rig.propose({ kind: 'unclaim', source: 'config', id: `in-${name}`, how: 'left' });
    for (const pool of rig.mesh.pools()) pool.verify();
  }
  assert.equal([...rig.mesh.pools()].length, 0);
});

test('a hash key holds where all are warming and at their cap', () => {
  const rig = new Rig();
  for (let i = 0; i < 4; i++) rig.add(spec(`s${i}`, { zone: `z${i % 2}` }));
  // One call each, so that all are capped.
  const first = Array.from({ length: 4 }, () => rig.pickId(undefined, LeaseKind.LEASED));
  assert.equal(new Set(first.map(one => one.id)).size, 4);
  const ids = new Set<string>();
  for (let i = 0; i < 8; i++) {
    const { lease, id } = rig.pickId({ hashKey: 'cart-17' });
    ids.add(id);
    rig.complete(lease, Outcome.NEUTRAL);
  }
  assert.equal(ids.size, 1);
});

test('exclusion is told from being full', () => {
  const rig = new Rig();
  for (const id of ['full', 'free']) rig.addWarm(spec(id, { maxConcurrency: 1 }));
  assert.equal(rig.pickId().id, 'full');
  const slot = rig.mesh.slotOf('free');
  assert.equal(rig.pick({ exclude: [99, slot] }), PickFailure.EXCLUDED);
  assert.equal(rig.pickId().id, 'free');
  assert.equal(rig.pick({ exclude: [99, slot] }), PickFailure.ALL_FULL);
});
