/** The way out: balancers are told first, and no call is lost. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { LoadReporter } from '../../src/backend/backend.ts';
import { millisOf } from '../../src/grpc/duration.ts';
import { deadAddress, eventOf, FakeBalancer, type ReportStreamPeer, reporterFor } from './support.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function balancer(): Promise<FakeBalancer> {
  const started = await FakeBalancer.start();
  cleanups.push(() => started.stop());
  return started;
}

/** A reporter that this many balancers have taken, and their streams. */
async function registered(
  count: number,
  options: Parameters<typeof reporterFor>[1] = {},
  intervalMs = 60_000,
): Promise<{ reporter: LoadReporter; streams: ReportStreamPeer[]; balancers: FakeBalancer[] }> {
  const balancers = await Promise.all(Array.from({ length: count }, balancer));
  const reporter = reporterFor(
    balancers.map(({ address }) => address),
    options,
  );
  cleanups.push(() => reporter.close());
  const started = reporter.start({ until: 'all' });
  const streams = await Promise.all(balancers.map(one => one.next()));
  await Promise.all(streams.map(stream => stream.accept({ intervalMs })));
  await started;
  return { reporter, streams, balancers };
}

/** As a balancer does: lets go once nothing is in flight. */
async function letGo(stream: ReportStreamPeer): Promise<void> {
  await stream.next('deregistration');
  await stream.nextLoad(({ namedMetrics }) => namedMetrics.in_flight === 0);
  stream.end();
}

test('tells every balancer, reports often until the last call has ended, and waits for all', async () => {
  const { reporter, streams } = await registered(2);
  const call = reporter.callStarted();
  const phases: string[] = [];
  reporter.on('phase', ({ phase }) => phases.push(phase));
  const drained = reporter.drain({ timeoutMs: 8_000 });
  assert.equal(reporter.drain(), drained);
  for (const stream of streams) {
    const timeoutMs = millisOf((await stream.next('deregistration')).drainTimeout);
    assert.ok(timeoutMs > 7_000 && timeoutMs <= 8_000, `${timeoutMs}`);
    assert.equal((await stream.nextLoad()).namedMetrics.in_flight, 1);
  }
  assert.equal(reporter.state.phase, 'draining');
  call.end();
  for (const stream of streams) {
    // The interval is a minute: on the way out reports come sooner.
    await stream.nextLoad(({ namedMetrics }) => namedMetrics.in_flight === 0);
    stream.end();
  }
  assert.deepEqual(await drained, { clean: true, inFlight: 0, unconfirmed: [] });
  assert.deepEqual(phases, ['draining', 'drained']);
  assert.throws(() => reporter.update({ weight: 2 }), { code: 'closed' });
});

test('a call that comes after the balancer has let go is waited for', async () => {
  const { reporter, streams } = await registered(1, { settleMs: 150 });
  const drained = reporter.drain();
  await letGo(streams[0] as ReportStreamPeer);
  const late = reporter.callStarted();
  let over = false;
  void drained.then(() => {
    over = true;
  });
  await new Promise(resolve => setTimeout(resolve, 250));
  assert.equal(over, false);
  late.end();
  assert.equal((await drained).clean, true);
});

test('the way out is not over as long as calls begin', async () => {
  const { reporter, streams } = await registered(1, { settleMs: 200 });
  const drained = reporter.drain();
  await letGo(streams[0] as ReportStreamPeer);
  let lastBegin = 0;
  for (let round = 0; round < 10; round += 1) {
    lastBegin = performance.now();
    reporter.callStarted().end();
    await new Promise(resolve => setTimeout(resolve, 40));
  }
  await drained;
  // Less the rounding of timers.
  assert.ok(performance.now() - lastBegin >= 198);
});

test('calls that do not end are waited for until the time is up', async () => {
  const { reporter, streams } = await registered(1);
  reporter.callStarted();
  const [stream] = streams as [ReportStreamPeer];
  const drained = reporter.drain({ timeoutMs: 100 });
  await stream.next('deregistration');
  stream.end();
  assert.deepEqual(await drained, { clean: false, inFlight: 1, unconfirmed: [] });
});

test('a balancer that does not let go costs the time that was given, and is named', async () => {
  const { reporter, balancers } = await registered(1);
  const result = await reporter.drain({ timeoutMs: 100 });
  assert.deepEqual(result, { clean: false, inFlight: 0, unconfirmed: [balancers[0]?.address] });
  await reporter.close();
  assert.equal(reporter.state.phase, 'closed');
});

test('comes back to a balancer that resets the stream in the middle, to say it again', async () => {
  const { reporter, streams, balancers } = await registered(1);
  const [stream] = streams as [ReportStreamPeer];
  const drained = reporter.drain();
  await stream.next('deregistration');
  stream.fail(status.UNAVAILABLE, 'restarting');
  const again = await (balancers[0] as FakeBalancer).next();
  await again.accept();
  await letGo(again);
  assert.equal((await drained).clean, true);
});

test('a balancer that is lost is waited for no longer than it would hand out a silent backend', async () => {
  const { reporter, streams, balancers } = await registered(2, {}, 20);
  const lost = eventOf(reporter, 'disconnected');
  balancers[0]?.stop();
  await lost;
  const begun = performance.now();
  const drained = reporter.drain({ timeoutMs: 15_000 });
  await letGo(streams[1] as ReportStreamPeer);
  const result = await drained;
  assert.deepEqual(result.unconfirmed, [balancers[0]?.address]);
  assert.ok(performance.now() - begun < 10_000);
});

test('balancers that never took this backend are not waited for', async () => {
  const { reporter, streams } = await registered(1, {}, 20);
  const silent = await balancer();
  streams[0]?.registered({ controlAddresses: [silent.address, await deadAddress()] });
  await silent.next();
  const drained = reporter.drain({ timeoutMs: 15_000 });
  await letGo(streams[0] as ReportStreamPeer);
  assert.deepEqual(await drained, { clean: true, inFlight: 0, unconfirmed: [] });
});

test('before start, twice, and after close', async () => {
  const idle = reporterFor([await deadAddress()]);
  assert.deepEqual(await idle.drain(), { clean: true, inFlight: 0, unconfirmed: [] });
  await assert.rejects(idle.start(), { code: 'closed' });
  await idle.close();
  await idle.close();
  assert.equal(idle.state.phase, 'closed');

  const waiting = reporterFor([await deadAddress()]);
  const started = waiting.start();
  assert.equal(waiting.start(), started);
  await Promise.all([assert.rejects(started, { code: 'closed' }), waiting.drain()]);
  await waiting.close();
  await assert.rejects(waiting.start(), { code: 'closed' });
});

test('close tells balancers that this backend is gone, and does not wait for a deaf one', async () => {
  const { reporter, streams } = await registered(2);
  const [polite, deaf] = streams as [ReportStreamPeer, ReportStreamPeer];
  deaf.deaf = true;
  const closed = reporter.close();
  for (const stream of [polite, deaf]) {
    assert.equal(millisOf((await stream.next('deregistration')).drainTimeout, -1), 0);
  }
  await closed;
  await deaf.ended;
});
