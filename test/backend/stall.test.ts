/** A balancer that is connected and takes nothing: in a file of its own, since it takes its ten seconds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventOf, FakeBalancer, reporterFor } from './support.ts';

test('reports do not pile up for a balancer that does not read, and it is given up', async () => {
  const balancer = await FakeBalancer.start();
  const names = Array.from({ length: 64 }, (_, index) => `${index}${'n'.repeat(250)}`);
  const bulk = Object.fromEntries(names.map(name => [name, 1]));
  const reporter = reporterFor([balancer.address], { namedMetrics: () => bulk });
  try {
    const started = reporter.start();
    const stream = await balancer.next();
    await stream.accept({ intervalMs: 10 });
    await started;
    stream.pause();
    const { message } = await eventOf(reporter, 'disconnected');
    assert.match(message, /has taken nothing for 10000 ms/);
    // About 16 KiB each: what the windows of HTTP/2 and the socket hold, and no more.
    const reports = reporter.state.balancers[0]?.reports ?? 0;
    assert.ok(reports < 400, `${reports} of about 1,000 were written`);
    const back = eventOf(reporter, 'registered');
    await (await balancer.next()).accept();
    await back;
  } finally {
    await reporter.close();
    balancer.stop();
  }
});
