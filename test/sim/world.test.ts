/** The simulated world against what queueing theory and arithmetic say of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POLICIES_UNDER_TEST, SCENARIOS, type Scenario } from '../../src/sim/sim.ts';
import { Simulation } from '../../src/sim/world.ts';

function scenarioOf(name: string, more: Partial<Scenario> = {}): Scenario {
  const found = SCENARIOS.find(each => each.name === name);
  assert.ok(found, name);
  return { ...found, ...more };
}

function run(scenario: Scenario, policy: string, seed = 1) {
  const found = POLICIES_UNDER_TEST.find(each => each.name === policy);
  assert.ok(found, policy);
  return new Simulation({ scenario, policy: found, seed }).run();
}

test('the same seed gives the same figures, another seed others', () => {
  const scenario = scenarioOf('half-fast', { calls: 5_000 });
  for (const policy of ['least-load', 'prequal-probes', 'peak-ewma']) {
    assert.deepEqual(run(scenario, policy, 3), run(scenario, policy, 3));
    assert.notEqual(run(scenario, policy, 3).p99, run(scenario, policy, 4).p99);
  }
});

test('every policy meets the same calls', () => {
  const scenario = scenarioOf('equal', { calls: 3_000 });
  const spans = POLICIES_UNDER_TEST.map(({ name }) => run(scenario, name).goodput.toFixed(6));
  assert.equal(new Set(spans).size, 1, 'the window of as many calls is as long');
});

/** M/M/1 at 50 %: time in the system is exponential with mean S / (1 - ρ), its 99th percentile mean · ln 100. */
test('one server of one slot is an M/M/1 queue', () => {
  const scenario = scenarioOf('single-slot', {
    servers: [{ ...(scenarioOf('single-slot').servers[0] as Scenario['servers'][0]), count: 1 }],
    load: { utilization: 0.5, rate: 0, skew: 0 },
    balancers: 1,
    delayMs: 0,
    calls: 100_000,
  });
  const { mean, p99, p50 } = run(scenario, 'random');
  // 100,000 calls of an M/M/1 at 50 % are worth about 25,000 independent ones: 2 % is three deviations.
  assert.ok(Math.abs(mean - 40) < 1.2, `mean ${mean}`);
  assert.ok(Math.abs(p50 - 40 * Math.LN2) < 1.2, `p50 ${p50}`);
  assert.ok(Math.abs(p99 / (40 * Math.log(100)) - 1) < 0.08, `p99 ${p99}`);
});

/** M/M/c with one queue (Erlang C): 10 slots at 80 % wait S/(c(1−ρ))·C = 20/2 · 0.4092 = 4.09 ms. */
test('the central queue is an M/M/c queue', () => {
  const scenario = scenarioOf('single-slot', { delayMs: 0, calls: 150_000, balancers: 1 });
  const { mean } = run(scenario, 'central-queue');
  assert.ok(Math.abs(mean - 24.09) < 0.5, `mean ${mean}`);
});

/** M/G/1 with shared processor: the mean does not depend on the law of service times, S / (1 − ρ). */
test('a server that shares its processor is insensitive to the law of service times', () => {
  const group = { ...(scenarioOf('single-slot').servers[0] as Scenario['servers'][0]), count: 1 };
  const scenario = scenarioOf('shared', {
    servers: [group],
    methods: [{ share: 1, meanMs: 20, law: { kind: 'lognormal', sigma: 1 } }],
    load: { utilization: 0.5, rate: 0, skew: 0 },
    balancers: 1,
    delayMs: 0,
    calls: 150_000,
  });
  const { mean } = run(scenario, 'random');
  assert.ok(Math.abs(mean - 40) < 2, `mean ${mean}`);
});

test('a call that its caller gives up frees its place', () => {
  const scenario = scenarioOf('hangs', { untilMs: 40_000 });
  const { failed, p999 } = run(scenario, 'round-robin');
  assert.ok(failed > 0.05 && failed < 0.15, `one server in ten hangs: ${failed}`);
  assert.ok(
    Math.abs(p999 - scenario.deadlineMs) < 1e-6,
    'such a call counts with the time that its caller waited',
  );
});
