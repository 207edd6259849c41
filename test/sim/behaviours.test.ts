/**
 * What becomes of servers over their life, shown by one simulation each. All are by seed; a bound has room
 * for other seeds, and says what the balancers without the behaviour would do.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POLICIES_UNDER_TEST, type RunResult, SCENARIOS, type Scenario } from '../../src/sim/sim.ts';
import { Simulation } from '../../src/sim/world.ts';

const SEED = 5;

function simulate(name: string, policy = 'least-load', more: Partial<Scenario> = {}): RunResult {
  const scenario = SCENARIOS.find(each => each.name === name);
  const subject = POLICIES_UNDER_TEST.find(each => each.name === policy);
  assert.ok(scenario !== undefined && subject !== undefined);
  return new Simulation({ scenario: { ...scenario, ...more }, policy: subject, seed: SEED }).run();
}

test('a server that fails fast draws no traffic', () => {
  const window = { untilMs: 45_000 };
  const ours = simulate('fails-fast', 'least-load', window);
  assert.ok(ours.failed <= 0.0016, `${ours.failed} of the calls failed`);
  assert.ok((ours.shares[0] as number) < 0.01, `it drew ${ours.shares[0]}`);
  const envoy = simulate('fails-fast', 'envoy-p2c', window);
  assert.ok(envoy.failed > 0.08, `least request of two: ${envoy.failed}`);
});

test('a server that hangs loses its place within seconds', () => {
  const { failed, p99 } = simulate('hangs', 'least-load', { untilMs: 45_000 });
  assert.ok(failed <= 0.0014, `${failed} of the calls waited in vain`);
  assert.ok(p99 < 115, `${p99}`);
});

test('a server that slows to a tenth goes on with at most its share by speed', () => {
  const window = { untilMs: 45_000 };
  const ours = simulate('degrades', 'least-load', window);
  const least = simulate('degrades', 'least-request', window);
  // A tenth of one of nine others.
  assert.ok((ours.shares[0] as number) < 0.011 && (ours.shares[0] as number) > 0, `${ours.shares[0]}`);
  assert.ok(ours.p99 < 115 && ours.p99 < 0.8 * least.p99, `${ours.p99}, least request ${least.p99}`);
  assert.equal(ours.failed, 0);
});

test('a server that drains gets no more calls, and none fails', () => {
  const happenings = [{ atMs: 30_000, servers: [0], kind: 'drain' }] as const;
  const { failed, shares } = simulate('degrades', 'least-load', { happenings, untilMs: 36_000 });
  assert.equal(failed, 0);
  assert.ok((shares[0] as number) < 0.001, `${shares[0]}`);
});

test('a server that is silent and slow is found out by its own latencies', () => {
  const window = { untilMs: 45_000 };
  const ours = simulate('silent-slow', 'least-load', window);
  const least = simulate('silent-slow', 'least-request', window);
  assert.ok(ours.p99 < 115 && ours.p99 < 0.8 * least.p99, `${ours.p99}, least request ${least.p99}`);
});

test('a server that is silent and fine is doubted, and still has calls', () => {
  const { shares, p99 } = simulate('silent', 'least-load', { untilMs: 45_000 });
  assert.ok((shares[0] as number) > 0.02, `${shares[0]}`);
  assert.ok(p99 < 105, `${p99}`);
});

test('a newcomer that is cold is neither flooded nor left out', () => {
  const { shares, p99 } = simulate('newcomer');
  assert.ok(p99 < 108, `${p99}`);
  assert.ok((shares[9] as number) > 0.05 && (shares[9] as number) < 0.11, `${shares[9]}`);
});

test('a newcomer is not flooded by the first calls of many heaps', () => {
  const { shares, p99 } = simulate('newcomer', 'least-load', { balancers: 100, untilMs: 36_000 });
  assert.ok(p99 < 140, `${p99}`);
  assert.ok((shares[9] as number) < 0.13, `${shares[9]}`);
});

test('a server that restarts loses only what it had', () => {
  const { failed, shares } = simulate('restarts', 'least-load', { untilMs: 50_000 });
  // At most about two slots' worth of calls were there when it ended.
  assert.ok(failed < 40 / 64_000, `${failed}`);
  assert.ok((shares[0] as number) > 0.02, `${shares[0]}: it is back`);
});

test('never more than max_concurrency, and the queue is better than waiting at servers', () => {
  const few = { calls: 30_000 };
  const queue = simulate('queue', 'least-load', few);
  const scan = simulate('queue', 'least-request', few);
  assert.equal(queue.failed, 0);
  assert.ok(queue.p99 < scan.p99, `${queue.p99}, full scan ${scan.p99}`);
});

test('at 150 % load goodput stays at capacity', () => {
  const { goodput, p99 } = simulate('overload', 'least-load', { calls: 40_000 });
  // 10 servers of 8 slots and 20 ms: 4,000 calls a second.
  assert.ok(goodput >= 0.95 * 4_000, `${goodput} calls/s in time`);
  assert.ok(p99 <= 1_000, `${p99}`);
});

test('a flash crowd: standbys join once the threshold is passed, and go once it is over', () => {
  const { notes, shares } = simulate('scale-in', 'least-load', { untilMs: 125_000 });
  assert.ok((notes.added as number) >= 3, `added ${notes.added}`);
  assert.ok((notes.drained as number) >= 1, `drained ${notes.drained}`);
  assert.ok((shares[8] as number) > 0.02, `the first one took ${shares[8]} of the calls`);
});

test('panic: with most servers hanging the rest are not drowned, and nobody is left without an answer', () => {
  const ours = simulate('panic', 'least-load', { balancers: 4 });
  assert.ok(ours.failed < 0.01, `${ours.failed}`);
  assert.ok(ours.p99 < 160, `${ours.p99}`);
});

test('a server that always says 0 % draws no more than half as much again as its share', () => {
  const { shares } = simulate('says-idle', 'least-load', { calls: 40_000 });
  assert.ok((shares[0] as number) <= 0.15, `${shares[0]}`);
});

test('where half of the servers do not report, both halves get their share', () => {
  const { shares, p99 } = simulate('half-report-equal', 'least-load', { calls: 40_000 });
  for (const share of shares) assert.ok(share > 0.07 && share < 0.13, `${shares}`);
  assert.ok(p99 < 115, `${p99}`);
});

test('one call worth a thousand others does not look like a server that changed', () => {
  const { queueing99 } = simulate('two-methods', 'least-load', { calls: 40_000 });
  assert.ok(queueing99 < 300, `${queueing99}`);
});

test('a pool in two zones keeps its calls at home while that is no worse', () => {
  const home = simulate('zones', 'least-load', { calls: 40_000 });
  const least = simulate('zones', 'least-request', { calls: 40_000 });
  assert.ok(home.mean < least.mean - 1, `mean ${home.mean}, without zones ${least.mean}`);
});
