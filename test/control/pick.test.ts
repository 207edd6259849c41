import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodePick } from '../../src/control/pick-request.ts';
import { PickServerRequest } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { millisOf } from '../../src/grpc/duration.ts';
import { Status } from '../../src/grpc/status.ts';
import { BackendStream, claim, operate, outcomes, pick, rig, SERVICE } from './rig.ts';
import { failure, fieldsOf } from './support.ts';

describe('PickServer', () => {
  it('answers with the server, its load and a lease', async () => {
    await rig({ leaseTtlMs: 2500 }, async ({ mesh, client, control, until }) => {
      const backend = new BackendStream(client());
      const labels = { version: '1' };
      await backend.register({ id: 'a', zone: 'z1', labels, weight: 2, maxConcurrency: 5 });
      backend.report({ applicationUtilization: 0.25, namedMetrics: { in_flight: 3 } });
      await until(() => control.counters.reports === 1);
      const before = Date.now();
      const { server, leaseId, leaseTtl, instanceId } = await pick(client());
      assert.equal(instanceId, 'lb-1');
      assert.equal(millisOf(leaseTtl), 2500);
      assert.match(leaseId, /^[A-Za-z0-9_-]{40}$/);
      assert.ok(server !== undefined);
      const { lastReportTime, score, ...rest } = server;
      assert.ok(Math.abs((lastReportTime?.getTime() ?? 0) - before) < 5000);
      assert.ok(score > 0);
      assert.deepEqual(rest, {
        id: 'a',
        address: '127.0.0.1:50051',
        services: [SERVICE],
        weight: 2,
        zone: 'z1',
        labels,
        state: 2,
        utilization: 0.25,
        inFlight: 4,
        maxConcurrency: 5,
      });
      assert.equal(mesh.loads.leased(mesh.slotOf('a')), 1);
      assert.equal(control.counters.picked, 1);
    });
  });

  it('answers alike for records of every length', async () => {
    await rig({}, async ({ mesh, client }) => {
      const caller = client();
      for (const [labels, length] of [
        [{}, 1],
        [{ a: 'x'.repeat(40) }, 1],
        [Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`label${i}`, 'y'.repeat(400)])), 1],
      ] as const) {
        claim(mesh, { labels });
        const { server, leaseId } = await pick(caller);
        assert.deepEqual(server?.labels, labels);
        assert.equal(leaseId.length, 40 * length);
      }
    });
  });

  it('tells of changes of the record at once', async () => {
    await rig({}, async ({ mesh, client }) => {
      const caller = client();
      claim(mesh);
      assert.equal((await pick(caller)).server?.weight, 1);
      await operate(caller, 'weight', { id: 'a', weight: 7 });
      assert.equal((await pick(caller)).server?.weight, 7);
      await operate(caller, 'remove', { id: 'a' });
      claim(mesh, { id: 'b' });
      assert.equal((await pick(caller)).server?.id, 'b');
    });
  });

  it('says NOT_FOUND for a service that nobody serves', async () => {
    await rig({}, async ({ client, mesh, control }) => {
      const caller = client();
      assert.equal((await failure(pick(caller))).code, Status.NOT_FOUND);
      claim(mesh, { services: ['*'] });
      assert.equal((await pick(caller, { service: 'any.Thing' })).server?.id, 'a');
      assert.equal(control.counters.pickUnknownService, 1);
    });
  });

  it('says UNAVAILABLE with the counts where none is eligible', async () => {
    await rig({}, async ({ client, mesh }) => {
      const caller = client();
      claim(mesh, { id: 's', standby: true });
      claim(mesh, { id: 'd' });
      claim(mesh, { id: 'e' });
      await operate(caller, 'drain', { id: 'd' });
      mesh.registry.propose(
        { kind: 'observe', id: 'e', observation: { phase: 'ejected', healthy: false } },
        'x',
      );
      const error = await failure(pick(caller));
      assert.equal(error.code, Status.UNAVAILABLE);
      assert.match(error.details, /1 standby, 1 draining, 1 ejected/);
    });
  });

  it('says RESOURCE_EXHAUSTED where all are at their limit and nobody may wait', async () => {
    await rig({}, async ({ client, mesh }) => {
      const caller = client();
      mesh.configurePools(
        new Map([['*', { zoneFactor: 1.5, queue: { size: 0, maxWaitMs: 1_000, whenDown: 'fail' } }]]),
      );
      claim(mesh, { maxConcurrency: 1 });
      await pick(caller);
      const error = await failure(pick(caller));
      assert.equal(error.code, Status.RESOURCE_EXHAUSTED);
      assert.match(error.details, /all 1 servers .* max_concurrency/);
    });
  });

  it('lets a caller wait where all are at their limit, as long as it stays and can be answered in time', async () => {
    await rig({ leaseTtlMs: 60_000 }, async ({ client, mesh, until }) => {
      const caller = client();
      claim(mesh, { maxConcurrency: 1 });
      const waiting = () => mesh.pool(SERVICE)?.queue.size;
      const { leaseId } = await pick(caller);
      const first = pick(caller, {}, 60_000);
      await until(() => waiting() === 1);
      const second = pick(caller, {}, 8_000);
      await until(() => waiting() === 2);
      const gone = caller.makeUnaryRequest(
        '/heapmesh.v1.LookasideService/PickServer',
        () =>
          Buffer.from(PickServerRequest.encode(PickServerRequest.fromPartial({ service: SERVICE })).finish()),
        () => undefined,
        undefined,
        () => {},
      );
      await until(() => waiting() === 3);
      gone.cancel();
      await until(() => waiting() === 2);

      const late = await failure(pick(caller, {}, 100));
      assert.equal(late.code, Status.RESOURCE_EXHAUSTED);
      assert.match(late.details, /^all 1 servers .* max_concurrency: it would wait too long \(2 do\)$/);
      assert.ok(Number(late.metadata.get('grpc-retry-pushback-ms')[0]) >= 10);

      // A lease that ends gives the one with the earliest deadline its turn; each waits 10 s at most.
      const report = outcomes(client());
      report.send({ leaseId, grpcStatus: 0 });
      const next = await second;
      assert.deepEqual([next.server?.id, waiting()], ['a', 1]);
      report.send({ leaseId: next.leaseId, grpcStatus: 0 });
      assert.equal((await first).server?.id, 'a');
      report.end();
      // The last server leaves: who waits learns so at once.
      const vain = failure(pick(caller, {}, 60_000));
      await until(() => waiting() === 1);
      mesh.registry.propose({ kind: 'remove', id: 'a' }, 'test');
      const error = await vain;
      assert.deepEqual([error.code, mesh.waiting()], [Status.UNAVAILABLE, 0]);
    });
  });

  it('leaves excluded servers out, also unknown ones', async () => {
    await rig({}, async ({ client, mesh }) => {
      const caller = client();
      claim(mesh, { id: 'a' });
      claim(mesh, { id: 'b' });
      for (let i = 0; i < 5; i++) {
        assert.equal((await pick(caller, { excludeIds: ['a', 'nobody'] })).server?.id, 'b');
      }
      const error = await failure(pick(caller, { excludeIds: ['a', 'b'] }));
      assert.equal(error.code, Status.UNAVAILABLE);
      assert.match(error.details, /excluded/);
      const many = await failure(pick(caller, { excludeIds: Array.from({ length: 33 }, (_, i) => `x${i}`) }));
      assert.equal(many.code, Status.INVALID_ARGUMENT);
      assert.deepEqual(fieldsOf(many), ['exclude_ids']);
    });
  });

  it('keeps a hash key on its server, and prefers the zone of the caller or of the instance', async () => {
    await rig({ zone: 'z2' }, async ({ client, mesh }) => {
      const caller = client();
      for (const id of ['a', 'b', 'c', 'd']) claim(mesh, { id, zone: id < 'c' ? 'z1' : 'z2' });
      const end = outcomes(caller);
      const keyed = new Set<string | undefined>();
      for (let i = 0; i < 8; i++) {
        const { server, leaseId } = await pick(caller, { hashKey: 'user-7' });
        keyed.add(server?.id);
        end.send({ leaseId });
      }
      await end.end();
      assert.equal(keyed.size, 1);
      assert.equal((await pick(caller)).server?.zone, 'z2');
      assert.equal((await pick(caller, { zone: 'z1' })).server?.zone, 'z1');
    });
  });

  it('refuses what is malformed and changes nothing', async () => {
    await rig({}, async ({ client, mesh, control }) => {
      const caller = client();
      claim(mesh);
      for (const bad of [
        { service: '' },
        { hashKey: 'x'.repeat(2000) },
        { zone: 'a b' },
        { method: 'm'.repeat(999) },
      ]) {
        assert.equal((await failure(pick(caller, bad))).code, Status.INVALID_ARGUMENT);
      }
      assert.equal(control.counters.pickInvalid, 4);
      assert.equal(mesh.leases.open, 0);
    });
  });

  it('may be forbidden, and tells who listens what it did', async () => {
    const seen: unknown[] = [];
    const listener = (message: unknown) => seen.push(message);
    subscribe('heapmesh:control:pick', listener);
    try {
      await rig(
        { authorize: (_, action, subject) => (subject === 'x.Y' ? `no ${action}` : undefined) },
        async r => {
          claim(r.mesh, { services: ['*'] });
          assert.equal((await failure(pick(r.client(), { service: 'x.Y' }))).code, Status.PERMISSION_DENIED);
          await pick(r.client());
          assert.deepEqual(seen, [{ service: SERVICE, serverId: 'a', failure: 0 }]);
        },
      );
    } finally {
      unsubscribe('heapmesh:control:pick', listener);
    }
  });
});

describe('ReportOutcomes', () => {
  it('ends leases once, and counts the unknown and the foreign', async () => {
    await rig({}, async ({ client, mesh, control }) => {
      claim(mesh);
      const caller = client();
      const first = await pick(caller);
      const second = await pick(caller);
      const third = await pick(caller);
      const slot = mesh.slotOf('a');
      assert.equal(mesh.loads.leased(slot), 3);
      const batch = outcomes(caller);
      const latency = { seconds: 0n, nanos: 5_000_000 };
      batch.send({ leaseId: first.leaseId, grpcStatus: 0, latency });
      batch.send({ leaseId: first.leaseId, grpcStatus: 0, latency });
      batch.send({ leaseId: second.leaseId, inProgress: true });
      batch.send({ leaseId: third.leaseId, grpcStatus: Status.UNAVAILABLE });
      batch.send({ leaseId: 'nonsense' });
      batch.send({ leaseId: 'A'.repeat(40) });
      // A guess: the right instance and life, another secret.
      batch.send({ leaseId: `${second.leaseId.slice(0, -1)}${second.leaseId.endsWith('A') ? 'B' : 'A'}` });
      assert.deepEqual(await batch.end(), { accepted: 3n, unknown: 3n, foreign: 1n });
      assert.equal(mesh.loads.leased(slot), 1);
      assert.ok(mesh.loads.failureNow(slot, performance.now()) > 0);
      assert.equal(control.counters.outcomesForeign, 1);
    });
  });

  it('knows a lease of another instance as foreign, and one of a former life as unknown', async () => {
    let leaseId = '';
    await rig({}, async ({ client, mesh }) => {
      claim(mesh);
      leaseId = (await pick(client())).leaseId;
    });
    await rig({}, async ({ client }) => {
      const batch = outcomes(client());
      batch.send({ leaseId });
      assert.deepEqual(await batch.end(), { accepted: 0n, unknown: 1n, foreign: 0n });
    });
    await rig({ instanceId: 'lb-2' }, async ({ client }) => {
      const batch = outcomes(client());
      batch.send({ leaseId });
      assert.deepEqual(await batch.end(), { accepted: 0n, unknown: 0n, foreign: 1n });
    });
  });

  it('renews a lease that is in progress, and knows one that expired no more', async () => {
    await rig({ leaseTtlMs: 150 }, async ({ client, mesh, until }) => {
      claim(mesh);
      const caller = client();
      const kept = await pick(caller);
      const lost = await pick(caller);
      const renewals = outcomes(caller);
      const timer = setInterval(() => renewals.send({ leaseId: kept.leaseId, inProgress: true }), 30);
      await until(() => mesh.leases.expired === 1);
      clearInterval(timer);
      renewals.send({ leaseId: kept.leaseId });
      renewals.send({ leaseId: lost.leaseId });
      const answer = await renewals.end();
      assert.equal(answer.unknown, 1n);
      assert.ok(answer.accepted >= 2n);
      assert.equal(mesh.leases.open, 0);
    });
  });

  it("takes the backend's word in a call's trailer", async () => {
    await rig({}, async ({ client, mesh }) => {
      claim(mesh);
      const caller = client();
      const batch = outcomes(caller);
      batch.send({ leaseId: (await pick(caller)).leaseId, load: { applicationUtilization: 0.5 } });
      batch.send({ leaseId: (await pick(caller)).leaseId, load: { requestCost: { tokens: 3 } } });
      assert.equal((await batch.end()).accepted, 2n);
      assert.equal(mesh.loads.reports, 1);
      assert.equal(mesh.loads.utilization[mesh.slotOf('a')], 0.5);
    });
  });

  it('refuses what is malformed before it does any of it', async () => {
    await rig({}, async ({ client, mesh }) => {
      claim(mesh);
      const caller = client();
      const { leaseId } = await pick(caller);
      for (const [bad, field] of [
        [{ latency: { seconds: -1n, nanos: 0 } }, 'latency'],
        [{ load: { cpuUtilization: Number.NaN } }, 'load.cpu_utilization'],
      ] as const) {
        const batch = outcomes(caller);
        batch.send({ leaseId, ...bad });
        const error = await failure(batch.answer);
        assert.equal(error.code, Status.INVALID_ARGUMENT);
        assert.deepEqual(fieldsOf(error), [field]);
      }
      assert.equal(mesh.leases.open, 1);
    });
  });
});

describe('the reader of requests', () => {
  const seed = Number(process.env.HEAPMESH_SEED ?? Math.floor(Math.random() * 2 ** 31));

  it(`reads every message as the generated one does (seed ${seed})`, () => {
    const text = fc.oneof(fc.string({ maxLength: 140 }), fc.string({ unit: 'binary', maxLength: 140 }));
    const requests = fc.record({
      service: text,
      method: text,
      excludeIds: fc.array(fc.string(), { maxLength: 2 }),
      hashKey: text,
      zone: text,
    });
    const messages = fc.oneof(
      requests.map(request => Buffer.from(PickServerRequest.encode(request).finish())),
      fc.uint8Array({ maxLength: 24 }).map(bytes => Buffer.from(bytes)),
      // Fields in any order, repeated, unknown.
      fc
        .array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.string({ maxLength: 5 })), { maxLength: 6 })
        .map(fields =>
          Buffer.concat(
            fields.map(([number, value]) => {
              const content = Buffer.from(value);
              return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
            }),
          ),
        ),
    );
    const outcome = (decode: (bytes: Buffer) => unknown, bytes: Buffer) => {
      try {
        return { value: decode(bytes) };
      } catch {
        return 'refused';
      }
    };
    fc.assert(
      fc.property(messages, bytes => {
        assert.deepEqual(
          outcome(decodePick, bytes),
          outcome(b => PickServerRequest.decode(b), bytes),
        );
      }),
      { seed, numRuns: 5000 },
    );
  });
});
