/** A pool in which hundreds fail one after the other: each look goes over all, so that there must not be one each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { Scaling } from '../../src/scaling/scaling.ts';
import { StandbyProvider } from '../../src/scaling/standby.ts';
import { Rig, spec } from '../core/rig.ts';

const SERVERS = 500;
/** What a look takes here at least, as at a pool of ten thousand. */
const LOOK_MS = 5;

test('hundreds that fail one after the other take a few looks, the first at once and the last one too', async t => {
  const rig = new Rig();
  const { mesh } = rig;
  for (let i = 0; i < SERVERS; i++) rig.addWarm(spec(`s${i}`));
  let looks = 0;
  const answers = mesh.registry.answers.bind(mesh.registry);
  t.mock.method(mesh.registry, 'answers', () => {
    looks++;
    for (const until = performance.now() + LOOK_MS; performance.now() < until; );
    return answers();
  });
  const provider = new StandbyProvider(mesh.registry);
  const asked = t.mock.method(provider, 'add');
  const rules = { threshold: 0.8, forMs: 100, cooldownMs: 100, scaleInBelow: 0.1, stableMs: 100, max: 1_000 };
  const around = { mesh, rules, provider, wall: () => 0, suspectsItself: () => false, onDecision() {} };
  const scaling = new Scaling(around);
  t.after(() => scaling.close());

  const observation = { phase: 'ejected', healthy: false } as const;
  for (let i = 0; i < SERVERS; i++) {
    rig.propose({ kind: 'observe', id: `s${i}`, observation });
    await turn();
    if (i === 0) assert.equal(looks, 1);
  }
  assert.ok(looks < SERVERS / 2, `${looks} looks`);
  const answered = () => asked.mock.calls.some(call => call.arguments[0].server === `s${SERVERS - 1}`);
  while (!answered()) await sleep(5);
});
