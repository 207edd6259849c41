import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRig, until, upstreamFor } from '../proxy/rig.ts';
import { freePort } from '../support/program.ts';
import { heapmesh } from './harness.ts';

test('diagnose says what is wrong and what to do, and exits with 1 where it is critical', async t => {
  const rig = await startRig(t, [`127.0.0.1:${await freePort()}`]);
  const { admin } = rig.addresses;
  const caller = await rig.caller();
  await caller.call();
  await until(() => rig.mesh.registry.get('a')?.state === 'EJECTED');
  const { code, stdout } = await heapmesh(['diagnose', '--admin', admin]);
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^lb-1, the last \d+ s\n\ncritical {2}No backend takes calls: \*\n {10}No backend of \* takes calls/,
  );
  assert.match(stdout, /a is EJECTED \(the proxy: cannot be reached: connect ECONNREFUSED/);
  assert.match(stdout, /\n {10}→ Look at the network/);
  const json = await heapmesh(['diagnose', '-o', 'json', '--admin', admin]);
  assert.equal(json.code, 1);
  const { instance, findings } = JSON.parse(json.stdout);
  assert.equal(instance, 'lb-1');
  const [{ rule, severity, scope, key, figures }] = findings;
  assert.deepEqual(
    [rule, severity, scope, key, figures.backends],
    ['no-backend', 'critical', 'pool', '*', 1],
  );
});

test('diagnose exits with 0 where nothing is critical', async t => {
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address]);
  const { code, stdout } = await heapmesh(['diagnose', '--admin', rig.addresses.admin]);
  assert.equal(code, 0);
  assert.match(stdout, /^nothing found \(lb-1, the last \d+ s\)\n$/);
});

test('diagnose says so where no balancer answers', async t => {
  const nobody = await heapmesh(['diagnose', '--admin', `127.0.0.1:${await freePort()}`]);
  assert.equal(nobody.code, 1);
  assert.match(
    nobody.stderr,
    /no balancer answers at 127\.0\.0\.1:\d+ \(.*ECONNREFUSED.*\): start one with `heapmesh serve`/,
  );
  const upstream = await upstreamFor(t);
  const rig = await startRig(t, [upstream.address]);
  const wrong = await heapmesh(['diagnose', '--admin', rig.addresses.control]);
  assert.equal(wrong.code, 1);
});
