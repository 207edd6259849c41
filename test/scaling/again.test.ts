/** What is decided in vain again and again, and a provider that is closed while it waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandProvider, type Decided, Scaling, StandbyProvider } from '../../src/scaling/scaling.ts';
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
