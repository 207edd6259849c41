/** Calls that rest: open streams through which nothing goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaseKind } from '../../src/core/load-table.ts';
import { generator } from '../support/seed.ts';
import { Rig, spec } from './rig.ts';

function twoServers(more = {}): Rig {
  const rig = new Rig();
  rig.addWarm(spec('a', more));
  rig.addWarm(spec('b', more));
  return rig;
}

/** Opens streams on one server, the other being drained meanwhile. */
function streamsOn(rig: Rig, count: number): number[] {
  rig.propose({ kind: 'drain', id: 'b', by: 'operator', timeoutMs: 1000, afterwards: 'stay' });
  const leases = Array.from({ length: count }, () => rig.pick());
  rig.propose({ kind: 'undrain', id: 'b' });
  rig.warm('b');
  return leases;
}

test('of two equal servers the one with 200 streams that rest gets half of the calls, reports and all', () => {
  const rig = twoServers();
  const streams = streamsOn(rig, 200);
  const share = (): number => {
    let a = 0;
    const open: number[] = [];
    for (let n = 0; n < 400; n++) {
      if (n % 100 === 0) {
        const { loads } = rig.mesh;
        for (const id of ['a', 'b']) {
          const slot = rig.mesh.slotOf(id);
          rig.report(id, { inFlight: loads.relayed(slot), utilization: 0.1, rps: 100 });
        }
      }
      rig.advance(10);
      const { id, lease } = rig.pickId();
      if (id === 'a') a++;
      open.push(lease);
      if (open.length > 4) rig.complete(open.shift() as number);
    }
    for (const lease of open) rig.complete(lease);
    return a / 400;
  };
  assert.ok(share() < 0.02, 'as long as they work they are load');
  for (const lease of streams) rig.mesh.rest(lease, true, rig.now);
  rig.verify();
  const rested = share();
  assert.ok(rested >= 0.4 && rested <= 0.6, `${rested}`);
  for (const lease of streams) rig.mesh.rest(lease, false, rig.now);
  assert.ok(share() < 0.02);
  for (const lease of streams) rig.complete(lease);
  assert.equal(rig.mesh.loads.own(rig.mesh.slotOf('a')), 0);
  rig.verify();
});

test('streams that rest count against the limit of their server', () => {
  const rig = twoServers({ maxConcurrency: 3 });
  for (const lease of streamsOn(rig, 3)) rig.mesh.rest(lease, true, rig.now);
  for (let n = 0; n < 3; n++) assert.equal(rig.pickId().id, 'b');
  assert.equal(rig.pick(), -2);
  rig.verify();
});

test('what rests, wakes and ends in any order: the counts are those of a plain model', () => {
  const random = generator();
  const rig = new Rig();
  rig.addWarm(spec('a'));
  const open = new Map<number, { start: number; rests: boolean }>();
  for (let n = 0; n < 3_000; n++) {
    rig.now += random() * 20;
    const dice = random();
    const [lease, call] = [...open][Math.floor(random() * open.size)] ?? [-1, undefined];
    if (dice < 0.4 || call === undefined) {
      open.set(rig.pick(), { start: Math.floor(rig.now * 1024) / 1024, rests: false });
    } else if (dice < 0.6) {
      rig.complete(lease);
      open.delete(lease);
      rig.mesh.rest(lease, true, rig.now);
    } else {
      call.rests = dice < 0.8;
      rig.mesh.rest(lease, call.rests, rig.now);
    }
    const { loads } = rig.mesh;
    const awake = [...open.values()].filter(each => !each.rests);
    assert.equal(loads.relayed(0), open.size);
    assert.equal(loads.own(0), awake.length);
    const age = awake.reduce((sum, each) => sum + rig.now - each.start, 0) / awake.length;
    const told = loads.meanAgeMs(0, rig.now);
    assert.ok(awake.length === 0 ? Number.isNaN(told) : Math.abs(told - age) < 1e-6, `${told}, ${age}`);
  }
  rig.verify();
});

test('a lease that callers hold does not rest: nobody sees what goes through it', () => {
  const rig = new Rig();
  rig.addWarm(spec('a'));
  const { lease } = rig.pickId(undefined, LeaseKind.LEASED);
  rig.mesh.rest(lease, true, rig.now);
  assert.equal(rig.mesh.loads.own(0), 1);
  rig.complete(lease);
  assert.equal(rig.mesh.loads.own(0), 0);
});
