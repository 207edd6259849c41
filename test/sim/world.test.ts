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

test('a call that is given up while its answer is on its way is counted out once', () => {
  const scenario = scenarioOf('equal', { deadlineMs: 30, delayMs: 5, calls: 20_000, fromMs: 0, warmUpMs: 0 });
  for (const name of ['oracle', 'round-robin']) {
    const policy = POLICIES_UNDER_TEST.find(each => each.name === name);
    assert.ok(policy);
    const world = new Simulation({ scenario, policy, seed: 1 });
    const { failed } = world.run();
    assert.ok(failed > 0.1, `${failed}`);
    for (const server of world.servers) {
      // Those on their way are counted too, and the run ends in mid-traffic.
      const counted = world.inFlightOf(server.index);
      assert.ok(counted >= server.inFlight && counted < 40, `${counted} counted, ${server.inFlight} there`);
    }
  }
});

test('reports between zones take as long as calls do', () => {
  const scenario = scenarioOf('zones', { crossZoneMs: 40, calls: 2_000, reportMs: 5_000, warmUpMs: 12_000 });
  const seen: { balancer: number; server: number; now: number }[] = [];
  const made = new Set<string>();
  const policy = {
    name: 'listener',
    about: '',
    kind: 'peer' as const,
    create: (_world: unknown, balancer: number) => ({
      pick: () => 0,
      ended: () => {},
      join: () => {},
      leave: () => {},
      report: (server: number, sample: { windowMs: number }, now: number) => {
        // A window is from one report to the next as made, so that its end is when it was made.
        const key = `${balancer} ${server}`;
        if (!made.has(key)) seen.push({ balancer, server, now: now - sample.windowMs });
        made.add(key);
      },
    }),
  };
  new Simulation({ scenario, policy, seed: 1 }).run();
  assert.ok(seen.length > 100);
  for (const { balancer, server, now } of seen) {
    // The first window begins at 0, so what is left is the way.
    const expected = (balancer % 2 === 0) === server < 5 ? scenario.delayMs : 40;
    assert.ok(Math.abs(now - expected) < 1e-6, `balancer ${balancer}, server ${server}: ${now}`);
  }
});
