/** Several balancers: learned, dropped, and reached by two addresses. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { LoadReporter } from '../../src/backend/backend.ts';
import { eventOf, FakeBalancer, type ReportStreamPeer, reporterFor } from './support.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function balancerThat(onStream?: (stream: ReportStreamPeer) => void): Promise<FakeBalancer> {
  const balancer = await FakeBalancer.start(onStream);
  cleanups.push(() => balancer.stop());
  return balancer;
}

function reporting(...args: Parameters<typeof reporterFor>): LoadReporter {
  const reporter = reporterFor(...args);
  cleanups.push(() => reporter.close());
  return reporter;
}

function phases(reporter: LoadReporter): Record<string, string> {
  return Object.fromEntries(reporter.state.balancers.map(({ address, phase }) => [address, phase]));
}

test('reports to every balancer that is named, each at its own interval', async () => {
  const one = await balancerThat();
  const two = await balancerThat();
  const reporter = reporting([one.address]);
  const started = reporter.start();
  const streamOne = await one.next();
  const both = [one.address, two.address];
  await streamOne.accept({ instanceId: 'lb-1', controlAddresses: both, intervalMs: 10 });
  await started;
  const streamTwo = await two.next();
  await streamTwo.accept({ instanceId: 'lb-2', controlAddresses: both, intervalMs: 40 });
  await Promise.all([streamOne.nextLoad(), streamTwo.nextLoad()]);
  assert.deepEqual(
    reporter.state.balancers.map(({ configured, reportIntervalMs }) => [configured, reportIntervalMs]),
    [
      [true, 10],
      [false, 40],
    ],
  );
  // One of them fails; the other does not notice.
  const lost = eventOf(reporter, 'disconnected');
  two.stop();
  assert.equal((await lost).balancer, two.address);
  await streamOne.nextLoad();
  assert.equal(reporter.state.phase, 'registered');
});

test('a balancer that nobody names any more gets no farewell and no reports', async () => {
  const one = await balancerThat();
  const two = await balancerThat();
  const reporter = reporting([one.address]);
  const started = reporter.start();
  const streamOne = await one.next();
  await streamOne.accept({ instanceId: 'lb-1', controlAddresses: [two.address] });
  await started;
  const streamTwo = await two.next();
  await streamTwo.accept({ instanceId: 'lb-2', controlAddresses: [] });
  await eventOf(reporter, 'registered');
  streamOne.registered({ instanceId: 'lb-1', controlAddresses: [] });
  await streamTwo.ended;
  assert.ok(streamTwo.messages.every(({ kind }) => kind?.$case !== 'deregistration'));
  assert.deepEqual(phases(reporter), { [one.address]: 'registered' });
});

test('what a balancer named is kept while that balancer is away', async () => {
  const one = await balancerThat();
  const two = await balancerThat();
  const reporter = reporting([one.address]);
  const started = reporter.start();
  const streamOne = await one.next();
  await streamOne.accept({ instanceId: 'lb-1', controlAddresses: [two.address] });
  await started;
  const streamTwo = await two.next();
  await streamTwo.accept({ instanceId: 'lb-2', controlAddresses: [two.address] });
  const lost = eventOf(reporter, 'disconnected');
  one.stop();
  await lost;
  await streamTwo.nextLoad();
  assert.deepEqual(phases(reporter), { [one.address]: 'waiting', [two.address]: 'registered' });
});

test('a balancer that is away has no say in who is named', async () => {
  const [one, two, three] = [await balancerThat(), await balancerThat(), await balancerThat()];
  const reporter = reporting([one.address]);
  const started = reporter.start();
  await (await one.next()).accept({ instanceId: 'lb-1', controlAddresses: [two.address, three.address] });
  await started;
  const streamTwo = await two.next();
  await streamTwo.accept({ instanceId: 'lb-2', controlAddresses: [two.address, three.address] });
  const streamThree = await three.next();
  const lost = eventOf(reporter, 'disconnected');
  one.stop();
  await lost;
  streamTwo.registered({ instanceId: 'lb-2', controlAddresses: [two.address] });
  await streamThree.ended;
  assert.deepEqual(phases(reporter), { [one.address]: 'waiting', [two.address]: 'registered' });
});

test('two addresses of one instance: one stream, and the other address when it is lost', async () => {
  // As a balancer does: the later stream of a backend takes the earlier one over.
  let current: ReportStreamPeer | undefined;
  const takeOver = (stream: ReportStreamPeer) => {
    void stream.accept({ instanceId: 'lb-1' });
    current?.fail(status.ABORTED, 'taken over by a later stream');
    current = stream;
  };
  const one = await balancerThat(takeOver);
  const two = await balancerThat(takeOver);
  const reporter = reporting([one.address, two.address]);
  let registrations = 0;
  reporter.on('registered', () => {
    registrations += 1;
  });
  const second = eventOf(reporter, 'registered', () => registrations === 2);
  await reporter.start({ until: 'all' });
  await second;
  assert.deepEqual(Object.values(phases(reporter)).sort(), ['asleep', 'registered']);
  const [awake, asleep] = phases(reporter)[one.address] === 'registered' ? [one, two] : [two, one];
  await current?.nextLoad();
  await current?.nextLoad();
  // Neither takes the stream back from the other.
  assert.equal(one.opened + two.opened, 2);
  const back = eventOf(reporter, 'registered', ({ balancer }) => balancer === asleep.address);
  awake.stop();
  await back;
});

test('the number of balancers is bounded', async () => {
  const one = await balancerThat();
  const warnings: string[] = [];
  const reporter = reporting([one.address], {
    logger: { info: () => {}, warn: message => void warnings.push(message), error: () => {} },
  });
  const started = reporter.start();
  const controlAddresses = Array.from({ length: 100 }, (_, index) => `127.0.0.1:${index + 1}`);
  await (await one.next()).accept({ controlAddresses });
  await started;
  assert.equal(reporter.state.balancers.length, 64);
  assert.ok(warnings.some(warning => warning.includes('more than 64 balancers')));
});
