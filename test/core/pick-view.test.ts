/** What is said of a pick: the score it was compared by, and who would have been next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaseKind } from '../../src/core/load-table.ts';
import { viewPick } from '../../src/core/pick-view.ts';
import { startRig, upstreamFor } from '../proxy/rig.ts';
import { answerOk } from '../support/h2/upstream.ts';

test('the score before the pick, and the best of the others, at their cap or not', async t => {
  const addresses = await Promise.all(
    [1, 2, 3].map(async () => (await upstreamFor(t, { onStream: answerOk })).address),
  );
  const { mesh } = await startRig(t, addresses);
  const pool = mesh.pool('*') ?? assert.fail();
  const leases: number[] = [];
  // More than what newcomers may have: from then on all are at their cap.
  for (let n = 0; n < 12; n++) {
    const before = [...pool.members()].map(slot => [slot, pool.scoreOf(slot)] as const);
    const lease = pool.pick(mesh.now(), LeaseKind.RELAYED);
    leases.push(lease);
    const slot = mesh.leases.slotOf(lease);
    const view = viewPick(pool, slot) ?? assert.fail();
    assert.equal(view.score, new Map(before).get(slot));
    assert.notEqual(view.runnerUp, slot);
    assert.equal(view.runnerUpScore, pool.scoreOf(view.runnerUp));
  }
  assert.equal(viewPick(pool, 4_000), undefined);
  for (const lease of leases) mesh.leases.complete(lease, mesh.now(), 0, 1);
});
