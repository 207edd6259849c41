import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Outcome } from '../../src/core/core.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { Rig, spec } from './rig.ts';

test('a lease is completed once; what comes later is counted and changes nothing', () => {
  const rig = new Rig();
  rig.addWarm(spec('a'));
  const { lease } = rig.pickId();
  assert.equal(rig.mesh.loads.own(0), 1);
  assert.equal(rig.complete(lease), true);
  assert.equal(rig.complete(lease), false);
  assert.equal(rig.mesh.leases.late, 1);
  assert.equal(rig.mesh.loads.own(0), 0);
});

test('an expired lease is neither success nor failure', () => {
  const rig = new Rig({ leaseTtlMs: 1000 });
  rig.addWarm(spec('a'));
  const { lease } = rig.pickId(undefined, LeaseKind.LEASED);
  rig.advance(900);
  assert.equal(rig.mesh.leases.open, 1);
  rig.advance(200);
  assert.equal(rig.mesh.leases.open, 0);
  assert.equal(rig.mesh.leases.expired, 1);
  assert.equal(rig.mesh.loads.ownFailure(0, rig.now), 0);
  assert.equal(rig.mesh.loads.provenSince(0), 0);
  assert.equal(rig.complete(lease, Outcome.FAILURE), false);
  assert.equal(rig.mesh.loads.ownFailure(0, rig.now), 0);
});

test('renewing keeps a lease, and only a relayed call lives without', () => {
  const rig = new Rig({ leaseTtlMs: 1000 });
  rig.addWarm(spec('a'));
  const relayed = rig.pickId().lease;
  const { lease } = rig.pickId(undefined, LeaseKind.LEASED);
  for (let i = 0; i < 10; i++) {
    rig.advance(700);
    assert.equal(rig.mesh.leases.renew(lease, rig.now), true);
  }
  assert.equal(rig.mesh.leases.open, 2);
  rig.advance(2100);
  assert.equal(rig.mesh.leases.renew(lease, rig.now), false);
  assert.equal(rig.mesh.leases.open, 1);
  assert.equal(rig.complete(relayed), true);
});

test('leases that were completed hold up the expiry of no other', () => {
  const rig = new Rig({ leaseTtlMs: 1000 });
  rig.addWarm(spec('a'));
  for (let i = 0; i < 100_000; i++) rig.complete(rig.pick(undefined, LeaseKind.LEASED));
  rig.pick(undefined, LeaseKind.LEASED);
  // What is looked at is what is kept: a few times those that were open at once, not all that ever were.
  assert.equal(rig.mesh.leases.expire(rig.now + 1000, 1000), 1);
});

test('a ring that wraps loses no lease where it drops some and doubles', () => {
  const rig = new Rig({ leaseTtlMs: 1000 });
  rig.addWarm(spec('a'));
  const open: number[] = [];
  for (let i = 0; i < 3000; i++) {
    const lease = rig.pick(undefined, LeaseKind.LEASED);
    if (i % 3 === 0 || i > 2000) open.push(lease);
    else rig.complete(lease);
    rig.now += 0.7;
    if (i % 50 === 0) rig.mesh.tick(rig.now);
  }
  const alive = open.filter(lease => rig.mesh.leases.slotOf(lease) >= 0).length;
  assert.equal(rig.mesh.leases.open, alive);
  assert.equal(rig.mesh.leases.expired, open.length - alive);
  rig.advance(1100);
  assert.equal(rig.mesh.leases.open, 0);
  assert.equal(rig.mesh.leases.expired, open.length);
});

test('a completion after the server has gone, or come anew in the same slot, changes nothing', () => {
  const rig = new Rig();
  rig.addWarm(spec('a'));
  const { lease } = rig.pickId();
  rig.propose({ kind: 'unclaim', source: 'config', id: 'a', how: 'left' });
  rig.addWarm(spec('b'));
  assert.equal(rig.mesh.slotOf('b'), 0, 'the slot is used again');
  assert.equal(rig.complete(lease, Outcome.FAILURE), true, 'the lease itself is still open');
  assert.equal(rig.mesh.loads.own(0), 0);
  assert.equal(rig.mesh.loads.ownFailure(0, rig.now), 0);
});

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31);

test(`any order of picks, completions, reports, renewals and time keeps counts and heaps right (TEST_SEED=${SEED})`, () => {
  const step = fc.record({
    what: fc.constantFrom(
      'pick',
      'pick',
      'pick',
      'lease',
      'lease',
      'end',
      'end',
      'end',
      'report',
      'renew',
      'time',
      'state',
      'change',
    ),
    a: fc.nat(1000),
    b: fc.nat(1000),
  });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 50, maxLength: 300 }),
      fc.integer({ min: 1, max: 12 }),
      (steps, size) => {
        const rig = new Rig({ leaseTtlMs: 400 });
        for (let i = 0; i < size; i++) {
          const server = spec(`s${i}`, { zone: `z${i % 3}`, maxConcurrency: i % 4 === 3 ? 3 : 0 });
          if (i % 5 === 4) rig.add(server);
          else rig.addWarm(server);
        }
        let open: { lease: number; slot: number; kind: LeaseKind; since: number }[] = [];
        for (const { what, a, b } of steps) {
          const id = `s${a % size}`;
          const slot = rig.mesh.slotOf(id);
          if (what === 'pick' || what === 'lease') {
            const kind = what === 'pick' ? LeaseKind.RELAYED : LeaseKind.LEASED;
            const want = b % 3 === 0 ? { zone: `z${b % 4}`, exclude: b % 2 === 0 ? [slot] : [] } : undefined;
            const lease = rig.pick(b % 7 === 0 ? { hashKey: `k${a}` } : want, kind);
            if (lease >= 0) open.push({ lease, slot: rig.mesh.leases.slotOf(lease), kind, since: rig.now });
          } else if (what === 'end' && open.length > 0) {
            const [one] = open.splice(a % open.length, 1);
            const outcome = (b % 3) as Outcome;
            assert.equal(rig.complete((one as { lease: number }).lease, outcome, b % 50), true);
          } else if (what === 'renew') {
            const leased = open.filter(one => one.kind === LeaseKind.LEASED);
            const one = leased[a % Math.max(1, leased.length)];
            if (one !== undefined) rig.mesh.leases.renew(one.lease, rig.now);
          } else if (what === 'report') {
            rig.report(id, {
              inFlight: b % 2 === 0 ? b % 20 : Number.NaN,
              rps: b,
              eps: b / 10,
              utilization: (b % 120) / 100,
            });
          } else if (what === 'time') {
            rig.advance(b);
          } else if (what === 'state') {
            const phase = (['active', 'ejected', 'warming'] as const)[b % 3] as 'active';
            rig.propose({
              kind: 'observe',
              id,
              observation: { phase, healthy: phase !== ('ejected' as string) },
            });
          } else if (what === 'change') {
            rig.add(spec(id, { zone: `z${b % 3}`, maxConcurrency: b % 4, weight: 1 + (b % 3) }));
          }
          open = open.filter(one => rig.mesh.leases.slotOf(one.lease) >= 0);
          rig.verify();
          for (let s = 0; s < size; s++) {
            const mine = open.filter(one => one.slot === s);
            assert.equal(
              rig.mesh.loads.relayed(s),
              mine.filter(one => one.kind === LeaseKind.RELAYED).length,
            );
            assert.equal(rig.mesh.loads.leased(s), mine.filter(one => one.kind === LeaseKind.LEASED).length);
          }
          assert.equal(rig.mesh.leases.open, open.length);
        }
      },
    ),
    { seed: SEED, numRuns: 150 },
  );
});
