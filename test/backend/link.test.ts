/** What a reporter says on its streams, and what it does when they end. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { LoadReporter } from '../../src/backend/backend.ts';
import { durationOf, millisOf } from '../../src/grpc/duration.ts';
import { deadAddress, eventOf, FakeBalancer, type ReportStreamPeer, reporterFor } from './support.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function balancerThat(onStream?: (stream: ReportStreamPeer) => void, port = 0): Promise<FakeBalancer> {
  const balancer = await FakeBalancer.start(onStream, port);
  cleanups.push(() => balancer.stop());
  return balancer;
}

function reporting(...args: Parameters<typeof reporterFor>): LoadReporter {
  const reporter = reporterFor(...args);
  cleanups.push(() => reporter.close());
  return reporter;
}

test('registers first, then reports at the interval it is told, numbered and with windows', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address], {
    id: 'a',
    weight: 2,
    zone: 'z1',
    labels: { version: '7' },
    maxConcurrency: 9,
    standby: true,
  });
  const started = reporter.start({ address: ':50099' });
  assert.equal(reporter.state.phase, 'starting');
  const stream = await balancer.next();
  assert.deepEqual(await stream.accept({ id: 'a', instanceId: 'lb-1', intervalMs: 20 }), {
    id: 'a',
    address: ':50099',
    services: ['test.v1.Calls'],
    weight: 2,
    zone: 'z1',
    labels: { version: '7' },
    maxConcurrency: 9,
    standby: true,
  });
  await started;
  assert.equal(reporter.state.phase, 'registered');
  const call = reporter.callStarted();
  reporter.callStarted().end(status.INTERNAL);
  await stream.nextLoad();
  const load = await stream.nextLoad();
  assert.equal(load.namedMetrics.in_flight, 1);
  call.end();
  await stream.nextLoad(({ namedMetrics }) => namedMetrics.in_flight === 0);

  assert.deepEqual(
    stream.messages.map(message => Number(message.sequence)),
    stream.messages.map((_, index) => index + 1),
  );
  const reports = stream.messages.filter(message => message.kind?.$case === 'load');
  let ended = 0;
  let failed = 0;
  for (const { kind, window } of reports) {
    assert.ok(kind?.$case === 'load');
    const seconds = millisOf(window) / 1_000;
    assert.ok(seconds > 0);
    ended += kind.value.rpsFractional * seconds;
    failed += kind.value.eps * seconds;
  }
  // Windows join without gap or overlap: each call is in exactly one of them.
  assert.ok(Math.abs(ended - 2) < 1e-6, `${ended}`);
  assert.ok(Math.abs(failed - 1) < 1e-6, `${failed}`);
  const [state] = reporter.state.balancers;
  assert.equal(state?.instanceId, 'lb-1');
  assert.equal(state?.reportIntervalMs, 20);
});

test('a later interval holds at once; absurd ones are bounded', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address]);
  const started = reporter.start();
  const stream = await balancer.next();
  await stream.accept({ intervalMs: 3_600_000 });
  await started;
  assert.equal(reporter.state.balancers[0]?.reportIntervalMs, 60_000);
  stream.send({ $case: 'reportInterval', value: durationOf(0.001) });
  await stream.nextLoad();
  assert.equal(reporter.state.balancers[0]?.reportIntervalMs, 10);
  stream.send({ $case: 'reportInterval', value: durationOf(-5) });
  stream.send({ $case: 'drain', value: { timeout: durationOf(5_000), cause: 'by hand' } });
  const drain = await eventOf(reporter, 'drain');
  assert.deepEqual(drain, { balancer: balancer.address, timeoutMs: 5_000, cause: 'by hand' });
  assert.equal(reporter.state.balancers[0]?.reportIntervalMs, 1_000);
  assert.equal(reporter.state.drainCause, 'by hand');
  stream.send({ $case: 'activate', value: { cause: 'backend c is gone' } });
  assert.equal((await eventOf(reporter, 'activate')).cause, 'backend c is gone');
  assert.equal(reporter.state.drainCause, undefined);
});

test('comes back by itself after a reset, with a numbering from 1', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address]);
  const started = reporter.start();
  const first = await balancer.next();
  await first.accept();
  await started;
  await first.nextLoad();
  const lost = eventOf(reporter, 'disconnected');
  first.fail(status.UNAVAILABLE, 'going down');
  const { code, message, retryInMs } = await lost;
  assert.equal(code, status.UNAVAILABLE);
  assert.match(message, /UNAVAILABLE: going down/);
  assert.ok(retryInMs >= 50 && retryInMs < 150, `${retryInMs}`);
  assert.equal(reporter.state.phase, 'disconnected');
  const second = await balancer.next();
  const back = eventOf(reporter, 'registered');
  await second.accept();
  await back;
  assert.equal(reporter.state.phase, 'registered');
  assert.equal(second.messages[0]?.sequence, 1n);
  // The rates of a new stream cover that stream's time alone.
  const load = await second.nextLoad();
  assert.equal(load.rpsFractional, 0);
});

test('finds a balancer that starts later, and one that starts again on its port', async () => {
  const address = await deadAddress();
  const port = Number(address.split(':')[1]);
  const reporter = reporting([address]);
  const started = reporter.start();
  await eventOf(reporter, 'disconnected');
  const early = await balancerThat(undefined, port);
  await (await early.next()).accept();
  await started;
  const lost = eventOf(reporter, 'disconnected');
  early.stop();
  await lost;
  const again = await balancerThat(undefined, port);
  const back = eventOf(reporter, 'registered');
  await (await again.next()).accept();
  await back;
});

test('waits longer and longer, apart for each balancer', async () => {
  const dead = await deadAddress();
  const balancer = await balancerThat(stream => void stream.accept());
  const reporter = reporting([dead, balancer.address]);
  const delays: number[] = [];
  const third = eventOf(reporter, 'disconnected', event => {
    assert.equal(event.balancer, dead);
    delays.push(event.retryInMs);
    return delays.length === 4;
  });
  await reporter.start();
  await third;
  delays.forEach((delay, index) => {
    const base = 100 * 1.6 ** index;
    assert.ok(delay >= base / 2 && delay < base * 1.5, `try ${index}: ${delay}`);
  });
  assert.equal(reporter.state.phase, 'registered');
});

test('a refusal is told and retried slowly; changed words are tried at once', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address]);
  const started = reporter.start();
  const refused = eventOf(reporter, 'refused');
  const stream = await balancer.next();
  await stream.next('registration');
  stream.fail(status.INVALID_ARGUMENT, 'registration.labels: too long');
  const { code, message, retryInMs } = await refused;
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.match(message, /labels: too long/);
  assert.ok(retryInMs >= 5_000, `${retryInMs}`);
  await assert.rejects(started, { code: 'refused', message: /labels: too long/ });
  reporter.update({ labels: { a: 'b' } });
  const registration = await (await balancer.next()).accept();
  assert.deepEqual(registration.labels, { a: 'b' });
  await eventOf(reporter, 'registered');
  assert.throws(() => reporter.update({ id: 'c' } as object), {
    code: 'invalid-options',
    message: /id cannot change/,
  });
});

test('an id that is taken is waited for', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address]);
  const started = reporter.start({ timeoutMs: 300 });
  const stream = await balancer.next();
  stream.fail(status.ALREADY_EXISTS, "id 'b' is in use from 10.0.0.9:50051");
  await assert.rejects(started, { code: 'timeout', message: /in use from 10.0.0.9/ });
});

test('a second registration tells of other services on the same stream', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address]);
  const started = reporter.start();
  const stream = await balancer.next();
  await stream.accept();
  await started;
  reporter.update({ services: ['test.v1.More'], weight: 3 });
  const { services, weight, address } = await stream.next('registration');
  assert.deepEqual([services, weight, address], [['test.v1.More'], 3, '127.0.0.1:50051']);
  stream.registered({ instanceId: 'lb-9' });
  await eventOf(reporter, 'registered');
  assert.equal(reporter.state.balancers[0]?.instanceId, 'lb-9');
  assert.equal(balancer.opened, 1);
  assert.throws(() => reporter.update({ weight: -1 }), { code: 'invalid-options' });
});

test('a balancer that takes the stream and never answers is given up and tried again', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address]);
  const started = reporter.start({ timeoutMs: 200 });
  await balancer.next();
  await assert.rejects(started, { code: 'timeout', message: /no answer yet/ });
  const { message } = await eventOf(reporter, 'disconnected');
  assert.match(message, /no answer to the registration within 5000 ms/);
  const back = eventOf(reporter, 'registered');
  await (await balancer.next()).accept();
  await back;
});

test('words of a balancer that make no sense end nothing but the stream', async () => {
  const balancer = await balancerThat();
  const reporter = reporting([balancer.address]);
  const started = reporter.start();
  const stream = await balancer.next();
  stream.send(undefined as never);
  await stream.accept({ intervalMs: Number.NaN, controlAddresses: ['', 'nonsense', ':1', 'a b:1', 'x:y'] });
  await started;
  assert.equal(reporter.state.balancers.length, 1);
  assert.equal(reporter.state.balancers[0]?.reportIntervalMs, 1_000);
});
