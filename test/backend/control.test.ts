/** The reporter against the balancer's own control API, and calls through its picks. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { createServer } from 'nice-grpc';
import type { LoadReporter, StoppableServer } from '../../src/backend/backend.ts';
import { operate, pick, type Rig, rig } from '../control/rig.ts';
import { bind, CALLS, callerOf, eventOf, inFlight, reporterFor, type Text } from './support.ts';

const SERVICE = 'test.v1.Calls';
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function reporting(...args: Parameters<typeof reporterFor>): LoadReporter {
  const reporter = reporterFor(...args);
  cleanups.push(() => reporter.close());
  return reporter;
}

interface Backend {
  readonly id: string;
  readonly address: string;
  readonly reporter: LoadReporter;
  readonly server: StoppableServer;
}

/** Answers after this long. */
const SERVICE_MS = 5;

async function grpcJsBackend(id: string, balancers: readonly string[]): Promise<Backend> {
  const reporter = reporting(balancers, { id, settleMs: 200 });
  const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor()] });
  server.addService(CALLS, {
    unary: (call: grpc.ServerUnaryCall<Text, Text>, callback: grpc.sendUnaryData<Text>) => {
      setTimeout(() => callback(null, call.request), SERVICE_MS);
    },
    collect: () => {},
    tell: () => {},
    chat: () => {},
  });
  const address = `127.0.0.1:${await bind(server)}`;
  cleanups.push(() => server.forceShutdown());
  await reporter.start({ address });
  return { id, address, reporter, server };
}

async function niceGrpcBackend(id: string, balancers: readonly string[]): Promise<Backend> {
  const reporter = reporting(balancers, { id, settleMs: 200 });
  const server = createServer().use(reporter.niceGrpcMiddleware());
  const none = () => assert.fail('not to be called');
  server.add(CALLS, {
    unary: async request => {
      await new Promise(resolve => setTimeout(resolve, SERVICE_MS));
      return request;
    },
    collect: none,
    tell: none,
    chat: none,
  });
  const address = `127.0.0.1:${await server.listen('127.0.0.1:0')}`;
  cleanups.push(() => server.forceShutdown());
  await reporter.start({ address });
  return { id, address, reporter, server };
}

/** Calls as a lookaside caller does, one after the other, until told to stop; a new connection to each server. */
class LookasideCaller {
  readonly failures: unknown[] = [];
  readonly callsOf = new Map<string, number>();
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(balancer: Rig) {
    this.#done = this.#run(balancer);
  }

  async #run(balancer: Rig): Promise<void> {
    const client = balancer.client();
    const callers = new Map<string, ReturnType<typeof callerOf>>();
    while (!this.#stopped && this.failures.length < 10) {
      try {
        const { server } = await pick(client, { service: SERVICE });
        const { id, address } = server ?? assert.fail('a pick without a server');
        const caller = callers.get(address) ?? callerOf(address);
        callers.set(address, caller);
        await caller.unary('x');
        this.callsOf.set(id, (this.callsOf.get(id) ?? 0) + 1);
      } catch (error) {
        this.failures.push(error);
      }
    }
    for (const caller of callers.values()) caller.client.close();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return this.#done;
  }
}

function shutDown(server: StoppableServer): Promise<void> {
  if (!('tryShutdown' in server)) return server.shutdown();
  return new Promise(resolve => server.tryShutdown(() => resolve()));
}

test('registers, reports load, and leaves without a lost call', { timeout: 20_000 }, async () => {
  await rig({ reportIntervalMs: 50 }, async balancer => {
    const backends = [
      await grpcJsBackend('a', [balancer.address]),
      await niceGrpcBackend('b', [balancer.address]),
      await grpcJsBackend('c', [balancer.address]),
    ];
    assert.deepEqual(
      [...balancer.mesh.registry.list()].map(({ spec }) => [spec.id, spec.address, spec.services[0]]),
      backends.map(({ id, address }) => [id, address, SERVICE]),
    );
    const callers = Array.from({ length: 8 }, () => new LookasideCaller(balancer));
    cleanups.push(async () => void (await Promise.all(callers.map(caller => caller.stop()))));
    const calls = (id: string) => callers.reduce((sum, { callsOf }) => sum + (callsOf.get(id) ?? 0), 0);
    await balancer.until(() => backends.every(({ id }) => calls(id) > 20));
    const { loads } = balancer.mesh;
    await balancer.until(() =>
      backends.every(({ id }) => (loads.reported[balancer.mesh.slotOf(id)] ?? 0) > 0),
    );
    for (const { id, reporter, server } of backends.slice(0, 2)) {
      const { clean, unconfirmed } = await reporter.drain();
      assert.deepEqual([clean, unconfirmed], [true, []], id);
      assert.equal(balancer.mesh.registry.get(id), undefined);
      await shutDown(server);
      await reporter.close();
    }
    const before = calls('c');
    await balancer.until(() => calls('c') > before + 20);
    for (const caller of callers) await caller.stop();
    assert.deepEqual(
      callers.flatMap(({ failures }) => failures),
      [],
    );
  });
});

test('an empty host is the address that the balancer sees', async () => {
  await rig({}, async balancer => {
    const reporter = reporting([balancer.address], { address: ':50051' });
    const registered = eventOf(reporter, 'registered');
    await reporter.start();
    assert.equal((await registered).id, '127.0.0.1:50051');
    assert.equal(balancer.mesh.registry.get('127.0.0.1:50051')?.spec.address, '127.0.0.1:50051');
    assert.equal(reporter.state.balancers[0]?.instanceId, 'lb-1');
  });
});

test('another name of the same balancer takes nothing from it', async () => {
  await rig({ advertise: '127.0.0.1:1' }, async balancer => {
    const port = balancer.address.split(':')[1];
    const reporter = reporting([balancer.address, `localhost:${port}`], { id: 'a' });
    let registrations = 0;
    const both = eventOf(reporter, 'registered', () => {
      registrations += 1;
      return registrations === 2;
    });
    await reporter.start({ until: 'all' });
    await both;
    await balancer.until(() => reporter.state.balancers.some(({ phase }) => phase === 'asleep'));
    assert.equal(balancer.control.counters.takenOver, 1);
    assert.equal(balancer.control.gauges().reporters, 1);
    assert.equal(balancer.mesh.registry.get('a')?.state, 'WARMING');
  });
});

test("an operator's drain and the activation of a standby reach the application", async () => {
  await rig({}, async balancer => {
    const standby = reporting([balancer.address], { id: 's', standby: true });
    await standby.start();
    const admin = balancer.client();
    const activated = eventOf(standby, 'activate');
    await operate(admin, 'activate', { id: 's', cause: 'more load' });
    assert.match((await activated).cause, /more load/);
    const asked = eventOf(standby, 'drain');
    await operate(admin, 'drain', { id: 's', timeout: { seconds: 30n, nanos: 0 }, cause: 'new version' });
    const { cause, timeoutMs } = await asked;
    assert.match(cause, /new version/);
    assert.equal(timeoutMs, 30_000);
    assert.match(standby.state.drainCause ?? '', /new version/);
    assert.equal((await standby.drain()).clean, true);
  });
});

test('an id that another living backend has is refused; what is wrong is refused with its reason', async () => {
  await rig({}, async balancer => {
    const owner = reporting([balancer.address], { id: 'a', address: '127.0.0.1:50051' });
    await owner.start();
    const other = reporting([balancer.address], { id: 'a', address: '127.0.0.1:50052' });
    const refused = eventOf(other, 'refused');
    const started = other.start({ timeoutMs: 4_000 });
    assert.equal((await refused).code, grpc.status.ALREADY_EXISTS);
    assert.equal(owner.state.phase, 'registered');
    await Promise.all([other.close(), assert.rejects(started, { code: 'closed' })]);

    const wrong = reporting([balancer.address], { labels: { ['x'.repeat(5_000)]: 'y' } });
    await assert.rejects(wrong.start(), { code: 'refused', message: /label/ });
  });
});

test('changed words reach the balancer', async () => {
  await rig({}, async balancer => {
    const reporter = reporting([balancer.address], { id: 'a' });
    await reporter.start();
    reporter.update({ services: [SERVICE, 'test.v1.More'], weight: 4 });
    await balancer.until(() => balancer.mesh.registry.get('a')?.spec.weight === 4);
    assert.deepEqual(balancer.mesh.registry.get('a')?.spec.services, [SERVICE, 'test.v1.More']);
  });
});

test('a process that dies in its drain and comes back with its id takes calls again', async () => {
  await rig({}, async balancer => {
    const first = reporting([balancer.address], { id: 'a' });
    await first.start();
    const held = first.callStarted();
    const drained = first.drain({ timeoutMs: 10_000 });
    await balancer.until(() => balancer.mesh.registry.get('a')?.state === 'DRAINING');
    const second = reporting([balancer.address], { id: 'a' });
    await second.start();
    await balancer.until(() => balancer.mesh.registry.get('a')?.state === 'WARMING');
    // The stream of the first life was taken over: it has nobody to wait for but its own call.
    held.end();
    assert.deepEqual(await drained, { clean: true, inFlight: 0, unconfirmed: [] });
    await first.close();
    assert.equal(balancer.control.counters.takenOver, 1);
    assert.equal(second.state.phase, 'registered');
  });
});

test('a call that the balancer does not know of is waited for, too', async () => {
  await rig({ reportIntervalMs: 60_000 }, async balancer => {
    const backend = await grpcJsBackend('a', [balancer.address]);
    const caller = callerOf(backend.address);
    cleanups.push(() => caller.client.close());
    const chat = caller.chat();
    await inFlight(backend.reporter, 1);
    const drained = backend.reporter.drain({ timeoutMs: 15_000 });
    await balancer.until(() => balancer.mesh.registry.get('a')?.state === 'DRAINING');
    await new Promise(resolve => setTimeout(resolve, 500));
    assert.equal(balancer.mesh.registry.get('a')?.state, 'DRAINING');
    chat.cancel();
    assert.deepEqual(await drained, { clean: true, inFlight: 0, unconfirmed: [] });
    assert.equal(balancer.mesh.registry.get('a'), undefined);
  });
});
