import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decayedFailure,
  driftedCapacity,
  failureStep,
  gridStepOf,
  learnCapacity,
  othersEstimate,
  SCORE,
  staleFactor,
} from '../../src/core/score.ts';

test('capacity is completions a second at utilization 1', () => {
  const cell = { served: 0, busyS: 0, known: false };
  let capacity = 0;
  for (let i = 0; i < 10; i++) capacity = learnCapacity(cell, 200, 0.5, 1000, 1000);
  assert.ok(Math.abs(capacity - 400) < 1e-9);
});

test('capacity is unknown until five completions', () => {
  const cell = { served: 0, busyS: 0, known: false };
  assert.equal(learnCapacity(cell, 4, 0.01, 1000, 1000), 0);
  assert.ok(learnCapacity(cell, 4, 0.01, 1000, 1000) > 0);
});

test('a capacity that is known stays known with fewer completions, but not without any', () => {
  const cell = { served: 0, busyS: 0, known: false };
  for (let i = 0; i < 20; i++) learnCapacity(cell, 320, 0.8, 1000, 1000);
  cell.known = true;
  assert.equal(learnCapacity(cell, 2, 1, 1000, 1000), 2, 'two a second is what it serves');
  assert.equal(learnCapacity({ served: 320, busyS: 0.8, known: true }, 0, 1, 1000, 1000), 0);
});

test('a window that contradicts what was learned resets it', () => {
  const cell = { served: 0, busyS: 0, known: false };
  for (let i = 0; i < 20; i++) learnCapacity(cell, 320, 0.8, 1000, 1000);
  assert.equal(learnCapacity(cell, 40, 1, 1000, 1000), 40, 'ten times slower is believed at once');
});

test('where one call is worth many others, what contradicts is more', () => {
  const learned = () => ({ served: 1600, busyS: 4, known: true });
  assert.equal(learnCapacity(learned(), 80, 1, 1000, 1000), 80, 'a fifth of what was expected');
  assert.ok(learnCapacity(learned(), 80, 1, 1000, 1000, 80) > 300, 'of calls of 1 ms and 1 s that is chance');
});

test('noise within the bound does not reset', () => {
  const cell = { served: 0, busyS: 0, known: false };
  for (let i = 0; i < 20; i++) learnCapacity(cell, 320, 0.8, 1000, 1000);
  const next = learnCapacity(cell, 290, 0.8, 1000, 1000);
  assert.ok(next > 380 && next < 400, `${next}`);
});

test('where reports are noisy, capacity is learned from more of them, and what contradicts is more', () => {
  const learned = () => ({ served: 1600, busyS: 4, known: true });
  const quiet = learnCapacity(learned(), 320, 0.5, 1000, 1000);
  const noisy = learnCapacity(learned(), 320, 0.5, 1000, 1000, SCORE.capacityVariance, 0.3);
  // Five seconds of memory against thirty: a window that says 640 counts for a sixth and for less.
  assert.ok(quiet > 420 && noisy < 430 && noisy > 400 && noisy < quiet, `${quiet}, ${noisy}`);
  assert.equal(learnCapacity(learned(), 80, 1, 1000, 1000, 3), 80, 'a fifth of it is a change');
  assert.ok(learnCapacity(learned(), 160, 1, 1000, 1000, 3, 0.3) > 300, 'less than half of it is noise');
  assert.equal(learnCapacity(learned(), 80, 1, 1000, 1000, 3, 0.3), 80, 'and a fifth is not');
});

test('an old capacity drifts to the mean of the pool', () => {
  assert.equal(driftedCapacity(0, 100, 5), 100);
  assert.equal(driftedCapacity(40, 100, 0), 40);
  const later = driftedCapacity(40, 100, SCORE.capacityDriftMs);
  assert.ok(Math.abs(later - (100 - 60 / Math.E)) < 1e-9);
});

test('a capacity moves on the grid only when it is 0.8 of a step off', () => {
  const g = 100;
  const first = gridStepOf(g * Math.exp(0.25), g, Number.NaN);
  assert.equal(first, 1);
  assert.equal(gridStepOf(g * Math.exp(0.25 * 1.79), g, first), 1);
  assert.equal(gridStepOf(g * Math.exp(0.25 * 1.81), g, first), 2);
  assert.equal(gridStepOf(g * Math.exp(0.25 * 0.21), g, first), 1);
});

test('a capacity learned from few calls is believed in part, and nothing holds it', () => {
  const g = 100;
  const slow = g * Math.exp(-0.25);
  assert.equal(gridStepOf(slow, g, Number.NaN, 10), 0, 'a step too slow by ten calls is chance');
  assert.equal(gridStepOf(slow, g, Number.NaN), -1);
  assert.equal(gridStepOf(g * Math.exp(-1), g, Number.NaN, 20), -2, 'four steps by twenty calls are two');
  assert.equal(gridStepOf(g * Math.exp(-0.1), g, -1, 100), 0, 'it does not stay where chance has put it');
});

test('the estimate of others starts at the report and ends at the prior', () => {
  assert.equal(othersEstimate(8, 2, 0, 20, 0), 8);
  assert.ok(Math.abs(othersEstimate(8, 2, 20, 20, 0) - (2 + 6 / Math.E)) < 1e-9);
  assert.ok(Math.abs(othersEstimate(8, 2, 2000, 20, 0) - 2) < 1e-9);
});

test('the estimate of others is the mean until it is computed next', () => {
  let sum = 0;
  for (let ms = 0.5; ms < 250; ms++) sum += othersEstimate(8, 2, 30 + ms, 20, 0) / 250;
  assert.ok(Math.abs(othersEstimate(8, 2, 30, 20, 250) - sum) < 1e-3);
  // A stream outlasts every report: then a report counts in full.
  assert.ok(Math.abs(othersEstimate(8, 2, 0, 3_600_000, 250) - 8) < 1e-3);
});

test('staleness never makes a server better, and nothing known changes nothing', () => {
  assert.equal(staleFactor(Number.NaN, 20, Number.NaN, 0), 1);
  assert.equal(staleFactor(10, 20, 1, 20), 1);
  assert.equal(staleFactor(300, 20, 5, 20), 10);
  assert.equal(staleFactor(10, 20, 600, 20), 10);
});

test('failures decay over ten seconds', () => {
  assert.equal(decayedFailure(0, 1), 0);
  assert.ok(Math.abs(decayedFailure(1, 10_000) - 1 / Math.E) < 1e-12);
  assert.equal(decayedFailure(0.5, -3), 0.5, 'a clock that jumps back changes nothing');
});

test('a second failure soon says much of a server without failures, and nothing of one that fails some anyway', () => {
  const afterTwo = (usual: number): number => {
    const first = failureStep(0, usual);
    return first + failureStep(first, usual + SCORE.usualStep) * (1 - first);
  };
  assert.equal(failureStep(0, 0), 0.1);
  assert.ok(afterTwo(0) > 0.4 && afterTwo(0.05) < 0.2);
  assert.equal(failureStep(afterTwo(0), SCORE.usualStep * 2), 1, 'a third one leaves no doubt');
});
