/** The peers against what their papers, specifications and sources say of them; no world beneath. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadSample, Outcome } from '../../src/core/core.ts';
import type { Balancer, World } from '../../src/sim/balancer.ts';
import { Random } from '../../src/sim/random.ts';
import { POLICIES_UNDER_TEST } from '../../src/sim/sim.ts';

/** A balancer of so many servers that can all be reached, and what it asked of them. */
function balancerOf(name: string, servers: number, seed = 7) {
  const probes: number[] = [];
  const world = {
    servers: Array.from({ length: servers }, () => ({})),
    probe: (_balancer: number, server: number) => probes.push(server),
  } as unknown as World;
  const policy = POLICIES_UNDER_TEST.find(each => each.name === name);
  assert.ok(policy, name);
  const balancer: Balancer = policy.create(world, 0, new Random(seed, 0));
  for (let server = 0; server < servers; server++) balancer.join(server, 0);
  const pick = (now = 0): number => balancer.pick(0, now);
  const end = (server: number, now = 0, latencyMs = 1): void =>
    balancer.ended(0, server, now, Outcome.SUCCESS, latencyMs);
  const sharesOf = (calls: number, now = 0): number[] => {
    const counts = new Array<number>(servers).fill(0);
    for (let n = 0; n < calls; n++) {
      const server = pick(now);
      counts[server] = (counts[server] as number) + 1;
      end(server, now);
    }
    return counts.map(count => count / calls);
  };
  return { balancer, pick, end, sharesOf, probes };
}

function reportOf(rps: number, utilization: number, eps = 0): LoadSample {
  return { inFlight: 0, utilization, rps, eps, windowMs: 1_000 };
}

function assertNear(value: number, expected: number, room: number): void {
  assert.ok(Math.abs(value - expected) <= room, `${value}, expected ${expected} ± ${room}`);
}

test('full scan: fewest in flight, ties at random', () => {
  const { pick, end, sharesOf } = balancerOf('least-request', 4);
  // 4,000 picks of four: a share's standard deviation is 0.007.
  for (const share of sharesOf(4_000)) assertNear(share, 0.25, 0.03);
  const first = [pick(), pick(), pick()];
  assert.equal(new Set(first).size, 3, 'each is idle when it is picked');
  end(first[1] as number);
  const last = [0, 1, 2, 3].find(server => !first.includes(server));
  assert.deepEqual([pick(), pick()].sort(), [first[1] as number, last as number].sort());
});

test('leastconn: of equal ones the one that has had its number longest', () => {
  const { pick, end } = balancerOf('leastconn', 3);
  assert.deepEqual([pick(), pick(), pick()], [0, 1, 2]);
  for (const server of [2, 0, 1]) end(server);
  assert.deepEqual([pick(), pick(), pick()], [2, 0, 1], 'in the order in which they became idle');
});

test('least request of two: both draws may be the same server', () => {
  const { pick, end, balancer } = balancerOf('envoy-p2c', 2);
  const first = pick();
  let drawn = 0;
  for (let n = 0; n < 4_000; n++) {
    const server = pick();
    if (server === first) drawn++;
    end(server);
  }
  assert.ok(balancer);
  // Only where both draws are it: a quarter, with a standard deviation of 0.007.
  assertNear(drawn / 4_000, 0.25, 0.03);
});

test('peak EWMA: a peak counts at once and is forgotten over 10 s', () => {
  const { pick, end } = balancerOf('peak-ewma', 2);
  assert.notEqual(pick(0), pick(0), 'one without a latency gets one call until it has one');
  end(0, 0, 100);
  end(1, 0, 10);
  const second = pick(1);
  assert.equal(second, 1, 'ten times the cost');
  assert.equal(pick(1), 1, '10 · 2 is less than 100');
  end(1, 1, 10);
  end(1, 1, 10);
  // After 30 s e^−3 of 100, and after 1 more of 5 too: 5 and 10.
  const later = pick(30_000);
  end(later, 30_000, 10);
  assert.equal(pick(30_000), 0);
});

test('A58: in proportion to calls over utilization and errors, once the blackout is over', () => {
  const { balancer, sharesOf } = balancerOf('orca-wrr', 3);
  const told = [reportOf(100, 0.5), reportOf(100, 0.25), reportOf(100, 0.25, 25)];
  const report = (now: number): void => {
    for (const [server, sample] of told.entries()) balancer.report?.(server, sample, now);
  };
  report(0);
  for (const share of sharesOf(3_000, 9_000)) assertNear(share, 1 / 3, 0.01);
  report(10_000);
  // 100/0.5, 100/0.25, 100/(0.25 + 25/100 · 1) = 200, 400, 200.
  const shares = sharesOf(4_000, 11_000);
  for (const [server, share] of [0.25, 0.5, 0.25].entries())
    assertNear(shares[server] as number, share, 0.01);
  for (const share of sharesOf(3_000, 10_000 + 180_000)) assertNear(share, 1 / 3, 0.01);
});

test('A58: reports without calls or utilization are not heeded', () => {
  const { balancer, sharesOf } = balancerOf('orca-wrr', 2);
  for (const now of [0, 11_000]) {
    balancer.report?.(0, reportOf(100, 0.5), now);
    balancer.report?.(1, reportOf(100, 0.25), now);
  }
  balancer.report?.(0, reportOf(100, 0), 11_500);
  balancer.report?.(0, reportOf(0, 0.9), 11_500);
  assertNear(sharesOf(3_000, 12_000)[1] as number, 2 / 3, 0.01);
});

test('Prequal asks three different servers a call', () => {
  const { pick, probes } = balancerOf('prequal-probes', 5);
  const asked = new Array<number>(5).fill(0);
  for (let n = 0; n < 2_000; n++) {
    probes.length = 0;
    pick();
    assert.equal(new Set(probes).size, 3);
    for (const server of probes) asked[server] = (asked[server] as number) + 1;
  }
  // 3/5 of the calls each; the standard deviation is 0.011.
  for (const count of asked) assertNear(count / 2_000, 0.6, 0.05);
});

test('Prequal: of the cold the lowest latency, where all are hot the fewest in flight, old answers not', () => {
  const { balancer, pick } = balancerOf('prequal-probes', 3);
  const tell = (server: number, inFlight: number, latencyMs: number, now: number): void =>
    balancer.probed?.(server, inFlight, latencyMs, now);
  // The quantile is taken of the answers so far.
  for (let n = 0; n < 64; n++) tell(n % 3, 4, 10, 0);
  tell(0, 4, 30, 0);
  tell(1, 4, 20, 0);
  tell(2, 9, 5, 0);
  assert.equal(pick(1), 1, 'the fastest is hot');
  tell(0, 12, 30, 1);
  tell(1, 11, 20, 1);
  assert.equal(pick(1), 2, 'all are hot');
  // Now 2 has one more: a tie would be of 10 and 11.
  tell(2, 13, 5, 1);
  assert.equal(pick(1), 1);
  const drawn = new Set(Array.from({ length: 50 }, () => pick(1_500)));
  assert.equal(drawn.size, 3, 'without answers of the last second any server');
});
