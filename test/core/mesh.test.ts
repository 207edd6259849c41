import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Outcome } from '../../src/core/core.ts';
import type { Proposal } from '../../src/core/entries.ts';
import { MESH_LIMITS, REGISTRY_LIMITS } from '../../src/core/limits.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { WARMUP } from '../../src/core/warmup.ts';
import { seeded } from '../support/seed.ts';
import { Rig, sample, spec } from './rig.ts';

/** Serves what ends a warm-up as soon as its time is over. */
function prove(rig: Rig, id: string): void {
  rig.report(id, { inFlight: 0, rps: WARMUP.minCalls + 1 });
}

test('any numbers in reports, completions and clocks leave pools in order', () => {
  const odd = fc.oneof(
    fc.double(),
    fc.constantFrom(0, 1e-320, 1e12, 1e300, Number.POSITIVE_INFINITY, Number.NaN, -1, 2 ** 31, 2 ** 32),
  );
  const step = fc.record({
    id: fc.nat(3),
    load: fc.record({ inFlight: odd, utilization: odd, rps: odd, eps: odd, windowMs: odd }),
    latencyMs: odd,
    kind: fc.constantFrom(LeaseKind.RELAYED, LeaseKind.LEASED),
    outcome: fc.constantFrom(Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL),
    // Clocks that stand, jump ahead by days, and fall back.
    passedMs: fc.constantFrom(0, 1e-6, 50, 1000, 86_400_000, -5000),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), fc.integer(), (steps, start) => {
      const rig = new Rig();
      rig.now = start;
      for (let n = 0; n < 4; n++) rig.addWarm(spec(`s${n}`, { maxConcurrency: n === 3 ? 5 : 0 }));
      for (const { id, load, latencyMs, kind, outcome, passedMs } of steps) {
        const lease = rig.pick(undefined, kind);
        rig.mesh.report(id, sample(load), rig.now);
        rig.now += passedMs;
        rig.mesh.tick(rig.now);
        if (lease >= 0) rig.mesh.leases.complete(lease, rig.now, outcome, latencyMs);
        rig.verify();
        for (const { score } of rig.pool.heap(rig.now).nodes) assert.ok(Number.isFinite(score), `${score}`);
      }
      for (let slot = 0; slot < 4; slot++) assert.ok(rig.mesh.loads.own(slot) >= 0);
    }),
    seeded(400),
  );
});

test('calls of others on a server that is out are shared out among nobody', () => {
  const rig = new Rig();
  for (const id of ['a', 'b', 'c']) {
    rig.addWarm(spec(id));
    rig.report(id, { inFlight: 8, utilization: 0.5, rps: 100 });
  }
  rig.advance(1000);
  rig.propose({ kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: false } });
  rig.verify();
  rig.advance(1000);
  rig.verify();
  rig.propose({ kind: 'unclaim', source: 'config', id: 'a', how: 'left' });
  rig.verify();
  rig.propose({ kind: 'unclaim', source: 'config', id: 'b', how: 'left' });
  rig.verify();
});

test('warm-ups that end together end in parts', () => {
  const rig = new Rig();
  const count = MESH_LIMITS.warmUpsEnded + 10;
  for (let n = 0; n < count; n++) rig.add(spec(`s${n}`));
  for (let n = 0; n < count; n++) prove(rig, `s${n}`);
  rig.now += WARMUP.windowMs;
  rig.mesh.tick(rig.now);
  assert.equal(rig.pool.counts().active, MESH_LIMITS.warmUpsEnded);
  rig.mesh.tick(rig.now + 50);
  assert.equal(rig.pool.counts().active, count);
});

test('among more warming servers than a tick looks at, each is found in its turn', () => {
  const rig = new Rig();
  const count = 2 * MESH_LIMITS.warmUpLooks + 10;
  for (let n = 0; n < count; n++) rig.add(spec(`s${n}`));
  rig.advance(WARMUP.windowMs);
  // Come and gone while the walk stands among them.
  rig.propose({ kind: 'unclaim', source: 'config', id: 's100', how: 'left' });
  rig.add(spec('late'));
  for (const id of ['s0', 's1500', `s${count - 1}`]) prove(rig, id);
  rig.advance(3 * 50);
  assert.equal(rig.pool.counts().active, 3);
  prove(rig, 'late');
  rig.advance(WARMUP.windowMs + 3 * 50);
  assert.equal(rig.mesh.registry.get('late')?.state, 'ACTIVE');
});

test('a warm-up whose end is refused ends later', async () => {
  const waiting: Proposal[] = [];
  const rig = new Rig({ append: proposal => waiting.push(proposal) });
  rig.add(spec('a'));
  prove(rig, 'a');
  // A log that takes nothing, until no more is kept waiting for it.
  while (rig.mesh.registry.pending < REGISTRY_LIMITS.pending) {
    rig.propose({ kind: 'forget', id: 'nobody' });
  }
  rig.now += WARMUP.windowMs;
  rig.mesh.tick(rig.now);
  assert.equal(rig.mesh.registry.get('a')?.state, 'WARMING');
  // It is told by a promise.
  await new Promise(resolve => setImmediate(resolve));
  waiting.forEach((proposal, n) => {
    rig.mesh.registry.ingest({ position: n + 1, proposal });
  });
  rig.mesh.tick(rig.now + 50);
  assert.equal(rig.mesh.registry.get('a')?.state, 'ACTIVE');
});

test('another address under the same id is another process: what was learned is void', () => {
  const rig = new Rig();
  rig.addWarm(spec('a'));
  rig.addWarm(spec('b'));
  for (let i = 0; i < 3; i++) rig.complete(rig.pick({ exclude: [1] }), Outcome.FAILURE);
  rig.report('a', { inFlight: 40, utilization: 0.5, rps: 100 });
  const { loads } = rig.mesh;
  assert.ok((loads.capacity[0] as number) > 0 && loads.failureNow(0, rig.now) > 0);
  rig.add(spec('a', { zone: 'z2' }));
  assert.ok((loads.capacity[0] as number) > 0, 'a change of something else voids nothing');
  rig.add(spec('a', { address: 'elsewhere:1' }));
  assert.equal(loads.capacity[0], 0);
  assert.equal(loads.failureNow(0, rig.now), 0);
  assert.ok(Number.isNaN(loads.others[0]));
  rig.verify();
});

test('a server that fails is no better than a wait of seconds, where calls take that long', () => {
  const rig = new Rig();
  rig.addWarm(spec('a'));
  rig.addWarm(spec('b'));
  for (let n = 0; n < 200; n++) {
    rig.now += 10;
    rig.complete(rig.pick(), Outcome.SUCCESS, 2_000);
  }
  for (let n = 0; n < 3; n++) rig.complete(rig.pick({ exclude: [1] }), Outcome.FAILURE);
  // Twelve calls wait on the other one, which takes a second for each four.
  const picked = Array.from({ length: 12 }, () => rig.pickId().id);
  assert.deepEqual(new Set(picked), new Set(['b']));
});

test('services that come and go leave nothing behind', () => {
  const rig = new Rig();
  rig.addWarm(spec('stays'));
  for (let n = 0; n < 100; n++) {
    rig.addWarm(spec('guest', { services: [`x.v1.S${n}`] }));
    assert.ok((rig.mesh.pool(`x.v1.S${n}`)?.id as number) <= 2);
  }
});
