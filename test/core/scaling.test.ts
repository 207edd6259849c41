/** The rule of scaling: when one more server joins, and when it goes again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ScalingDecision, ScalingRule, type ScalingRules, Sightings } from '../../src/core/scaling.ts';

const RULES: ScalingRules = {
  threshold: 0.8,
  forMs: 10_000,
  cooldownMs: 30_000,
  scaleInBelow: 0.4,
  stableMs: 60_000,
  max: 3,
};

/** A pool whose additions come at once. */
class Life {
  now = 0;
  readonly rule: ScalingRule;
  readonly load: Record<string, number>;
  readonly failed = new Set<string>();
  readonly added: string[] = [];
  readonly log: string[] = [];
  readonly causes: string[] = [];
  /** Whether what is decided is done. */
  works = true;

  constructor(load: Record<string, number>, rules: Partial<ScalingRules> = {}) {
    this.rule = new ScalingRule({ ...RULES, ...rules });
    this.load = load;
  }

  run(ms: number, spread = false): string[] {
    const from = this.log.length;
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 500;
      const servers = new Sightings();
      for (const [id, utilization] of Object.entries(this.load)) {
        servers.add(id, this.failed.has(id), utilization);
      }
      for (const decision of this.rule.look(servers, this.added, 0, this.now)) this.do(decision, spread);
    }
    return this.log.slice(from);
  }

  private do(decision: ScalingDecision, spread: boolean): void {
    this.causes.push(decision.cause);
    if (!this.works) {
      this.log.push(`${this.now}: refused`);
      this.rule.refused(decision, this.now);
      return;
    }
    if (decision.kind === 'drain') {
      this.rule.answered(decision, this.now);
      this.log.push(`${this.now}: drain ${decision.server}`);
      this.added.splice(this.added.indexOf(decision.server), 1);
      delete this.load[decision.server];
      return;
    }
    const id = `s${this.added.length + 1}`;
    this.rule.answered(decision, this.now, id);
    this.log.push(`${this.now}: ${decision.because} of ${decision.server}`);
    this.added.push(id);
    const sum = Object.values(this.load).reduce((total, each) => total + each, 0);
    const servers = Object.keys(this.load);
    this.load[id] = spread ? 0 : 0.5;
    if (spread) for (const each of [...servers, id]) this.load[each] = sum / (servers.length + 1);
  }
}

test('a server over the threshold for the time brings one, and one that only peaks does not', () => {
  const life = new Life({ a: 0.9, b: 0.5 });
  assert.deepEqual(life.run(9_500), []);
  life.load.a = 0.7;
  life.run(1_000);
  life.load.a = 0.9;
  // Above nine tenths of the threshold it is not relieved: the time goes on.
  assert.deepEqual(life.run(5_000), []);
  life.load.a = 0.75;
  assert.deepEqual(life.run(6_000), ['21000: load of a']);
});

test('hysteresis: relieved is below nine tenths of the threshold; answered once, until then', () => {
  const life = new Life({ a: 0.9, b: 0.5 });
  assert.deepEqual(life.run(200_000), ['10500: load of a']);
  life.load.a = 0.75;
  life.run(1_000);
  life.load.a = 0.9;
  assert.deepEqual(life.run(20_000), []);
  life.load.a = 0.7;
  life.run(1_000);
  life.load.a = 0.95;
  assert.equal(life.run(20_000).length, 1);
});

test('all are over at once: one, and one more each cool-down as long as the mean is over', () => {
  const load = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`x${i}`, 0.95]));
  const life = new Life(load);
  assert.deepEqual(life.run(35_000), ['10500: load of x0']);
  // The mean stays over: 30 s after the first one, and at most three.
  assert.deepEqual(life.run(300_000), ['40500: load of x0', '70500: load of x0']);
  const calm = new Life({ a: 0.9, b: 0.9, c: 0.9 });
  assert.deepEqual(calm.run(300_000, true), ['10500: load of a'], 'the load spreads, and that is enough');
});

test('each failure is answered once and at once, cool-down or not, and again after a return', () => {
  const life = new Life({ a: 0.5, b: 0.5, c: 0.5 });
  life.failed.add('a').add('b');
  assert.deepEqual(life.run(60_000), ['500: failure of a', '500: failure of b']);
  life.failed.delete('a');
  life.run(500);
  life.failed.add('a');
  assert.deepEqual(life.run(60_000), ['61000: failure of a']);
  life.failed.add('c');
  assert.deepEqual(life.run(60_000), [], 'three is the most');
});

test('what could not be done is tried again after a while', () => {
  const life = new Life({ a: 0.5 });
  life.failed.add('a');
  life.works = false;
  assert.deepEqual(life.run(11_000), ['500: refused', '5500: refused', '10500: refused']);
  life.works = true;
  assert.deepEqual(life.run(10_000), ['15500: failure of a']);
});

test('scale-in: the last that was added, after the stable window, one at a time, never what would bring it back', () => {
  const life = new Life({ a: 0.9, b: 0.9 });
  life.run(11_000);
  life.failed.add('b');
  life.run(1_000);
  assert.deepEqual(life.added, ['s1', 's2']);
  life.failed.delete('b');
  for (const id of Object.keys(life.load)) life.load[id] = 0.3;
  const begun = life.now;
  const drains = life.run(200_000);
  assert.deepEqual(
    drains.map(line => line.split(': ')[1]),
    ['drain s2', 'drain s1'],
  );
  const [first, second] = drains.map(line => Number.parseInt(line, 10));
  assert.ok(first === begun + 60_500 && second === (first ?? 0) + 60_500, drains.join());
  // Low, but one server could not carry what two do.
  const pair = new Life({ a: 0.39 }, { scaleInBelow: 0.5 });
  pair.added.push('s1');
  pair.load.s1 = 0.39;
  assert.deepEqual(pair.run(200_000), []);
  // Nobody reports: nothing is known of the load.
  const blind = new Life({ a: Number.NaN, s1: Number.NaN });
  blind.added.push('s1');
  assert.deepEqual(blind.run(200_000), []);
});

test('a server that others have added relieves as well, and begins the cool-down', () => {
  const life = new Life({ a: 0.95, b: 0.95 });
  life.run(9_000);
  life.load.x = 0.95;
  assert.deepEqual(life.run(29_000), [], 'not yet: one has just come');
  // That one is over the threshold itself, and nobody has come for it since.
  assert.deepEqual(life.run(5_000), ['39500: load of x']);
});

test('a server that comes in the look in which an overload is first seen has not relieved it', () => {
  const life = new Life({ a: 0.5 });
  life.run(1_000);
  life.load.a = life.load.b = 0.95;
  assert.deepEqual(life.run(10_500), ['11500: load of a'], 'no cool-down has begun');
  assert.equal(
    life.causes.at(-1),
    'a is at 95 % and has been over the threshold 80 % for 10.0 s; mean of the pool 95 %',
  );
  // A third comes with it: only what was over before is answered by it.
  const other = new Life({ a: 0.95, b: 0.5 });
  other.run(5_000);
  other.load.b = 0.95;
  other.load.c = 0.5;
  assert.deepEqual(other.run(35_500), ['35500: load of b']);
});
