/** What is noted of load, and how a new life begins with it: in the old order, and without a herd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../src/core/core.ts';
import { adoptNote, type LoadNote, type NotedLoad, noteLoads } from '../../src/core/load-note.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import type { Mesh } from '../../src/core/mesh.ts';
import { generator } from '../support/seed.ts';
import { Rig, SERVICE, sample, spec } from './rig.ts';

const HEAD = { origin: 'lb-1', epoch: 1, time: 50_000 };

function noteOf(mesh: Mesh, now: () => number, rowsPerStep = 1000): LoadNote {
  const steps = noteLoads(mesh, HEAD, now, rowsPerStep);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** A mesh of so many servers, all ACTIVE. */
function meshOf(count: number): Rig {
  const rig = new Rig();
  for (let i = 0; i < count; i++) {
    const id = `s${i}`;
    rig.mesh.registry.propose({ kind: 'claim', source: 'stream', spec: spec(id) }, 'test');
    const observation = { phase: 'active', healthy: true } as const;
    rig.mesh.registry.propose({ kind: 'observe', id, observation }, 'test');
  }
  return rig;
}

const row = (id: string, more: Partial<NotedLoad> = {}): NotedLoad => ({
  id,
  ageMs: 500,
  intervalMs: 1000,
  inFlight: Number.NaN,
  utilization: 0.5,
  capacity: 100,
  others: 10,
  failure: 0,
  ...more,
});

test('a note has all that reported, in any number of steps, and begins a new life in the same order', () => {
  const rig = meshOf(30);
  for (let round = 0; round < 10; round++) {
    rig.now += 1000;
    for (let i = 0; i < 20; i++) {
      const slot = rig.mesh.slotOf(`s${i}`);
      rig.mesh.report(slot, sample({ inFlight: i, utilization: 0.5, rps: 50 }), rig.now);
    }
  }
  rig.now += 250;
  const whole = noteOf(rig.mesh, () => rig.now);
  assert.equal(whole.rows.length, 20, 'who never reported is not in it');
  assert.deepEqual(
    noteOf(rig.mesh, () => rig.now, 1),
    whole,
  );
  assert.equal(whole.rows[0]?.ageMs, 250);
  const steps = [...noteLoads(rig.mesh, HEAD, () => rig.now, 10)];
  assert.equal(steps.length, 3, 'others have their turn after each ten');

  const next = meshOf(30);
  adoptNote(next.mesh, whole, next.now, HEAD.time);
  const order = (rigged: Rig): string[] =>
    whole.rows
      .map(({ id }) => id)
      .toSorted((a, b) => {
        const pool = rigged.mesh.pool(SERVICE);
        return (pool?.scoreOf(rigged.mesh.slotOf(a)) ?? 0) - (pool?.scoreOf(rigged.mesh.slotOf(b)) ?? 0);
      });
  const before = order(rig);
  const after = order(next);
  // Approximately: what others had is a mean, and the grid of capacities is the new life's own.
  const moved = before.map((id, place) => Math.abs(place - after.indexOf(id)));
  assert(Math.max(...moved) <= 3, `${before} became ${after}`);
});

/** Poisson arrivals at 70 % of what all can serve; the most calls that each server had at once. */
function busiest(rig: Rig, pick: () => string, random: () => number, calls: number): Map<string, number> {
  const inFlight = new Map<string, number>();
  const most = new Map<string, number>();
  const ends: { at: number; id: string; lease: number }[] = [];
  const meanMs = 40;
  const betweenMs = meanMs / (0.7 * 4 * 20);
  for (let i = 0; i < calls; i++) {
    rig.now += -Math.log(1 - random()) * betweenMs;
    ends.sort((a, b) => a.at - b.at);
    while (ends[0] !== undefined && ends[0].at <= rig.now) {
      const { id, lease } = ends.shift() as (typeof ends)[number];
      inFlight.set(id, (inFlight.get(id) ?? 0) - 1);
      if (lease >= 0) rig.mesh.leases.complete(lease, rig.now, Outcome.SUCCESS, meanMs);
    }
    const picked = pick();
    const [id = '', lease = '-1'] = picked.split(' ');
    const count = (inFlight.get(id) ?? 0) + 1;
    inFlight.set(id, count);
    most.set(id, Math.max(most.get(id) ?? 0, count));
    ends.push({ at: rig.now - Math.log(1 - random()) * meanMs, id, lease: Number(lease) });
  }
  return most;
}

test('no herd onto the one that looked idle before the crash: never worse than random', () => {
  for (const downMs of [1_000, 10_000, 600_000]) {
    for (const idleOthers of [0, 5]) {
      const random = generator();
      const rig = meshOf(20);
      const rows = Array.from({ length: 20 }, (_, i) => row(`s${i}`, i === 7 ? { others: idleOthers } : {}));
      adoptNote(rig.mesh, { ...HEAD, rows }, rig.now, HEAD.time + downMs);
      const pool = rig.mesh.pool(SERVICE);
      assert(pool);
      const most = busiest(
        rig,
        () => {
          const lease = pool.pick(rig.now, LeaseKind.RELAYED);
          return `${rig.mesh.idOf(rig.mesh.leases.slotOf(lease))} ${lease}`;
        },
        random,
        4_000,
      );
      const randomly = busiest(new Rig(), () => `s${Math.floor(random() * 20)}`, random, 4_000);
      const worst = Math.max(...most.values());
      const worstByChance = Math.max(...randomly.values());
      assert(
        worst <= worstByChance,
        `down ${downMs} ms: ${worst} at once on one, ${worstByChance} by chance`,
      );
    }
  }
});

test('what others had fades with the time that was down, capacities stay, clocks that were set back do no harm', () => {
  const differences = [0, 20_000, 200_000].map(downMs => {
    const rig = meshOf(2);
    adoptNote(
      rig.mesh,
      { ...HEAD, rows: [row('s0', { others: 0 }), row('s1', { others: 20 })] },
      rig.now,
      HEAD.time + downMs,
    );
    const { loads } = rig.mesh;
    const [a, b] = ['s0', 's1'].map(id => loads.othersMean[rig.mesh.slotOf(id)] as number) as [
      number,
      number,
    ];
    assert(Math.abs(a + b - 20) < 1e-6, 'as many in all');
    assert.equal(loads.capacity[rig.mesh.slotOf('s0')], 100);
    return b - a;
  });
  const [now, later, last] = differences as [number, number, number];
  assert(now > 19 && later > 5 && later < 8 && last < 0.01, `${differences}`);
  const rig = meshOf(1);
  adoptNote(rig.mesh, { ...HEAD, rows: [row('s0'), row('gone')] }, rig.now, HEAD.time - 1e6);
  assert.equal(rig.now - (rig.mesh.loads.reportTime[rig.mesh.slotOf('s0')] as number), 500);
});
