import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome, PickFailure } from '../../src/core/core.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { WARMUP } from '../../src/core/warmup.ts';
import { Rig, SERVICE, spec } from './rig.ts';

function warmRig(ids: readonly string[], more = {}): Rig {
  const rig = new Rig(more);
  for (const id of ids) rig.addWarm(spec(id));
  return rig;
}

test('equal servers are taken in turn', () => {
  const rig = warmRig(['a', 'b', 'c']);
  const ids: string[] = [];
  for (let i = 0; i < 9; i++) {
    const { lease, id } = rig.pickId();
    ids.push(id);
    rig.complete(lease);
  }
  assert.deepEqual(ids, ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
});

test('a new server on the number of one that left was never picked', () => {
  // Of two balancers this one draws no newcomer to its root: the new server comes in by its score.
  const rig = warmRig(['a', 'b'], { balancers: 2, random: () => 0.9 });
  for (let i = 0; i < 2; i++) rig.complete(rig.pick());
  rig.propose({ kind: 'unclaim', source: 'config', id: 'b', how: 'left' });
  rig.addWarm(spec('c'));
  // A round of the sweep: all are scored by what is known of calls by now.
  rig.advance(1000);
  assert.deepEqual([rig.pickId().id, rig.pickId().id], ['c', 'a']);
});

test('a pick moves a server back, its completion forward again', () => {
  const rig = warmRig(['a', 'b']);
  const first = rig.pickId();
  const second = rig.pickId();
  assert.notEqual(first.id, second.id);
  const third = rig.pickId();
  assert.equal(third.id, first.id, 'both have one call: the one picked longer ago');
  rig.complete(second.lease);
  rig.verify();
  assert.equal(rig.pickId().id, second.id, 'it has nothing in flight, the other two');
});

test('reported load of others is avoided', () => {
  const rig = warmRig(['a', 'b']);
  rig.report('a', { inFlight: 6, utilization: 0.5, rps: 100 });
  rig.report('b', { inFlight: 0, utilization: 0.5, rps: 100 });
  const ids = Array.from({ length: 4 }, () => rig.pickId().id);
  assert.deepEqual(ids, ['b', 'b', 'b', 'b']);
});

test('a call that a report already counts is not charged again', () => {
  const rig = warmRig(['a', 'b']);
  const held = [rig.pickId(), rig.pickId(), rig.pickId(), rig.pickId()];
  assert.equal(held.filter(one => one.id === 'a').length, 2);
  rig.report('a', { inFlight: 2 });
  rig.report('b', { inFlight: 2 });
  const loads = rig.mesh.loads;
  assert.equal(loads.others[rig.mesh.slotOf('a')], 0);
  assert.equal(loads.own(rig.mesh.slotOf('a')), 2);
});

test('a server four times as fast gets about four times the calls', () => {
  const rig = warmRig(['slow', 'fast']);
  for (let i = 0; i < 5; i++) {
    rig.advance(1000);
    rig.report('slow', { inFlight: 0, utilization: 0.5, rps: 50 });
    rig.report('fast', { inFlight: 0, utilization: 0.5, rps: 200 });
  }
  rig.advance(300);
  const count = { slow: 0, fast: 0 };
  for (let i = 0; i < 50; i++) count[rig.pickId().id as 'slow' | 'fast']++;
  assert.ok(count.fast >= 36 && count.fast <= 44, `fast ${count.fast} of 50`);
});

test('a caller that never reports outcomes: the picks still follow the reports', () => {
  const rig = warmRig(['idle', 'busy'], { leaseTtlMs: 10_000 });
  const count = { idle: 0, busy: 0 };
  for (let second = 0; second < 30; second++) {
    rig.report('idle', { inFlight: 1, utilization: 0.1, rps: 100 });
    rig.report('busy', { inFlight: 40, utilization: 0.1, rps: 100 });
    for (let i = 0; i < 20; i++) {
      rig.advance(50);
      const { id } = rig.pickId(undefined, LeaseKind.LEASED);
      if (second >= 15) count[id as 'idle' | 'busy']++;
    }
    rig.verify();
  }
  assert.ok(rig.mesh.leases.open > 150, 'leases pile up until they expire');
  assert.ok(count.idle > 9 * count.busy, `idle ${count.idle}, busy ${count.busy}`);
});

test('the picks of a caller that never reports turn when the reports turn', () => {
  const rig = warmRig(['a', 'b'], { leaseTtlMs: 10_000 });
  const share = (loadA: number, loadB: number): number => {
    let a = 0;
    for (let second = 0; second < 5; second++) {
      rig.report('a', { inFlight: loadA, utilization: 0.1, rps: 100 });
      rig.report('b', { inFlight: loadB, utilization: 0.1, rps: 100 });
      for (let i = 0; i < 20; i++) {
        rig.advance(50);
        if (rig.pickId(undefined, LeaseKind.LEASED).id === 'a') a++;
      }
    }
    return a / 100;
  };
  assert.ok(share(0, 50) > 0.9);
  assert.ok(share(50, 0) < 0.1);
});

test('no pick from an empty pool, nor from one without an eligible server', () => {
  const rig = new Rig();
  rig.add(spec('s', { standby: true }));
  assert.equal(rig.pick(), PickFailure.NONE_HEALTHY);
  assert.deepEqual(rig.pool.counts(), { standby: 1, warming: 0, active: 0, draining: 0, ejected: 0 });
  rig.propose({ kind: 'unclaim', source: 'config', id: 's', how: 'left' });
  assert.equal(rig.mesh.pool(SERVICE), undefined);
});

test('draining and ejected servers are not picked, and come back', () => {
  const rig = warmRig(['a', 'b']);
  rig.propose({ kind: 'drain', id: 'a', by: 'operator', timeoutMs: 0, afterwards: 'stay' });
  rig.propose({ kind: 'observe', id: 'b', observation: { phase: 'ejected', healthy: false } });
  assert.equal(rig.pick(), PickFailure.NONE_HEALTHY);
  rig.propose({ kind: 'undrain', id: 'a' });
  assert.equal(rig.pickId().id, 'a');
  rig.verify();
});

test('a server at its max_concurrency is out of the order until a call ends', () => {
  const rig = new Rig();
  rig.addWarm(spec('a', { maxConcurrency: 2 }));
  const one = rig.pickId();
  rig.pickId();
  assert.equal(rig.pick(), PickFailure.ALL_FULL);
  rig.verify();
  rig.complete(one.lease);
  assert.equal(rig.pickId().id, 'a');
  assert.equal(rig.pick(), PickFailure.ALL_FULL);
});

test('what others have in flight counts for max_concurrency', () => {
  const rig = new Rig();
  rig.addWarm(spec('a', { maxConcurrency: 4 }));
  rig.report('a', { inFlight: 3 });
  assert.ok(rig.pick() >= 0);
  assert.equal(rig.pick(), PickFailure.ALL_FULL);
});

test('a newcomer is the root until its first proof, with one call at a time', () => {
  const rig = warmRig(['a', 'b']);
  rig.report('a', { inFlight: 0 });
  rig.report('b', { inFlight: 0 });
  rig.add(spec('new'));
  rig.report('new', { inFlight: 50 });
  const first = rig.pickId();
  assert.equal(first.id, 'new', 'the root by rule, whatever its load');
  assert.notEqual(rig.pickId().id, 'new', 'at its cap');
  rig.complete(first.lease);
  rig.verify();
  assert.notEqual(rig.pickId().id, 'new', 'proven: it stands by its score, which others keep busy');
});

test('a report of served calls is a proof', () => {
  const rig = warmRig(['a']);
  rig.add(spec('new'));
  rig.report('new', { inFlight: 30, rps: 20, utilization: 0.2 });
  assert.equal(rig.pickId().id, 'a');
});

test('a newcomer that fails loses the root at once', () => {
  const rig = warmRig(['a', 'b']);
  rig.add(spec('bad'));
  const count = { a: 0, b: 0, bad: 0 };
  for (let i = 0; i < 100; i++) {
    const { lease, id } = rig.pickId();
    count[id as 'bad']++;
    rig.complete(lease, id === 'bad' ? Outcome.FAILURE : Outcome.SUCCESS, 1);
  }
  assert.ok(count.bad <= 3, `${count.bad} calls went to a server that fails all`);
});

test('with 16 balancers a newcomer gets the root about once in 16', () => {
  let roots = 0;
  const rig = warmRig(['a'], { balancers: 16 });
  rig.report('a', { inFlight: 0 });
  for (let i = 0; i < 640; i++) {
    const id = `new-${i}`;
    rig.add(spec(id));
    if (rig.pool.heap(rig.now).nodes.some(node => node.newcomer)) roots++;
    rig.propose({ kind: 'unclaim', source: 'config', id, how: 'left' });
  }
  // Binomial(640, 1/16): mean 40, deviation 6.1; five deviations.
  assert.ok(roots > 9 && roots < 71, `${roots}`);
});

test('the cap grows with proofs and time, and ends', () => {
  const rig = warmRig(['a', 'b', 'c']);
  const held: number[] = [];
  for (let i = 0; i < 90; i++) held.push(rig.pickId().lease);
  rig.advance(200);
  rig.add(spec('new'));
  const onNew = (): number => rig.mesh.loads.own(rig.mesh.slotOf('new'));
  rig.complete(rig.pickId().lease);
  const fill = (): number[] => {
    const mine: number[] = [];
    for (let i = 0; i < 60; i++) mine.push(rig.pickId().lease);
    return mine;
  };
  let batch = fill();
  const early = onNew();
  assert.ok(early <= 2, `${early} in flight after one proof`);
  for (const lease of batch) rig.complete(lease);
  for (let i = 0; i < 20; i++) {
    batch = fill();
    for (const lease of batch) rig.complete(lease);
  }
  rig.advance(WARMUP.windowMs / 2);
  batch = fill();
  const half = onNew();
  assert.ok(half > early && half <= 20, `${half} at half of the ramp`);
  for (const lease of batch) rig.complete(lease);
  rig.advance(WARMUP.windowMs);
  assert.equal(rig.mesh.registry.get('new')?.state, 'ACTIVE');
  rig.verify();
});

test('time alone does not end a warm-up: no traffic, no proof', () => {
  const rig = new Rig();
  rig.add(spec('a'));
  rig.advance(60_000);
  assert.equal(rig.mesh.registry.get('a')?.state, 'WARMING');
});

test('a cold start ignores the caps rather than give no answer', () => {
  const rig = new Rig();
  rig.add(spec('a'));
  rig.add(spec('b'));
  const ids = Array.from({ length: 10 }, () => rig.pickId().id);
  assert.equal(ids.filter(id => id === 'a').length, 5);
  rig.verify();
});

test('excluded servers are passed over, the order stays', () => {
  const rig = warmRig(['a', 'b', 'c']);
  const slotOf = (id: string): number => rig.mesh.slotOf(id);
  assert.equal(rig.pickId({ exclude: [slotOf('a')] }).id, 'b');
  assert.equal(rig.pickId({ exclude: [slotOf('a'), slotOf('c')] }).id, 'b');
  assert.equal(rig.pick({ exclude: ['a', 'b', 'c'].map(slotOf) }), PickFailure.EXCLUDED);
  assert.equal(rig.pickId().id, 'a');
  rig.verify();
});

test('a hash key sticks to its server until that one is over its bound', () => {
  const rig = warmRig(Array.from({ length: 10 }, (_, i) => `s${i}`));
  const first = rig.pickId({ hashKey: 'cart-17' });
  rig.complete(first.lease);
  const ids = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const { lease, id } = rig.pickId({ hashKey: 'cart-17' });
    ids.add(id);
    rig.complete(lease);
  }
  assert.deepEqual([...ids], [first.id]);
  for (let i = 0; i < 100; i++) rig.pickId({ hashKey: 'cart-17' });
  // 100 in flight over 10: nobody may have more than ceil(1.25 * 101 / 10) = 13.
  for (let i = 0; i < 10; i++) assert.ok(rig.mesh.loads.own(rig.mesh.slotOf(`s${i}`)) <= 13);
});

test('when a server leaves, only its keys move', () => {
  const rig = warmRig(Array.from({ length: 10 }, (_, i) => `s${i}`));
  const place = (key: string): string => {
    const { lease, id } = rig.pickId({ hashKey: key });
    rig.complete(lease);
    return id;
  };
  const keys = Array.from({ length: 500 }, (_, i) => `key-${i}`);
  const before = keys.map(place);
  rig.propose({ kind: 'unclaim', source: 'config', id: 's3', how: 'left' });
  const after = keys.map(place);
  keys.forEach((key, i) => {
    if (before[i] !== 's3') assert.equal(after[i], before[i], key);
    else assert.notEqual(after[i], 's3');
  });
  const shares = new Map<string, number>();
  for (const id of before) shares.set(id, (shares.get(id) ?? 0) + 1);
  // Binomial(500, 0.1): mean 50, deviation 6.7; five deviations.
  for (const [id, count] of shares) assert.ok(count > 16 && count < 84, `${id}: ${count}`);
});

test('the own zone comes first until it is clearly worse', () => {
  const rig = new Rig();
  for (const id of ['a1', 'a2']) rig.addWarm(spec(id, { zone: 'za' }));
  for (const id of ['b1', 'b2']) rig.addWarm(spec(id, { zone: 'zb' }));
  const near = Array.from({ length: 2 }, () => rig.pickId({ zone: 'zb' }).id);
  assert.deepEqual(near, ['b1', 'b2']);
  const far = Array.from({ length: 20 }, () => rig.pickId({ zone: 'zb' }).id);
  assert.ok(
    far.some(id => id.startsWith('a')),
    'it spills over',
  );
  const counts = { a: 0, b: 0 };
  for (const id of [...near, ...far]) counts[id[0] as 'a' | 'b']++;
  assert.ok(counts.b > counts.a, JSON.stringify(counts));
  assert.equal(rig.pickId({ zone: 'nowhere' }).id.length, 2);
  rig.verify();
});

test('a fast failer draws almost nothing', () => {
  const rig = warmRig(['good', 'bad']);
  let bad = 0;
  for (let i = 0; i < 2000; i++) {
    rig.now += 5;
    if (i % 10 === 0) rig.mesh.tick(rig.now);
    const { lease, id } = rig.pickId();
    if (id === 'bad') bad++;
    rig.complete(lease, id === 'bad' ? Outcome.FAILURE : Outcome.SUCCESS, 1);
  }
  assert.ok(bad < 60, `${bad} of 2000`);
});

test('a silent server with calls that do not return loses its place', () => {
  const rig = warmRig(['a', 'hung']);
  for (let i = 0; i < 10; i++) {
    rig.advance(1000);
    for (const id of ['a', 'hung']) rig.report(id, { inFlight: 0, rps: 50, utilization: 0.5 });
    for (let k = 0; k < 20; k++) rig.complete(rig.pickId().lease);
  }
  const stuck = [rig.pickId(), rig.pickId()];
  for (const one of stuck) if (one.id === 'a') rig.complete(one.lease);
  for (let i = 0; i < 50; i++) {
    rig.advance(100);
    if (i % 10 === 0) rig.report('a', { inFlight: 0, rps: 50, utilization: 0.5 });
    const { lease, id } = rig.pickId();
    if (id === 'a') {
      rig.now += 20;
      rig.complete(lease);
    }
  }
  const hung = rig.mesh.loads.own(rig.mesh.slotOf('hung'));
  assert.ok(hung < 8, `${hung} calls hang on a server that answers none`);
});

test('one event re-keys a server in every pool that it is in', () => {
  const rig = new Rig();
  rig.addWarm(spec('both', { services: [SERVICE, 'other.v1.Other'] }));
  rig.addWarm(spec('one'));
  rig.addWarm(spec('two', { services: ['other.v1.Other'] }));
  const other = rig.mesh.pool('other.v1.Other');
  assert.ok(other);
  const lease = rig.pickId();
  assert.equal(lease.id, 'both');
  rig.verify();
  const next = other.pick(rig.now, LeaseKind.RELAYED);
  assert.equal(
    rig.mesh.idOf(rig.mesh.leases.slotOf(next)),
    'two',
    'the call in one pool counts in the other',
  );
});

test('a server for any service is in every pool, and serves what nobody names', () => {
  const rig = new Rig();
  rig.addWarm(spec('any', { services: ['*'] }));
  rig.addWarm(spec('named'));
  assert.equal(rig.mesh.pool('whatever.v1.Nobody')?.service, '*');
  assert.equal(rig.pool.size, 2);
  rig.propose({ kind: 'unclaim', source: 'config', id: 'named', how: 'left' });
  assert.equal(rig.mesh.pool(SERVICE)?.service, '*', 'a pool that nobody names is no more');
  rig.add(spec('named'));
  assert.equal(rig.pool.size, 2);
  rig.add(spec('any', { services: ['only.v1.This'] }));
  assert.equal(rig.pool.size, 1);
  assert.equal(rig.mesh.pool('whatever.v1.Nobody'), undefined);
  rig.verify();
});

test('services, zone, weight and limit can change at run time', () => {
  const rig = new Rig();
  rig.addWarm(spec('a'));
  rig.addWarm(spec('b'));
  rig.add(spec('a', { zone: 'z1', maxConcurrency: 1, weight: 3, services: [SERVICE, 'x.v1.X'] }));
  rig.verify();
  assert.equal(rig.mesh.loads.weight[rig.mesh.slotOf('a')], 3);
  assert.equal(rig.pool.zones.length, 2);
  assert.equal(rig.mesh.pool('x.v1.X')?.size, 1);
});

test('what is learned of one server does not move the others before they are looked at', () => {
  const rig = warmRig(['a', 'b', 'c', 'd']);
  // Fast calls: the residence time falls to a fiftieth of its guess at once.
  for (let i = 0; i < 4; i++) rig.complete(rig.pickId().lease, Outcome.SUCCESS, 1);
  rig.report('a', { inFlight: 0, utilization: 0.5, rps: 1000 });
  const ids = Array.from({ length: 40 }, () => rig.pickId().id);
  for (const id of ['a', 'b', 'c', 'd']) {
    const count = ids.filter(one => one === id).length;
    assert.ok(count >= 8 && count <= 12, `${id}: ${count} of 40 calls among equals`);
  }
});
