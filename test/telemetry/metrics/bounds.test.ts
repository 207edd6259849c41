/** What is counted one by one is bounded, whatever comes; the rest is `other`, and nothing is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METRIC_LIMITS } from '../../../src/core/limits.ts';
import { Status } from '../../../src/grpc/status.ts';
import { Attempts, OTHER } from '../../../src/telemetry/metrics/attempts.ts';
import { Methods } from '../../../src/telemetry/metrics/methods.ts';
import { CODES } from '../../../src/telemetry/metrics/rows.ts';
import { Rig, SERVICE, spec } from '../../core/rig.ts';

const sum = (values: Float64Array): number => values.reduce((all, value) => all + value, 0);

test('methods beyond the limit are other; so are those that nobody has served', () => {
  const methods = new Methods();
  for (let n = 0; n < 10; n++) methods.ended(`/a.Invented/M${n}`, Status.DEADLINE_EXCEEDED, 1, false);
  methods.ended('/a.Invented/X', Status.UNIMPLEMENTED, 1, true);
  assert.equal(methods.rows.length, 1);
  for (let n = 0; n < 2 * METRIC_LIMITS.methods; n++) methods.ended(`/a.S${n}/M`, Status.OK, 1, true);
  assert.equal(methods.rows.length, 1 + METRIC_LIMITS.methods);
  assert.ok(methods.isFull);
  assert.equal(sum(methods.codes), 11 + 2 * METRIC_LIMITS.methods);
  assert.equal(sum(methods.codes.subarray(0, CODES)), 11 + METRIC_LIMITS.methods);
  assert.equal(methods.rows[0]?.labels, `service="${OTHER}",method="${OTHER}"`);
  // Known ones go on to count by themselves, whatever their calls end with; a code that is none is UNKNOWN.
  methods.ended('/a.S3/M', Status.UNAVAILABLE, 1, false);
  methods.ended('/a.S3/M', 99, 1, true);
  const row = methods.rows.findIndex(({ labels }) => labels === 'service="a.S3",method="M"');
  assert.equal(methods.codes[row * CODES + Status.UNAVAILABLE], 1);
  assert.equal(methods.codes[row * CODES + Status.UNKNOWN], 1);
});

test('backends beyond the limit are other; one that has left keeps its row for a while, then another has it', () => {
  const rig = new Rig();
  const { mesh } = rig;
  for (let n = 0; n < METRIC_LIMITS.attempts + 50; n++) rig.addWarm(spec(`s${n}`));
  const attempts = new Attempts(mesh);
  const pool = attempts.poolRow(rig.pool);
  const rowOf = (id: string): number => attempts.pairRow(pool, mesh.slotOf(id));
  const rows = new Set<number>();
  for (let n = 0; n < METRIC_LIMITS.attempts + 50; n++) rows.add(rowOf(`s${n}`));
  assert.equal(rows.size, METRIC_LIMITS.attempts + 1);
  assert.ok(attempts.isFull);
  const pairs = [...attempts.pairs()];
  assert.equal(pairs.length, METRIC_LIMITS.attempts + 1);
  assert.equal(pairs.at(-1)?.labels, `pool="${SERVICE}",backend="${OTHER}"`);

  const first = rowOf('s0');
  attempts.rows.ended(first, Status.OK, 5);
  rig.propose({ kind: 'remove', id: 's0' });
  attempts.tidy(0);
  attempts.tidy(METRIC_LIMITS.leftMs);
  assert.ok([...attempts.pairs()].some(({ backend }) => backend === 's0'));
  attempts.tidy(METRIC_LIMITS.leftMs + 1);
  assert.ok([...attempts.pairs()].every(({ backend }) => backend !== 's0'));
  const late = `s${METRIC_LIMITS.attempts + 20}`;
  assert.equal(rowOf(late), first);
  assert.equal(sum(attempts.rows.codes), 0);
  assert.deepEqual([...attempts.pairs()].at(-1)?.backend, late);
});

test('one that comes back has the counts that it had', () => {
  const rig = new Rig();
  rig.addWarm(spec('a'));
  rig.addWarm(spec('b'));
  const attempts = new Attempts(rig.mesh);
  const row = attempts.pairRow(attempts.poolRow(rig.pool), rig.mesh.slotOf('a'));
  rig.propose({ kind: 'unclaim', source: 'config', id: 'a', how: 'left' });
  attempts.tidy(0);
  rig.addWarm(spec('c'));
  const taken = attempts.pairRow(attempts.poolRow(rig.pool), rig.mesh.slotOf('c'));
  assert.notEqual(taken, row);
  rig.addWarm(spec('a'));
  assert.equal(attempts.pairRow(attempts.poolRow(rig.pool), rig.mesh.slotOf('a')), row);
});
