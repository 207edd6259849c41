/** The detector over a real mesh, on a clock that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome, PickFailure } from '../../src/core/core.ts';
import { Detector, type HealthRules } from '../../src/core/detector.ts';
import { viewOf } from '../../src/core/effective.ts';
import type { Proposal } from '../../src/core/entries.ts';
import { apply } from '../../src/core/fold.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { OUTLIER_DEFAULTS } from '../../src/core/outlier.ts';
import { PlainStore } from './registry-support.ts';
import { Rig, randomOf, SERVICE, spec } from './rig.ts';

class Watched extends Rig {
  readonly entries: Proposal[] = [];
  readonly told: string[] = [];
  readonly detector: Detector;
  heard = Number.NEGATIVE_INFINITY;

  constructor(count: number, rules: Partial<HealthRules> = {}) {
    super();
    this.mesh.registry.onEvent(({ serverId, state, cause }) =>
      this.told.push(`${serverId} ${state}: ${cause}`),
    );
    this.detector = new Detector({
      mesh: this.mesh,
      rulesOf: () => ({ outliers: OUTLIER_DEFAULTS, panicBelow: 0.5, ...rules }),
      suspicionMs: 5000,
      random: randomOf(1),
      heardAt: () => this.heard,
    });
    for (let n = 0; n < count; n++) this.addWarm(spec(String.fromCharCode(97 + n)));
  }

  override advance(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      super.advance(Math.min(50, end - this.now));
      this.detector.look(this.now);
    }
  }

  stateOf(id: string): string | undefined {
    return this.mesh.registry.get(id)?.state;
  }

  causeOf(id: string): string {
    return this.mesh.registry.get(id)?.cause ?? '';
  }

  /** Opens a call on one server. */
  open(id: string): number {
    const others = [...this.pool.members()].filter(slot => slot !== this.mesh.slotOf(id));
    return this.pool.pick(this.now, LeaseKind.RELAYED, { exclude: others });
  }

  end(id: string, outcome: Outcome): void {
    this.complete(this.open(id), outcome);
  }

  dead(id: string): void {
    this.detector.unreachable(id, 'refuses connections');
  }
}

test('who fails five calls in a row is out for 30 s, then warms up again', () => {
  const rig = new Watched(3);
  for (let n = 0; n < 5; n++) rig.end('b', Outcome.FAILURE);
  rig.advance(100);
  assert.equal(rig.stateOf('b'), 'EJECTED');
  assert.match(rig.causeOf('b'), /^outlier: failed 5 calls in a row; out for 30 s$/);
  assert.equal(rig.mesh.registry.get('b')?.healthy, true);
  for (let n = 0; n < 20; n++) assert.notEqual(rig.pickId().id, 'b');
  rig.advance(29_000);
  assert.equal(rig.stateOf('b'), 'EJECTED');
  rig.advance(1_100);
  assert.equal(rig.stateOf('b'), 'WARMING');
  assert.match(rig.causeOf('b'), /ejection is over/);
  assert.equal(rig.detector.counters.outliers, 1);
  assert.equal(rig.detector.outliers, 0);
  rig.verify();
});

test('a passing check does not cut an ejection short: failed calls are what its word is judged by', () => {
  const rig = new Watched(3);
  const failCalls = () => {
    for (let n = 0; n < 5; n++) rig.end('b', Outcome.FAILURE);
    rig.advance(100);
  };
  failCalls();
  rig.detector.passedChecks('b', '2 checks passed: is SERVING');
  assert.equal(rig.stateOf('b'), 'EJECTED');
  rig.advance(30_000);
  assert.equal(rig.stateOf('b'), 'WARMING');
  failCalls();
  assert.match(rig.causeOf('b'), /out for 60 s/);
  rig.detector.passedChecks('b', '2 checks passed: is SERVING');
  assert.equal(rig.stateOf('b'), 'EJECTED');
});

test('failed checks of an outlier keep it out when its time is over', () => {
  const rig = new Watched(3);
  for (let n = 0; n < 5; n++) rig.end('b', Outcome.FAILURE);
  rig.advance(100);
  rig.detector.failedChecks('b', '3 checks failed', false);
  rig.advance(40_000);
  assert.equal(rig.stateOf('b'), 'EJECTED');
  rig.detector.passedChecks('b', 'is SERVING');
  assert.equal(rig.stateOf('b'), 'WARMING');
});

test('an outlier that dies or fails its checks meanwhile has its time to the end', () => {
  for (const [leave, back] of [
    ['unreachable', 'reachable'],
    ['failedChecks', 'passedChecks'],
  ] as const) {
    const rig = new Watched(3);
    for (let n = 0; n < 5; n++) rig.end('b', Outcome.FAILURE);
    rig.advance(10_000);
    rig.detector[leave]('b', 'something else', false);
    assert.equal(rig.mesh.registry.get('b')?.healthy, false);
    rig.advance(5_000);
    rig.detector[back]('b', 'is well');
    assert.equal(rig.stateOf('b'), 'EJECTED', back);
    assert.equal(rig.mesh.registry.get('b')?.healthy, true);
    assert.match(rig.causeOf('b'), /outlier: failed 5 calls in a row; out for 30 s/);
    // It returns by itself, and that says how long it was out in all.
    rig.advance(14_800);
    assert.equal(rig.stateOf('b'), 'EJECTED');
    rig.advance(300);
    assert.equal(rig.stateOf('b'), 'WARMING');
    assert.match(rig.causeOf('b'), /over after 30 s/);
  }
});

test('of two servers one may be out for calls that failed, never both, and nobody is left without', () => {
  const rig = new Watched(2);
  const fail = (id: string) => {
    for (let n = 0; n < 5; n++) rig.end(id, Outcome.FAILURE);
    rig.advance(100);
  };
  fail('a');
  assert.equal(rig.stateOf('a'), 'EJECTED');
  for (let round = 0; round < 5; round++) fail('b');
  assert.equal(rig.stateOf('b'), 'ACTIVE');
  rig.dead('b');
  assert.ok(rig.pool.picksFrom(rig.mesh.slotOf('a')), 'panic: it is the only one that might work');
  assert.ok(rig.pick() >= 0);
});

test('an outlier that names another service first comes back when its time is over', () => {
  const rig = new Watched(3);
  for (let n = 0; n < 5; n++) rig.end('b', Outcome.FAILURE);
  rig.advance(10_000);
  rig.add(spec('b', { services: ['other.v1.Other', SERVICE] }));
  assert.equal(rig.stateOf('b'), 'EJECTED');
  rig.advance(19_800);
  assert.equal(rig.stateOf('b'), 'EJECTED');
  rig.advance(300);
  assert.equal(rig.stateOf('b'), 'WARMING');
});

test('a server that hangs loses its place within seconds, and has it back when it answers', () => {
  const rig = new Watched(3);
  for (let n = 0; n < 5; n++) {
    for (const id of ['a', 'b', 'c']) rig.report(id, { inFlight: 0, rps: 10, utilization: 0.1 });
    rig.advance(1000);
  }
  for (const id of ['a', 'b', 'c']) rig.report(id, { inFlight: 0, rps: 10 });
  const call = rig.open('b');
  const others = () => {
    for (const id of ['a', 'c']) rig.report(id, { inFlight: 0, rps: 10 });
  };
  for (let n = 0; n < 5; n++) {
    rig.advance(1000);
    others();
  }
  assert.equal(rig.stateOf('b'), 'EJECTED');
  assert.match(rig.causeOf('b'), /^hangs: 1 calls open, no answer, no report for/);
  assert.equal(rig.stateOf('a'), 'ACTIVE');
  rig.report('b', { inFlight: 1, rps: 0 });
  rig.advance(100);
  assert.equal(rig.stateOf('b'), 'WARMING');
  rig.complete(call);
});

test('silence alone, calls alone, and a stream that still says something are no hanging', () => {
  const rig = new Watched(3);
  for (let n = 0; n < 5; n++) {
    for (const id of ['a', 'b', 'c']) rig.report(id, { inFlight: 0, rps: 10 });
    rig.now += 1000;
  }
  // a: silent and idle. b: silent, with calls that end. c: reports, with a call that stays open.
  rig.open('c');
  for (let n = 0; n < 40; n++) {
    rig.end('b', Outcome.SUCCESS);
    rig.report('c', { inFlight: 1, rps: 10 });
    rig.advance(500);
  }
  assert.deepEqual(
    ['a', 'b', 'c'].map(id => rig.stateOf(id)),
    ['ACTIVE', 'ACTIVE', 'ACTIVE'],
  );
  // Octets of its answer come.
  rig.open('a');
  for (let n = 0; n < 20; n++) {
    rig.heard = rig.now;
    rig.advance(500);
  }
  assert.equal(rig.stateOf('a'), 'ACTIVE');
});

test('a process that stood still takes nobody for hung when it wakes', () => {
  const rig = new Watched(3);
  for (let n = 0; n < 5; n++) {
    for (const id of ['a', 'b', 'c']) rig.report(id, { inFlight: 1, rps: 10 });
    rig.advance(1000);
  }
  for (const id of ['a', 'b', 'c']) rig.open(id);
  // Long enough silent to be watched, not long enough to be given up.
  rig.advance(2_500);
  rig.now += 60_000;
  rig.detector.look(rig.now);
  rig.now += 100;
  rig.detector.look(rig.now);
  for (const id of ['a', 'b', 'c']) rig.report(id, { inFlight: 1, rps: 10 });
  rig.advance(2000);
  assert.deepEqual(
    ['a', 'b', 'c'].map(id => rig.stateOf(id)),
    ['ACTIVE', 'ACTIVE', 'ACTIVE'],
  );
});

test('an unreachable server is out until it is reached; outliers are not returned by that', () => {
  const rig = new Watched(3);
  rig.dead('a');
  assert.equal(rig.stateOf('a'), 'EJECTED');
  rig.detector.reachable('a', 'reached again');
  assert.equal(rig.stateOf('a'), 'WARMING');
  for (let n = 0; n < 5; n++) rig.end('b', Outcome.FAILURE);
  rig.advance(100);
  rig.detector.reachable('b', 'reached again');
  assert.equal(rig.stateOf('b'), 'EJECTED');
});

test('below half of healthy servers health is ignored, and above it heeded again', () => {
  const rig = new Watched(5);
  for (const id of ['a', 'b', 'c']) rig.detector.failedChecks(id, 'NOT_SERVING', false);
  rig.advance(100);
  assert.deepEqual(rig.detector.panicking(), [SERVICE]);
  const leases = Array.from({ length: 50 }, () => rig.pickId());
  assert.equal(new Set(leases.map(one => one.id)).size, 5);
  for (const { lease } of leases) rig.complete(lease);
  rig.verify();
  rig.detector.passedChecks('a', 'SERVING');
  rig.advance(100);
  assert.deepEqual(rig.detector.panicking(), []);
  const calm = new Set(
    Array.from({ length: 50 }, () => {
      const { lease, id } = rig.pickId();
      rig.complete(lease);
      return id;
    }),
  );
  assert.deepEqual([...calm].sort(), ['a', 'd', 'e']);
  rig.verify();
});

test('the dead are no reason for panic, and are tried only where nobody else is left', () => {
  const rig = new Watched(3);
  rig.dead('a');
  rig.dead('b');
  rig.advance(100);
  assert.deepEqual(rig.detector.panicking(), []);
  assert.equal(rig.pickId().id, 'c');
  // At once, without a look in between.
  rig.dead('c');
  assert.deepEqual(rig.detector.panicking(), [SERVICE]);
  assert.ok(rig.pick() >= 0);
  // One that might work goes before those that do not.
  rig.detector.failedChecks('b', 'NOT_SERVING', false);
  rig.advance(100);
  for (let n = 0; n < 10; n++) assert.equal(rig.pickId().id, 'b');
  rig.verify();
});

test('without panic a pool without a healthy server answers so', () => {
  const rig = new Watched(2, { panicBelow: 0 });
  rig.dead('a');
  rig.dead('b');
  rig.advance(100);
  assert.equal(rig.pick(), PickFailure.NONE_HEALTHY);
});

test('who loses most of its backends suspects itself: its observations are no advice, until one answers', () => {
  const rig = new Watched(6);
  const proposals: Proposal[] = [];
  const store = new PlainStore();
  const tellOther = (proposal: Proposal) => {
    proposals.push(proposal);
    apply(store, proposal);
  };
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
    tellOther({
      origin: 'lb-2',
      epoch: 1,
      n: 1,
      time: 0,
      cause: '',
      body: { kind: 'claim', source: 'config', spec: spec(id) },
    });
  }
  const { registry } = rig.mesh;
  const propose = registry.propose.bind(registry);
  const options = registry as unknown as { propose: typeof propose };
  options.propose = (body, cause, preconditions) => {
    const settled = propose(body, cause, preconditions);
    const doubting = rig.detector.suspectsItself;
    if (body.kind === 'observe') {
      const observation = { ...body.observation, ...(doubting && { doubtful: true }) };
      tellOther({ origin: 'lb-1', epoch: 1, n: 1, time: 0, cause, body: { ...body, observation } });
    }
    return settled;
  };
  const advised = () =>
    ['a', 'b', 'c', 'd', 'e', 'f'].filter(id => {
      const record = store.get(id);
      return record !== undefined && viewOf(record, 'lb-2')?.advice !== undefined;
    });
  for (const id of ['a', 'b', 'c']) rig.dead(id);
  assert.deepEqual(advised(), ['a', 'b', 'c']);
  rig.dead('d');
  assert.equal(rig.detector.suspectsItself, true);
  rig.dead('e');
  rig.advance(100);
  assert.deepEqual(advised(), []);
  // Its own picks avoid what it cannot reach.
  for (let n = 0; n < 5; n++) assert.equal(rig.pickId().id, 'f');
  rig.detector.reachable('b', 'reached again');
  assert.equal(rig.detector.suspectsItself, false);
  rig.advance(100);
  assert.deepEqual(advised(), ['a', 'c', 'd', 'e']);
});

test('an unhealthy standby is not activated, a recovered one is', () => {
  const rig = new Watched(1);
  rig.add(spec('s', { standby: true }));
  rig.detector.failedChecks('s', '3 checks failed', true);
  assert.equal(rig.mesh.registry.get('s')?.healthy, false);
  rig.propose({ kind: 'activate', id: 's' });
  assert.equal(rig.stateOf('s'), 'STANDBY');
  rig.detector.passedChecks('s', 'SERVING');
  assert.equal(rig.mesh.registry.get('s')?.healthy, true);
  rig.propose({ kind: 'activate', id: 's' });
  assert.equal(rig.stateOf('s'), 'WARMING');
});

test('what an earlier life has ejected is tried again', () => {
  const rig = new Rig();
  for (const id of ['a', 'b']) rig.addWarm(spec(id));
  rig.propose({ kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: false } });
  const detector = new Detector({
    mesh: rig.mesh,
    rulesOf: () => ({ outliers: OUTLIER_DEFAULTS, panicBelow: 0.5 }),
    suspicionMs: 5000,
    random: randomOf(1),
  });
  rig.now += OUTLIER_DEFAULTS.baseEjectionMs;
  detector.look(rig.now);
  assert.equal(rig.mesh.registry.get('a')?.state, 'WARMING');
});

test('each change of state says why', () => {
  const rig = new Watched(6);
  for (let n = 0; n < 5; n++) rig.end('a', Outcome.FAILURE);
  rig.dead('b');
  rig.detector.failedChecks('c', 'check: NOT_SERVING', false);
  rig.advance(31_000);
  for (const line of rig.told) assert.match(line, /: \S.{5,}|: test$/);
  assert.ok(rig.told.some(line => /^a EJECTED: outlier: failed 5/.test(line)));
  assert.ok(rig.told.some(line => /^a WARMING: its ejection is over/.test(line)));
});
