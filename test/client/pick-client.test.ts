import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as grpc from '@grpc/grpc-js';
import { createPickClient, type PickClient, type PickClientOptions } from 'heapmesh/client';
import { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import { durationOf, millisOf } from '../../src/grpc/duration.ts';
import { eventually, type ScriptedBalancer, SERVICE, Stack, serverOf } from './support.ts';

const { UNAVAILABLE, NOT_FOUND, INVALID_ARGUMENT } = grpc.status;

describe('a pick client', () => {
  let stack: Stack;
  let lb: ScriptedBalancer;
  let leases = 0;

  beforeEach(async () => {
    stack = new Stack();
    lb = await stack.balancer('lb-1');
    leases = 0;
    lb.pick = answer();
  });
  afterEach(() => stack.end());

  function answer(ttlMs = 10_000, ids = ['a', 'b', 'c', 'd']) {
    return (request: { excludeIds: string[] }) => {
      const id = ids.find(one => !request.excludeIds.includes(one));
      if (id === undefined) return { code: UNAVAILABLE, details: 'all excluded' };
      const server = serverOf({ id, address: '127.0.0.1:1', zone: 'z', labels: { k: 'v' } });
      return { server, leaseId: `lease-${++leases}`, leaseTtl: durationOf(ttlMs) };
    };
  }

  function client(options: Partial<PickClientOptions> = {}): PickClient {
    return stack.add(createPickClient({ balancers: [lb.address], service: SERVICE, ...options }), one =>
      one.close(),
    );
  }

  it('gives a server and a lease, and says what it was asked for', async () => {
    const picks = client({ zone: 'z1' });
    const { server, lease, instanceId } = await picks.pick({
      method: 'Who',
      hashKey: 'k',
      excludeIds: ['a'],
    });
    assert.deepEqual(server, { id: 'b', address: '127.0.0.1:1', zone: 'z', labels: { k: 'v' } });
    assert.equal(lease.id, 'lease-1');
    assert.equal(instanceId, 'lb-1');
    assert.deepEqual(lb.picks, [
      { service: SERVICE, method: 'Who', excludeIds: ['a'], hashKey: 'k', zone: 'z1' },
    ]);
  });

  it('tells an outcome once, with status, latency and load', async () => {
    const picks = client();
    const { lease } = await picks.pick();
    const load = { cpuUtilization: 0.5, namedMetrics: { in_flight: 3 } };
    assert.equal(lease.complete({ status: 5, latencyMs: 12.5, load }), true);
    assert.equal(lease.complete({ status: 0 }), false);
    assert.equal(lease.complete(), false);
    await lb.until(() => lb.outcomes.length > 0);
    await picks.close();
    assert.equal(lb.outcomes.length, 1);
    const [outcome] = lb.outcomes;
    assert.equal(outcome?.leaseId, 'lease-1');
    assert.equal(outcome?.grpcStatus, 5);
    assert.equal(millisOf(outcome?.latency), 12.5);
    assert.equal(outcome?.inProgress, false);
    assert.deepEqual(outcome?.load, OrcaLoadReport.fromPartial(load));
    const { sent, accepted, openLeases, picks: picked } = picks.stats();
    assert.deepEqual(
      { sent, accepted, openLeases, picked },
      { sent: 1, accepted: 1, openLeases: 0, picked: 1 },
    );
  });

  it('measures the latency itself, and takes the load as the bytes of a trailer', async () => {
    const picks = client();
    const report = OrcaLoadReport.fromPartial({ applicationUtilization: 0.25 });
    const first = await picks.pick();
    const second = await picks.pick();
    first.lease.complete({ load: OrcaLoadReport.encode(report).finish() });
    second.lease.complete({ load: new Uint8Array([0xff, 0xff]) });
    await lb.until(() => lb.outcomes.length === 2);
    assert.deepEqual(lb.outcomes[0]?.load, report);
    assert.equal(lb.outcomes[1]?.load, undefined);
    const latencyMs = millisOf(lb.outcomes[0]?.latency);
    assert.ok(latencyMs > 0 && latencyMs < 5_000, String(latencyMs));
  });

  it('refuses an outcome that is none, and takes the right one afterwards', async () => {
    const { lease } = await client().pick();
    for (const wrong of [{ status: -1 }, { status: 1.5 }, { latencyMs: Number.NaN }, { latencyMs: -1 }]) {
      assert.throws(() => lease.complete(wrong), { name: 'ClientError', code: 'invalid-options' });
    }
    assert.equal(lease.complete(), true);
  });

  it('sends outcomes together: by number, and by time', async () => {
    const picks = client({ flushMs: 60_000, flushOutcomes: 3 });
    const all = await Promise.all([picks.pick(), picks.pick(), picks.pick(), picks.pick()]);
    all[0]?.lease.complete();
    all[1]?.lease.complete();
    assert.equal(picks.stats().sent, 0);
    all[2]?.lease.complete();
    await lb.until(() => lb.outcomes.length === 3);
    all[3]?.lease.complete();
    assert.equal(picks.stats().sent, 3);
    await picks.close();
    assert.equal(lb.outcomes.length, 4);
    const timed = client({ flushMs: 1 });
    (await timed.pick()).lease.complete();
    await lb.until(() => lb.outcomes.length === 5);
  });

  it('renews a lease until it is completed, and no longer', async () => {
    lb.pick = answer(80);
    const picks = client({ flushMs: 1 });
    const { lease } = await picks.pick();
    const renewals = () => lb.outcomes.filter(one => one.inProgress && one.leaseId === lease.id).length;
    await lb.until(() => renewals() >= 3);
    lease.complete();
    await lb.until(() => lb.outcomes.some(one => !one.inProgress));
    assert.equal(lb.outcomes.at(-1)?.inProgress, false);
    const before = renewals();
    await new Promise(resolve => setTimeout(resolve, 120));
    assert.equal(renewals(), before);
  });

  it('lets go of a lease that its caller forgot', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    lb.pick = answer(80);
    const picks = client({ flushMs: 1 });
    await (async () => {
      await picks.pick();
    })();
    await eventually(() => {
      collect();
      return picks.stats().forgotten === 1;
    }, 'the lease is forgotten');
    assert.equal(picks.stats().openLeases, 0);
  });

  it('drops the oldest outcomes where too many wait, and counts them', async () => {
    const picks = client({ outcomeQueue: 2, flushMs: 60_000, flushOutcomes: 1_000 });
    const all = await Promise.all([picks.pick(), picks.pick(), picks.pick()]);
    for (const { lease } of all) lease.complete();
    assert.equal(picks.stats().dropped, 1);
    await picks.close();
    assert.deepEqual(
      lb.outcomes.map(one => one.leaseId),
      all.slice(1).map(one => one.lease.id),
    );
  });

  it('goes to another balancer where one is gone, and takes outcomes to the one that gave the lease', async () => {
    const other = await stack.balancer('lb-2');
    other.pick = answer();
    const picks = client({ balancers: [lb.address, other.address], flushMs: 1 });
    const first = await picks.pick();
    const [giver, next] = first.instanceId === 'lb-1' ? [lb, other] : [other, lb];
    giver.kill();
    const second = await picks.pick();
    assert.equal(second.instanceId, next.instanceId);
    second.lease.complete();
    await next.until(() => next.outcomes.length === 1);
    first.lease.complete();
    const back = await stack.balancer(giver.instanceId, giver.port);
    await back.until(() => back.outcomes.length === 1);
    assert.equal(back.outcomes[0]?.leaseId, first.lease.id);
    assert.equal(next.outcomes.length, 1);
  });

  it('drops what it cannot tell before the lease is over', async () => {
    lb.pick = answer(30);
    const picks = client({ flushMs: 1 });
    const first = await picks.pick();
    const second = await picks.pick();
    lb.kill();
    first.lease.complete();
    await eventually(() => picks.stats().unconfirmed >= 1, 'the stream breaks');
    // The next stream is opened after a while, and by then this lease is over.
    second.lease.complete();
    await eventually(() => picks.stats().dropped >= 1, 'it is given up');
  });

  it('waits for a balancer that comes back within the time of a pick', async () => {
    const { port } = lb;
    lb.kill();
    const picks = client({ pickTimeoutMs: 9_000 });
    const picked = picks.pick();
    const back = await stack.balancer('lb-9', port);
    back.pick = answer();
    assert.equal((await picked).instanceId, 'lb-9');
  });

  it('passes over a balancer that accepts and says nothing', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer(socket => {
      sockets.add(socket);
      socket.on('error', () => {});
    });
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    stack.add(mute, server => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { port } = mute.address() as { port: number };
    const { random } = Math;
    // A caller begins at a random balancer: here, at the first.
    Math.random = () => 0;
    const picks = client({ balancers: [`127.0.0.1:${port}`, lb.address], pickTimeoutMs: 2_000 });
    Math.random = random;
    for (let i = 0; i < 3; i++) assert.equal((await picks.pick()).instanceId, 'lb-1');
  });

  it('does not take its own standstill for silence of the balancers', async () => {
    const other = await stack.balancer('lb-2');
    other.pick = answer();
    const picks = client({ balancers: [lb.address, other.address], pickTimeoutMs: 300 });
    await picks.pick();
    for (const [at, forMs] of [
      [0, 500],
      [0, 2_000],
      [1, 500],
    ] as const) {
      const picking = picks.pick();
      // Before the question is sent, and after.
      if (at > 0) await new Promise(resolve => setImmediate(resolve));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
      assert.match((await picking).instanceId, /^lb-/);
    }
    // Balancers that are silent are given their time, and no more.
    lb.pick = other.pick = () => undefined;
    const since = performance.now();
    const silent = assert.rejects(picks.pick(), { name: 'ClientError', code: 'unavailable' });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
    await silent;
    assert.ok(performance.now() - since < 5_000);
  });

  it('says why there is no server', async () => {
    const picks = client({ pickTimeoutMs: 500 });
    for (const [status, code] of [
      [NOT_FOUND, 'not-found'],
      [UNAVAILABLE, 'unavailable'],
      [INVALID_ARGUMENT, 'refused'],
    ] as const) {
      lb.pick = () => ({ code: status, details: 'for this reason' });
      await assert.rejects(picks.pick(), { name: 'ClientError', code, message: /for this reason/ });
    }
    assert.equal(lb.picks.length, 3, 'an answer is an answer');
    lb.pick = () => undefined;
    await assert.rejects(picks.pick({ timeoutMs: 50 }), {
      code: 'unavailable',
      message: /no balancer answered in time/,
    });
    lb.kill();
    await assert.rejects(picks.pick({ timeoutMs: 50 }), { code: 'unavailable' });
    assert.equal(picks.stats().failedPicks, 5);
  });

  it('asks another instance where one knows nothing of the service', async () => {
    const other = await stack.balancer('lb-2');
    lb.pick = () => ({ code: NOT_FOUND, details: 'unknown service' });
    other.pick = answer();
    const picks = client({ balancers: [lb.address, other.address] });
    assert.equal((await picks.pick()).instanceId, 'lb-2');
  });

  it('tries other servers after UNAVAILABLE, completing every lease', async () => {
    const picks = client({ flushMs: 1 });
    const tried: string[] = [];
    const result = await picks.call(async ({ id }) => {
      tried.push(id);
      if (id !== 'c') throw Object.assign(new Error('gone'), { code: UNAVAILABLE });
      return `from ${id}`;
    });
    assert.equal(result, 'from c');
    assert.deepEqual(tried, ['a', 'b', 'c']);
    await lb.until(() => lb.outcomes.length === 3);
    assert.deepEqual(
      lb.outcomes.map(one => one.grpcStatus),
      [UNAVAILABLE, UNAVAILABLE, 0],
    );
    assert.deepEqual(lb.picks.at(-1)?.excludeIds, ['a', 'b']);
  });

  it('leaves other errors to the caller, and gives up after its attempts', async () => {
    const picks = client({ flushMs: 1 });
    const wrong = Object.assign(new Error('no'), { code: NOT_FOUND });
    await assert.rejects(
      picks.call(() => Promise.reject(wrong)),
      wrong,
    );
    await assert.rejects(
      picks.call(() => Promise.reject(new TypeError('a fault'))),
      TypeError,
    );
    let attempts = 0;
    const gone = () => {
      attempts++;
      return Promise.reject(Object.assign(new Error('gone'), { code: UNAVAILABLE }));
    };
    await assert.rejects(picks.call(gone, { attempts: 2 }), /gone/);
    assert.equal(attempts, 2);
    lb.pick = answer(10_000, ['only']);
    await assert.rejects(picks.call(gone), /gone/, 'the reason of the call, not that nobody is left');
    await lb.until(() => lb.outcomes.length === 5);
    assert.deepEqual(
      lb.outcomes.map(one => one.grpcStatus),
      [NOT_FOUND, grpc.status.UNKNOWN, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE],
    );
  });

  it('refuses options that are no good', async () => {
    for (const [options, why] of [
      [{ balancers: [] }, /names no balancer/],
      [{ balancers: ['nowhere'] }, /'nowhere'/],
      [{ service: 'not a service' }, /service is 'not a service'/],
      [{ zone: 1 as never }, /zone is 1/],
      [{ pickTimeoutMs: 0 }, /pickTimeoutMs is 0/],
      [{ outcomeQueue: Number.NaN }, /outcomeQueue is NaN/],
    ] as const) {
      assert.throws(() => client(options), { name: 'ClientError', code: 'invalid-options', message: why });
    }
    const picks = client();
    const many = Array.from({ length: 33 }, (_, i) => `s${i}`);
    await assert.rejects(picks.pick({ excludeIds: many }), {
      code: 'invalid-options',
      message: /at most 32/,
    });
    await assert.rejects(picks.pick({ hashKey: 1 as never }), { code: 'invalid-options' });
    assert.equal(lb.picks.length, 0);
  });

  it('takes no pick after it was closed, and ends those that are waiting', { timeout: 10_000 }, async () => {
    lb.pick = () => undefined;
    const picks = client({ pickTimeoutMs: 600_000 });
    const waiting = picks.pick();
    const refused = assert.rejects(waiting, { code: 'closed' });
    await eventually(() => lb.picks.length === 1, 'the pick arrives');
    await picks.close();
    await refused;
    await assert.rejects(picks.pick(), { code: 'closed' });
    await picks.close();
  });
});
