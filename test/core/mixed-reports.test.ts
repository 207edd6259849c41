/** Fleets in which not everybody reports, or reports what is so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
