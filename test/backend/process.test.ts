/** Whole processes: signals, and that nothing keeps a process alive that is done. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { rig } from '../control/rig.ts';
import { deadAddress, killChildren, run } from './support.ts';

afterEach(killChildren);

test('a second signal ends at once', { timeout: 20_000 }, async () => {
  await rig({}, async balancer => {
    const script = `
      import { createLoadReporter } from 'heapmesh/backend';
      const server = { forceShutdown() {}, tryShutdown(done) { done(); } };
      const reporter = createLoadReporter({ balancers: [process.env.BALANCER], address: ':1', services: ['*'] });
      reporter.callStarted();
      reporter.handleSignals(server);
      reporter.on('phase', ({ phase }) => console.log(phase));
      await reporter.start();`;
    const { child, output } = run(['--input-type=module', '-e', script], balancer.address);
    await balancer.until(() => output().includes('registered'));
    child.kill('SIGTERM');
    await balancer.until(() => output().includes('draining'));
    child.kill('SIGTERM');
    // 128 + 15
    assert.deepEqual(await once(child, 'exit'), [143, null]);
  });
});

test('a reporter that is done, or whose balancers are away, keeps no process alive', {
  timeout: 20_000,
}, async () => {
  const script = `
    import { createLoadReporter } from 'heapmesh/backend';
    const reporter = createLoadReporter({
      balancers: [process.env.BALANCER], address: ':1', services: ['*'], logger: { info() {}, warn() {}, error() {} },
    });
    await reporter.start({ timeoutMs: 200 }).catch(error => console.log(error.code));
    process.on('exit', () => console.log(reporter.state.phase));`;
  const { child, output } = run(['--input-type=module', '-e', script], await deadAddress());
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.equal(output(), 'timeout\nstarting\n');
});
