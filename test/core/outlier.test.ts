import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Outcome } from '../../src/core/core.ts';
import { OutcomeCounts } from '../../src/core/outcome-counts.ts';
import {
  type Ejection,
  OUTLIER_DEFAULTS,
  OutlierGroup,
  type OutlierSettings,
} from '../../src/core/outlier.ts';
import { seeded } from '../support/seed.ts';
import { randomOf } from './rig.ts';

const OFF = { factor: 0, enforced: 1, minHosts: 5, minCalls: 100 };

class Group {
  now = 1000;
  readonly counts = new OutcomeCounts();
  readonly group: OutlierGroup;

  constructor(size: number, settings: Partial<OutlierSettings> = {}) {
    const all = { ...OUTLIER_DEFAULTS, ...settings };
    this.group = new OutlierGroup(all, this.counts, randomOf(3));
    for (let slot = 0; slot < size; slot++) this.group.add(slot, true);
    this.group.look(this.now);
  }

  calls(slot: number, served: number, failed: number): void {
    // Spread, so that failures do not come in a row.
    for (let n = 0; n < Math.max(served, failed); n++) {
      if (n < failed) this.counts.count(slot, Outcome.FAILURE, this.now);
      if (n < served) this.counts.count(slot, Outcome.SUCCESS, this.now);
    }
  }

  leftAlone(slot: number): Ejection | undefined {
    return this.group.leftAlone(slot, this.now, this.group.sums(this.now));
  }

  /** As the detector does: who is ejected is not eligible, who returns is. */
  sweep(afterMs = 10_000): { out: number[]; back: readonly number[] } {
    this.now += afterMs;
    const { ejections, returns } = this.group.look(this.now);
    for (const { slot } of ejections) this.group.setEligible(slot, false);
    for (const slot of returns) this.group.setEligible(slot, true);
    return { out: ejections.map(one => one.slot), back: returns };
  }
}

test('five failures in a row eject at once, and one success in between does not', () => {
  const rig = new Group(10);
  for (let n = 0; n < 4; n++) rig.counts.count(1, Outcome.FAILURE, 0);
  rig.counts.count(1, Outcome.SUCCESS, 0);
  for (let n = 0; n < 4; n++) rig.counts.count(1, Outcome.FAILURE, 0);
  rig.counts.count(1, Outcome.NEUTRAL, 0);
  assert.deepEqual(rig.counts.takeDue(), []);
  rig.counts.count(1, Outcome.FAILURE, 0);
  assert.deepEqual(rig.counts.takeDue(), [1]);
  const ejection = rig.group.streak(1, rig.now);
  assert.equal(ejection?.cause, 'failed 5 calls in a row');
  assert.equal(ejection?.forMs, 30_000);
});

test('fewer in a row eject where the server gets no calls any more, and its neighbours fail none', () => {
  const rig = new Group(10);
  const neighbours = (failed = 0): void => {
    for (let slot = 0; slot < 10; slot++) if (slot !== 1) rig.calls(slot, 50, failed);
  };
  const fail = (): void => rig.counts.count(1, Outcome.FAILURE, rig.now);
  neighbours();
  fail();
  fail();
  assert.deepEqual([...rig.counts.doubted], [1]);
  rig.now += 2_900;
  neighbours();
  assert.equal(rig.leftAlone(1), undefined, 'not for long enough');
  rig.now += 100;
  const { cause, forMs } = rig.leftAlone(1) ?? {};
  assert.equal(cause, 'failed 2 calls in a row, the last one 3.0 s ago');
  assert.equal(forMs, 30_000);
  rig.group.readmit(1);
  assert.equal(rig.counts.doubted.size, 0);

  // Nobody has calls: that it has none tells nothing.
  fail();
  fail();
  rig.now += 5_000;
  assert.equal(rig.leftAlone(1), undefined);
  // Others fail some too: two in a row are no wonder, four are one.
  neighbours(3);
  assert.equal(rig.leftAlone(1), undefined);
  fail();
  fail();
  rig.now += 3_000;
  neighbours(3);
  assert.match(rig.leftAlone(1)?.cause ?? '', /^failed 4 calls in a row/);
  // Off, by itself or with all rules of failures in a row.
  for (const off of [{ leftAloneMs: 0 }, { consecutiveFailures: 0 }, { maxEjected: 0 }]) {
    const other = new Group(10, off);
    for (let slot = 0; slot < 10; slot++) if (slot !== 1) other.calls(slot, 100, 0);
    other.counts.count(1, Outcome.FAILURE, other.now - 3_000);
    other.counts.count(1, Outcome.FAILURE, other.now - 3_000);
    assert.equal(other.leftAlone(1), undefined);
  }
});

test('a limit that is lowered below a streak is met all the same', () => {
  const rig = new Group(10);
  for (let n = 0; n < 4; n++) rig.counts.count(1, Outcome.FAILURE, 0);
  rig.group.configure({ ...OUTLIER_DEFAULTS, consecutiveFailures: 3 });
  for (let n = 0; n < 3; n++) rig.counts.count(1, Outcome.FAILURE, 0);
  assert.deepEqual(rig.counts.takeDue(), [1]);
});

test('a success between the fifth failure and the look forgives', () => {
  const rig = new Group(10);
  for (let n = 0; n < 5; n++) rig.counts.count(1, Outcome.FAILURE, 0);
  rig.counts.count(1, Outcome.SUCCESS, 0);
  assert.equal(rig.group.streak(1, rig.now), undefined);
});

test('an ejection grows with each one, up to its end, and shrinks with quiet sweeps', () => {
  const rig = new Group(10, { maxEjectionMs: 80_000 });
  const eject = () => {
    for (let n = 0; n < 5; n++) rig.counts.count(1, Outcome.FAILURE, 0);
    const ejection = rig.group.streak(1, rig.now);
    rig.group.setEligible(1, false);
    return ejection?.forMs;
  };
  const back = () => {
    rig.group.readmit(1);
    rig.group.setEligible(1, true);
  };
  const times = [];
  for (let n = 0; n < 4; n++) {
    times.push(eject());
    back();
  }
  assert.deepEqual(times, [30_000, 60_000, 80_000, 80_000]);
  // The first comes in the middle of its return.
  for (let n = 0; n < 4; n++) rig.sweep();
  assert.equal(eject(), 60_000);
});

test('an ejection ends by time', () => {
  const rig = new Group(10);
  rig.counts.count(0, Outcome.SUCCESS, 0);
  for (let n = 0; n < 5; n++) rig.counts.count(1, Outcome.FAILURE, 0);
  assert.ok(rig.group.streak(1, rig.now));
  rig.group.setEligible(1, false);
  assert.deepEqual(rig.sweep(29_999).back, []);
  assert.equal(rig.group.ejected, 1);
  assert.deepEqual(rig.sweep(1).back, [1]);
  assert.equal(rig.group.ejected, 0);
});

test('no more than a share is out: a tenth of ten is one', () => {
  const rig = new Group(10);
  for (const slot of [1, 2]) for (let n = 0; n < 5; n++) rig.counts.count(slot, Outcome.FAILURE, 0);
  const out = rig.counts.takeDue().flatMap(slot => rig.group.streak(slot, rig.now) ?? []);
  assert.deepEqual(
    out.map(one => one.slot),
    [1],
  );
  // The one that was spared is due again after as many more.
  for (let n = 0; n < 5; n++) rig.counts.count(2, Outcome.FAILURE, 0);
  assert.deepEqual(rig.counts.takeDue(), [2]);
});

test('the share is of those that take calls and those that are ejected, as that changes', () => {
  const rig = new Group(20);
  const streaks = (slots: readonly number[]): number[] => {
    for (const slot of slots) for (let n = 0; n < 5; n++) rig.counts.count(slot, Outcome.FAILURE, 0);
    const out = rig.counts.takeDue().flatMap(slot => rig.group.streak(slot, rig.now) ?? []);
    for (const { slot } of out) rig.group.setEligible(slot, false);
    return out.map(({ slot }) => slot);
  };
  for (let slot = 10; slot < 20; slot++) rig.group.setEligible(slot, false);
  rig.group.setEligible(19, false);
  assert.deepEqual(streaks([1, 2]), [1], 'a tenth of ten');
  rig.group.setEligible(10, true);
  rig.group.setEligible(10, true);
  assert.deepEqual(streaks([2, 3]), [2], 'one of eleven is less than a tenth');
  rig.group.remove(11);
  rig.group.remove(10);
  rig.group.readmit(2);
  assert.deepEqual(streaks([3]), [], 'one of nine, as the second has not said that it takes calls');
  rig.group.setEligible(2, true);
  rig.group.add(20, true);
  assert.deepEqual(streaks([3]), [3], 'one of eleven again');
});

test('success rate: mean − 1.9 σ, of five servers with a hundred calls each', () => {
  const rig = new Group(10);
  for (let slot = 0; slot < 9; slot++) rig.calls(slot, 100, 1);
  rig.calls(9, 80, 30);
  assert.deepEqual(rig.sweep().out, [9]);
  // The next interval counts from nothing.
  assert.deepEqual(rig.sweep().out, []);
});

test('success rate needs enough servers with enough calls', () => {
  const few = new Group(10);
  for (let slot = 0; slot < 3; slot++) few.calls(slot, 100, 0);
  few.calls(9, 70, 40);
  assert.deepEqual(few.sweep().out, []);
  const quiet = new Group(10);
  for (let slot = 0; slot < 9; slot++) quiet.calls(slot, 90, 0);
  quiet.calls(9, 50, 40);
  assert.deepEqual(quiet.sweep().out, []);
});

test('failure share: above 85 %, of five servers with fifty calls each', () => {
  const rig = new Group(10, { successRate: OFF });
  for (let slot = 0; slot < 8; slot++) rig.calls(slot, 50, 0);
  rig.calls(8, 8, 42); // 84 %
  rig.calls(9, 5, 45); // 90 %
  assert.deepEqual(rig.sweep().out, [9]);
});

test('rules that are off eject nobody', () => {
  const off = { enforced: 1, minHosts: 1, minCalls: 1 };
  const rig = new Group(10, {
    consecutiveFailures: 0,
    successRate: { factor: 0, ...off },
    failureShare: { threshold: 0, ...off },
  });
  for (let slot = 0; slot < 9; slot++) rig.calls(slot, 200, 0);
  rig.calls(9, 0, 200);
  assert.deepEqual(rig.counts.takeDue(), []);
  assert.deepEqual(rig.sweep().out, []);
});

test('a rule enforced in part ejects in part', () => {
  const failureShare = { threshold: 0.5, enforced: 0.3, minHosts: 1, minCalls: 1 };
  const rig = new Group(200, { maxEjected: 1, successRate: OFF, failureShare });
  for (let slot = 0; slot < 200; slot++) rig.calls(slot, 0, 3);
  const out = rig.sweep().out.length;
  // 200 draws at 0.3: 60 ± 6.5, so five standard deviations either way.
  assert.ok(out > 27 && out < 93, `${out} of 200`);
});

test('whatever happens, never more than the share is out, and each ejection ends in time', () => {
  const step = fc.oneof(
    fc.record({ slot: fc.nat(11), served: fc.nat(120), failed: fc.nat(120) }),
    fc.record({ slot: fc.nat(11), fail: fc.nat(12) }),
    fc.record({ afterMs: fc.constantFrom(0, 100, 10_000, 40_000, -5_000, 3_600_000) }),
    fc.record({ slot: fc.nat(11), leave: fc.boolean() }),
  );
  const share = fc.constantFrom(0, 0.1, 0.3, 1);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), share, (steps, maxEjected) => {
      const rig = new Group(12, { maxEjected });
      const since = new Map<number, number>();
      const mark = (slot: number) => {
        rig.group.setEligible(slot, false);
        since.set(slot, rig.now);
        assert.ok(
          rig.group.ejected <= Math.max(1, Math.ceil(rig.group.size * maxEjected)),
          'too many are out',
        );
        assert.ok(maxEjected > 0);
      };
      for (const one of steps) {
        if ('afterMs' in one) {
          const { out, back } = rig.sweep(one.afterMs);
          for (const slot of back) since.delete(slot);
          for (const slot of out) mark(slot);
        } else if ('leave' in one) {
          if (one.leave) {
            rig.group.remove(one.slot);
            since.delete(one.slot);
          } else rig.group.add(one.slot, !since.has(one.slot));
        } else if ('fail' in one) {
          for (let n = 0; n < one.fail; n++) rig.counts.count(one.slot, Outcome.FAILURE, rig.now);
          for (const slot of rig.counts.takeDue()) if (rig.group.streak(slot, rig.now)) mark(slot);
        } else {
          rig.calls(one.slot, one.served, one.failed);
          for (const slot of rig.counts.takeDue()) if (rig.group.streak(slot, rig.now)) mark(slot);
        }
        assert.deepEqual(
          [...since.keys()].filter(slot => !rig.group.isEjected(slot)),
          [],
        );
        assert.equal(rig.group.ejected, since.size);
      }
      rig.sweep(400_000);
      assert.equal(rig.group.ejected, rig.sweep(0).out.length);
    }),
    seeded(300),
  );
});
