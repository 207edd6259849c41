/** Backends that die, freeze and slow down while calls are under way, and the end of the proxy itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Caller, request } from '../support/h2/caller.ts';
import { Status, statusOf } from '../support/h2/status.ts';
import { data, Flag } from '../support/h2/wire.ts';
import { callerFor, proxyFor } from './harness.ts';
import { type BackendProcess, backendProcesses, type Call, Load, told } from './load.ts';

const BOUNDED = { timeout: 60_000 };
/** The kernel tells of a death at once; no call that begins later than this may meet it. */
const KNOWN_MS = 100;
/** A death that nobody tells of: no new picks after this, where calls take a few ms. */
const FROZEN_MS = 3_000;
const STREAM = '/test.v1.Test/Stream';

async function openStreams(caller: Caller, count: number): Promise<number[]> {
  const streams = Array.from({ length: count }, () => caller.open(request(STREAM)));
  for (const stream of streams) await caller.next(frame => frame.stream === stream, 'the answer of a stream');
  return streams;
}

for (const [name, strike] of [
  ['SIGKILL', (backend: BackendProcess) => backend.child.kill('SIGKILL')],
  ['connections reset by RST', (backend: BackendProcess) => backend.child.kill('SIGUSR2')],
] as const) {
  test(
    `${name}: calls in flight there fail with UNAVAILABLE, and none that begins later`,
    BOUNDED,
    async t => {
      const backends = await backendProcesses(t, 3, 5);
      const { address } = await proxyFor(t, addresses(backends), { passiveHealth: true });
      const holder = await callerFor(t, address);
      const streams = await openStreams(holder, 9);
      const load = new Load(t, address, { channels: 4, each: 5 });
      await sleep(1_000);
      const struck = performance.now();
      strike(backends[1] as BackendProcess);
      await sleep(1_500);
      await load.stop();
      const failed = load.failed();
      t.diagnostic(`${load.calls.length} calls, ${failed.length} failed: ${told(failed, struck) || 'none'}`);
      assert.ok(load.calls.length > 500);
      assert.ok(
        failed.length <= 20,
        `${failed.length} failed; 20 were in flight at most: ${told(failed, struck)}`,
      );
      const late = failed.filter(({ start }) => start > struck + KNOWN_MS);
      assert.equal(late.length, 0, told(late, struck));
      for (const { outcome } of failed)
        assert.equal(outcome.grpcStatus, Status.UNAVAILABLE, told(failed, struck));

      // Streams at that backend end in words, the others go on.
      const over = streams.filter(
        stream => holder.answer(stream).ended || holder.answer(stream).reset !== undefined,
      );
      assert.ok(over.length >= 1 && over.length < 9, `${over.length} of 9 streams ended`);
      for (const stream of over) {
        const { grpcStatus, reset } = await holder.outcome(stream);
        assert.deepEqual([grpcStatus, reset], [Status.UNAVAILABLE, undefined]);
      }
    },
  );
}

const addresses = (backends: readonly BackendProcess[]): string[] => backends.map(({ address }) => address);

/** A way to a backend on which nothing moves any more from `stop()` on: no answer, no FIN, no RST. */
async function relay(t: TestContext, backend: string): Promise<{ address: string; stop: () => void }> {
  const sockets = new Set<Socket>();
  let stopped = false;
  const server = createServer(near => {
    sockets.add(near.on('error', () => undefined));
    if (stopped) return;
    const [host, port] = backend.split(':');
    const far = connect(Number(port), host).on('error', () => undefined);
    sockets.add(far);
    near.on('data', chunk => stopped || far.write(chunk)).on('close', () => stopped || far.destroy());
    far.on('data', chunk => stopped || near.write(chunk)).on('close', () => stopped || near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      stopped = true;
    },
  };
}

/** Calls with a deadline of 1 s: those that went there fail by it, and after a while none goes there. */
async function frozen(t: TestContext, address: string, freeze: () => void): Promise<void> {
  const load = new Load(t, address, {
    channels: 4,
    each: 5,
    pauseMs: 5,
    fields: request(undefined, [['grpc-timeout', '1S']]),
  });
  await sleep(1_000);
  const struck = performance.now();
  freeze();
  await sleep(FROZEN_MS + 2_500);
  await Promise.race([load.stop(), sleep(3_000)]);
  const failed = load.failed();
  t.diagnostic(`${load.calls.length} calls, ${failed.length} failed: ${told(failed, struck) || 'none'}`);
  const late = failed.filter(({ start }) => start > struck + FROZEN_MS);
  assert.equal(late.length, 0, told(late, struck));
  // Not ended well past its deadline: it went to the frozen one, and nothing watches deadlines.
  const now = performance.now();
  const stuck = [...load.pending].filter(start => start > struck + FROZEN_MS && start < now - 2_000);
  assert.equal(stuck.length, 0, `${stuck.length} calls that began later have not ended`);
  const afterwards = load.calls.filter(({ start }) => start > struck + FROZEN_MS);
  assert.ok(afterwards.length > 200, `only ${afterwards.length} calls ended after ${FROZEN_MS} ms`);
}

test('SIGSTOP: a frozen backend is picked no more', BOUNDED, async t => {
  const backends = await backendProcesses(t, 3, 5);
  const { address } = await proxyFor(t, addresses(backends), { passiveHealth: true });
  await frozen(t, address, () => backends[1]?.child.kill('SIGSTOP'));
});

test('half-open: a backend behind a dead way is picked no more', BOUNDED, async t => {
  const backends = await backendProcesses(t, 3, 5);
  const way = await relay(t, (backends[1] as BackendProcess).address);
  const all = addresses(backends).with(1, way.address);
  const { address } = await proxyFor(t, all, { passiveHealth: true });
  await frozen(t, address, way.stop);
});

test(
  'a backend that becomes ten times slower gets its share by speed, and no call fails',
  BOUNDED,
  async t => {
    const backends = await backendProcesses(t, 3, 5);
    const slow = backends[1] as BackendProcess;
    const { address } = await proxyFor(t, addresses(backends));
    const load = new Load(t, address, { channels: 4, each: 5 });
    await sleep(1_000);
    slow.child.kill('SIGUSR1');
    const from = performance.now() + 1_000;
    await sleep(3_000);
    await load.stop();
    assert.equal(load.failed().length, 0, told(load.failed(), from));
    const settled = load.calls.filter(({ start }) => start > from);
    const [slower, faster] = ['50', '5'].map(delay =>
      settled.filter(({ outcome }) => outcome.headers?.['x-delay'] === delay),
    ) as [Call[], Call[]];
    const share = slower.length / settled.length;
    // As callers see it: where the machine is busy, a call takes more than its backend's delay.
    const bySpeed = 1 / median(slower) / (1 / median(slower) + 2 / median(faster));
    t.diagnostic(
      `${(100 * share).toFixed(1)} % of ${settled.length} calls; by speed ${(100 * bySpeed).toFixed(1)} %`,
    );
    assert.ok(settled.length > 500);
    assert.ok(share < 1.5 * bySpeed, `${share} of the calls, ${bySpeed} by speed`);
  },
);

/** How long calls took, ms. */
function median(calls: readonly Call[]): number {
  const took = calls.map(({ start, end }) => end - start).toSorted((a, b) => a - b);
  return took[Math.floor(took.length / 2)] ?? Number.NaN;
}

test('backends that end gracefully, one after the other, cost no call', BOUNDED, async t => {
  const backends = await backendProcesses(t, 4, 5);
  const { address } = await proxyFor(t, addresses(backends), { passiveHealth: true });
  const load = new Load(t, address, { channels: 4, each: 5 });
  await sleep(500);
  const from = performance.now();
  for (const backend of backends.slice(0, 3)) {
    backend.child.kill('SIGTERM');
    await sleep(500);
  }
  await load.stop();
  t.diagnostic(
    `${load.calls.length} calls, ${load.failed().length} failed: ${told(load.failed(), from) || 'none'}`,
  );
  assert.equal(load.failed().length, 0, told(load.failed(), from));
});

test('SIGTERM of the proxy: calls and streams under way end as if nothing were', BOUNDED, async t => {
  const backends = await backendProcesses(t, 2, 300);
  const running = await proxyFor(t, addresses(backends), { drainTimeoutMs: 5_000 });
  const caller = await callerFor(t, running.address);
  const streams = await openStreams(caller, 5);
  const calls = Array.from({ length: 40 }, () => caller.call());
  await caller.roundTrip();
  const from = performance.now();
  running.drain();
  const outcomes = await Promise.all(calls);
  const bad = outcomes.filter(outcome => statusOf(outcome) !== Status.OK);
  assert.equal(
    bad.length,
    0,
    `${bad.length} of 40 calls failed, ${bad.filter(({ lost }) => lost).length} of them lost`,
  );
  await sleep(500);
  for (const stream of streams) caller.send(data(stream, Buffer.alloc(0), Flag.END_STREAM));
  for (const stream of streams) assert.equal((await caller.outcome(stream)).grpcStatus, Status.OK);
  await caller.closed;
  const end = await running.ended;
  t.diagnostic(`ended (${end}) ${(performance.now() - from).toFixed(0)} ms after`);
  assert.equal(end, 0);
});

test('SIGTERM of the proxy: what does not end is ended by the drain timeout', BOUNDED, async t => {
  const backends = await backendProcesses(t, 1, 5);
  const running = await proxyFor(t, addresses(backends), { drainTimeoutMs: 1_500 });
  const caller = await callerFor(t, running.address);
  const [stream = 0] = await openStreams(caller, 1);
  const from = performance.now();
  running.drain();
  const outcome = await caller.outcome(stream);
  assert.equal(outcome.grpcStatus, Status.UNAVAILABLE);
  assert.ok(performance.now() - from > 1_400, 'the stream was cut before its time');
  await running.ended;
});
