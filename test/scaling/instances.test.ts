/** Instances that share a log decide alike, and act once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mesh } from '../../src/core/mesh.ts';
import { type Decided, Scaling, StandbyProvider } from '../../src/scaling/scaling.ts';
import { LogLink } from '../../src/state/follow.ts';
import { MemoryLog } from '../../src/state/memory-log.ts';
import { spec } from '../core/rig.ts';
import { until } from './rig.ts';

const RULES = {
  threshold: 0.8,
  forMs: 100,
  cooldownMs: 60_000,
  scaleInBelow: 0,
  stableMs: 1_000,
  max: 10,
};

test('one failure, three instances with a view of their own: one replacement', async t => {
  const log = new MemoryLog();
  const instances = ['lb-1', 'lb-2', 'lb-3'].map(instanceId => {
    const link = new LogLink(log);
    const mesh = new Mesh({
      instanceId,
      epoch: 1,
      append: link.append,
      wallClock: Date.now,
      clock: () => performance.now(),
      random: () => 0,
    });
    link.follow(mesh.registry);
    const decisions: Decided[] = [];
    const scaling = new Scaling({
      mesh,
      rules: RULES,
      provider: new StandbyProvider(mesh.registry),
      wall: Date.now,
      suspectsItself: () => false,
      onDecision: decided => decisions.push(decided),
    });
    t.after(() => scaling.close());
    return { mesh, decisions };
  });
  const [first] = instances;
  assert.ok(first);
  const { registry } = first.mesh;
  for (const id of ['a', 'b'])
    await registry.propose({ kind: 'claim', source: 'config', spec: spec(id) }, 'test');
  for (const id of ['s1', 's2', 's3']) {
    const standby = spec(id, { standby: true });
    await registry.propose({ kind: 'claim', source: 'config', spec: standby }, 'test');
  }
  const states = () => ['s1', 's2', 's3'].map(id => registry.get(id)?.state);
  // Each sees it for itself, in the same moment.
  for (const { mesh } of instances) {
    const observation = { phase: 'ejected', healthy: false } as const;
    void mesh.registry.propose({ kind: 'observe', id: 'a', observation }, 'test');
  }
  await until(
    () => instances.every(({ decisions }) => decisions.length > 0 || states()[0] === 'WARMING'),
    'it',
  );
  await new Promise(resolve => setTimeout(resolve, 1_200));
  assert.deepEqual(states(), ['WARMING', 'STANDBY', 'STANDBY']);
  const added = instances.flatMap(({ decisions }) =>
    decisions.filter(one => one.result.startsWith('activated')),
  );
  assert.deepEqual(
    added.map(({ server, cause }) => [server, cause]),
    [['s1', 'a fails']],
  );
  // All see the same overload: one more.
  for (const { mesh } of instances) {
    const report = { inFlight: 1, utilization: 0.95, rps: 10, eps: 0, windowMs: 100 };
    const timer = setInterval(() => mesh.report(mesh.slotOf('b'), report, mesh.now()), 20);
    t.after(() => clearInterval(timer));
  }
  await until(() => states()[1] === 'WARMING', 'the second one');
  await new Promise(resolve => setTimeout(resolve, 1_200));
  assert.deepEqual(states(), ['WARMING', 'WARMING', 'STANDBY']);
});
