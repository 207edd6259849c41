/** What is decided in vain, or answered by a server that does not come, and a provider that cannot do what it should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CommandProvider,
  type Decided,
  type Provider,
  Scaling,
  StandbyProvider,
} from '../../src/scaling/scaling.ts';
import { Rig, SERVICE, spec } from '../core/rig.ts';

test('servers that fail while no standby is there: each is told once, and is one line of the decisions', async t => {
  const rig = new Rig();
  for (const id of ['a', 'b', 'c']) rig.addWarm(spec(id));
  const told: string[] = [];
  const scaling = new Scaling({
    mesh: rig.mesh,
    rules: {
      threshold: 0.8,
      forMs: 1_000,
      cooldownMs: 1_000,
      scaleInBelow: 0,
      stableMs: 1_000,
      max: 10,
    },
    provider: new StandbyProvider(rig.mesh.registry),
    wall: () => rig.now,
    suspectsItself: () => false,
    onDecision: ({ because, cause, result }: Decided) => told.push(`${because}: ${cause}: ${result}`),
  });
  t.after(() => scaling.close());
  for (const id of ['a', 'b']) {
    rig.propose({ kind: 'observe', id, observation: { phase: 'ejected', healthy: false } });
  }
  for (let n = 0; n < 60; n++) {
    rig.now += 500;
    rig.report('c', { utilization: 0.95 });
    scaling.look();
    await new Promise(setImmediate);
  }
  assert.equal(told.filter(line => line.startsWith('failure: a fails')).length, 1);
  assert.equal(told.filter(line => line.startsWith('failure: b fails')).length, 1);
  assert.equal(scaling.status().decisions.length, told.length);
  // What comes of it in the end is told.
  rig.add(spec('s', { standby: true }));
  for (let n = 0; n < 20; n++) {
    rig.now += 500;
    scaling.look();
    await new Promise(setImmediate);
  }
  assert.ok(told.includes('failure: a fails: activated the standby s'));
});

/** Standbys, as a provider whose servers take their time to come. */
class Patient extends StandbyProvider {
  override readonly patienceMs = 3_000;
}

function scalingOf(rig: Rig, provider: Provider): Scaling {
  return new Scaling({
    mesh: rig.mesh,
    rules: { threshold: 0.8, forMs: 1_000, cooldownMs: 1_000, scaleInBelow: 0, stableMs: 1_000, max: 10 },
    provider,
    wall: () => rig.now,
    suspectsItself: () => false,
    onDecision: () => {},
  });
}

/** Looks each half second until it is so; returns after how long, ms. */
async function lookUntil(rig: Rig, scaling: Scaling, holds: () => boolean): Promise<number> {
  const from = rig.now;
  while (!holds()) {
    assert.ok(rig.now - from < 60_000, 'never');
    rig.now += 500;
    rig.report('b', { utilization: 0.95 });
    scaling.look();
    await new Promise(setImmediate);
  }
  return rig.now - from;
}

test('an answer by an instance that ends before its server comes is waited for, and then given by another', async t => {
  const rig = new Rig();
  for (const id of ['a', 'b']) rig.addWarm(spec(id));
  rig.add(spec('s1', { standby: true }));
  rig.add(spec('s2', { standby: true }));
  // By another instance, which says no more.
  rig.propose({ kind: 'answer', failure: 'failure of a', id: 'never' });
  const scaling = scalingOf(rig, new Patient(rig.mesh.registry));
  t.after(() => scaling.close());
  rig.propose({ kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: false } });
  const state = (id: string) => rig.mesh.registry.get(id)?.state;
  const causes = () => scaling.status().decisions.map(({ cause }) => cause);
  const waited = await lookUntil(rig, scaling, () => causes().includes('a fails'));
  assert.ok(waited > 3_000 && waited <= 8_500, `${waited}`);
  await lookUntil(rig, scaling, () => state('s2') === 'WARMING');
});

test('who answered, came, and is gone again is not waited for', async t => {
  const rig = new Rig();
  for (const id of ['a', 'b']) rig.addWarm(spec(id));
  rig.add(spec('s1', { standby: true }));
  const scaling = scalingOf(rig, new Patient(rig.mesh.registry));
  t.after(() => scaling.close());
  const eject = () =>
    rig.propose({ kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: false } });
  const state = (id: string) => rig.mesh.registry.get(id)?.state;
  eject();
  while (state('s1') !== 'WARMING') await new Promise(setImmediate);
  rig.report('a', { utilization: 0.1 });
  rig.propose({ kind: 'observe', id: 'a', observation: { phase: 'warming', healthy: true } });
  scaling.look();
  rig.propose({ kind: 'unclaim', source: 'config', id: 's1', how: 'left' });
  rig.add(spec('s2', { standby: true }));
  scaling.look();
  eject();
  // A look that took long is followed by a rest.
  while (state('s2') !== 'WARMING') await new Promise(setImmediate);
});

test('a program that Node does not even try to run is an attempt that failed', async () => {
  const rig = new Rig();
  const told: string[] = [];
  const provider = new CommandProvider({
    registry: rig.mesh.registry,
    settings: { command: ['true', 'a\0b'], timeoutMs: 1_000, attempts: 1 },
    control: '127.0.0.1:1',
    env: process.env,
    unique: () => '1',
    faultOf: () => undefined,
    log: message => told.push(message),
  });
  provider.drained('s1', 'quiet');
  const want = { service: SERVICE, failure: 'f', server: 'a', zone: '', cause: 'a fails' };
  const added = await provider.add({ ...want, because: 'failure' });
  assert.match(added.kind === 'none' ? added.why : '', /^'true' cannot be run: .*null bytes/);
  assert.match(told[0] ?? '', /^scaling: s1 was not removed: 'true' cannot be run: .*null bytes/);
});

test('a provider that is closed does not wait for a server that has yet to register', async () => {
  const rig = new Rig();
  const provider = new CommandProvider({
    registry: rig.mesh.registry,
    settings: { command: ['true'], timeoutMs: 60_000, attempts: 3 },
    control: '127.0.0.1:1',
    env: process.env,
    unique: () => '1',
    faultOf: () => undefined,
    log: () => {},
  });
  const want = {
    service: SERVICE,
    failure: 'f',
    because: 'failure',
    server: 'a',
    zone: '',
    cause: 'a fails',
  };
  const added = provider.add({ ...want, because: 'failure' });
  await new Promise(resolve => setTimeout(resolve, 200));
  await provider.close();
  assert.deepEqual(await added, { kind: 'none', why: 'this instance ends' });
});
