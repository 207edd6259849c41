/** Fleets in which not everybody reports, or reports what is so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../src/core/core.ts';
import { Rig, spec } from './rig.ts';

/** Two that report and two that never do; `inFlight` is what there is on each, of which we see a quarter. */
function mixed(inFlight: Readonly<Record<string, number>>): Rig {
  const rig = new Rig();
  for (const id of Object.keys(inFlight)) rig.addWarm(spec(id));
  // Our own quarter, held for the whole test.
  for (const [id, count] of Object.entries(inFlight)) {
    const others = Object.keys(inFlight)
      .filter(other => other !== id)
      .map(other => rig.mesh.slotOf(other));
    for (let n = 0; n < count / 4; n++) rig.pick({ exclude: others });
  }
  for (let second = 0; second < 10; second++) {
    for (const [id, count] of Object.entries(inFlight)) {
      if (id.startsWith('silent')) continue;
      rig.report(id, { inFlight: count, utilization: 0.5, rps: 100 });
    }
    rig.advance(1_000);
  }
  return rig;
}

function others(rig: Rig, id: string): number {
  return rig.pool.scores.othersOf(rig.pool.memberAt(rig.mesh.slotOf(id)));
}

test('others have on a server that never reports what own calls there say, halfway to the fair share', () => {
  const rig = mixed({ a: 16, b: 16, 'silent-idle': 0, 'silent-busy': 32 });
  // Others have 12 on each that reports, where we have 4: three times ours. The fair share is 12.
  assert.ok(Math.abs(others(rig, 'silent-idle') - 6) < 0.5, `${others(rig, 'silent-idle')}`);
  assert.ok(Math.abs(others(rig, 'silent-busy') - (6 + 12)) < 1, `${others(rig, 'silent-busy')}`);
  assert.equal(rig.pickId().id, 'silent-idle', 'a server that idles is picked though nobody says so');
});

/** Calls one after the other on each, of so many ms, and their reports; then the rounds that learn from it. */
function served(latencies: Readonly<Record<string, number>>, reporting: readonly string[]): Rig {
  const rig = new Rig();
  const ids = Object.keys(latencies);
  for (const id of ids) rig.addWarm(spec(id));
  for (let n = 0; n < 300; n++) {
    for (const id of ids) {
      const exclude = ids.filter(other => other !== id).map(other => rig.mesh.slotOf(other));
      const lease = rig.pick({ exclude });
      // One call in three takes twice as long.
      rig.complete(lease, Outcome.SUCCESS, (latencies[id] as number) * (n % 3 === 0 ? 2 : 1));
    }
    rig.advance(50);
    if (n % 20 !== 19) continue;
    for (const id of reporting) rig.report(id, { inFlight: 0, utilization: 0.1, rps: 40 });
  }
  return rig;
}

function capacity(rig: Rig, id: string): number {
  const slot = rig.mesh.slotOf(id);
  return rig.pool.scores.terms(rig.pool.memberAt(slot), slot, rig.now).capacity as number;
}

test('where nobody reports, latencies tell who is faster', () => {
  const rig = served({ fast: 5, slow: 20 }, []);
  const ratio = capacity(rig, 'fast') / capacity(rig, 'slow');
  // On a grid of e^0.25, each to 0.8 of a step.
  assert.ok(ratio > 2.5 && ratio < 6.5, `${ratio}`);
});

test('where some report, a server that does not is put among them by its latency', () => {
  const rig = served({ a: 20, b: 20, fast: 5, slow: 20 }, ['a', 'b']);
  // 40 calls a second at 10 %.
  const like = capacity(rig, 'slow');
  assert.ok(like > 310 && like < 520, `${like}`);
  const fast = capacity(rig, 'fast') / like;
  assert.ok(fast > 2.5 && fast < 6.5, `${fast}`);
});

test('of streams that last long, those that have ended say nothing of speed', () => {
  const rig = served({ new: 6_000, old: 50_000 }, []);
  assert.equal(capacity(rig, 'new'), capacity(rig, 'old'));
});

test('calls in flight are not believed of one that says fewer than we alone have there', () => {
  const rig = mixed({ a: 16, b: 16 });
  const slot = rig.mesh.slotOf('a');
  const report = (inFlight: number): void => {
    rig.advance(1_000);
    rig.report('a', { inFlight, utilization: 0.5, rps: 100 });
  };
  report(0);
  assert.equal(rig.mesh.loads.reported[slot], 0, 'one such report may be a call on the wire');
  for (let n = 0; n < 10; n++) report(0);
  assert.ok(Number.isNaN(rig.mesh.loads.reported[slot]), 'as if it had said nothing');
  for (let n = 0; n < 10; n++) report(16);
  assert.equal(rig.mesh.loads.reported[slot], 16, 'it is believed again once it tells what can be');
});
