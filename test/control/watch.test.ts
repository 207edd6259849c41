import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CONTROL } from '../../src/core/limits.ts';
import { WatchServersRequest, WatchServersResponse } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { ServerState } from '../../src/gen/heapmesh/v1/server.ts';
import { durationOf, millisOf } from '../../src/grpc/duration.ts';
import { Status } from '../../src/grpc/status.ts';
import { BackendStream, claim, LOOKASIDE, operate, type Rig, rig, SERVICE, watch } from './rig.ts';
import { ended, failure, fieldsOf, framed, type Inbox, rawSession } from './support.ts';

/** What a caller knows after the messages that it has read: as the API says that they are to be read. */
class Known {
  readonly servers = new Map<string, NonNullable<WatchServersResponse['upserted'][number]>>();
  readonly loads = new Map<string, WatchServersResponse['loads'][number]>();
  balancers = 0;
  snapshots = 0;
  messages = 0;

  take(message: WatchServersResponse): void {
    this.messages++;
    if (message.snapshot) {
      this.snapshots++;
      this.servers.clear();
      this.loads.clear();
    }
    for (const server of message.upserted) this.servers.set(server.id, server);
    for (const id of message.removedIds) {
      assert.ok(this.servers.delete(id), `${id} was removed, but never told of`);
      this.loads.delete(id);
    }
    for (const load of message.loads) {
      assert.ok(this.servers.has(load.id), `a load of ${load.id}, which was never told of`);
      this.loads.set(load.id, load);
    }
    this.balancers = message.balancers;
  }

  get ids(): string[] {
    return [...this.servers.keys()].sort();
  }

  async until(inbox: Inbox<WatchServersResponse>, what: () => boolean): Promise<void> {
    while (!what()) this.take(await inbox.next());
  }
}

function reportDirectly({ mesh }: Rig, id: string, inFlight: number): void {
  const slot = mesh.slotOf(id);
  const sample = { inFlight, utilization: 0.5, rps: 10, eps: 0, windowMs: 1000 };
  mesh.report(slot, sample, performance.now());
}

describe('WatchServers', () => {
  it('sends a snapshot with identity, state and loads, then changes', async () => {
    await rig({}, async r => {
      const { mesh, client } = r;
      claim(mesh, { id: 'a', zone: 'z', labels: { k: 'v' }, maxConcurrency: 3 });
      claim(mesh, { id: 'b', services: ['*'], standby: true });
      claim(mesh, { id: 'x', services: ['other.Service'] });
      reportDirectly(r, 'a', 7);
      const { inbox } = watch(client(), { minInterval: durationOf(100) });
      const known = new Known();
      const first = await inbox.next();
      assert.equal(first.snapshot, true);
      assert.equal(first.instanceId, 'lb-1');
      known.take(first);
      assert.deepEqual(known.ids, ['a', 'b']);
      const a = known.servers.get('a');
      assert.deepEqual(
        [a?.zone, a?.labels, a?.maxConcurrency, a?.state],
        ['z', { k: 'v' }, 3, ServerState.SERVER_STATE_WARMING],
      );
      assert.equal(known.servers.get('b')?.state, ServerState.SERVER_STATE_STANDBY);
      const load = known.loads.get('a');
      assert.equal(load?.inFlight, 7);
      assert.equal(load?.utilization, 0.5);
      assert.ok((load?.sequence ?? 0n) > 0n);
      assert.ok(millisOf(load?.age) < 5000);

      claim(mesh, { id: 'c' });
      await operate(client(), 'drain', { id: 'a' });
      mesh.registry.propose({ kind: 'unclaim', source: 'config', id: 'b', how: 'left' }, 'test');
      await known.until(
        inbox,
        () =>
          known.servers.has('c') &&
          !known.servers.has('b') &&
          known.servers.get('a')?.state === ServerState.SERVER_STATE_DRAINING,
      );
      reportDirectly(r, 'c', 1);
      reportDirectly(r, 'a', 2);
      await known.until(
        inbox,
        () => known.loads.get('c')?.inFlight === 1 && known.loads.get('a')?.inFlight === 2,
      );
      assert.equal(known.snapshots, 1);
      // A server whose services change away is removed for these watchers.
      claim(mesh, { id: 'c', services: ['other.Service'] });
      await known.until(inbox, () => !known.servers.has('c'));
    });
  });

  it('waits for servers of a service that nobody serves yet', async () => {
    await rig({}, async ({ mesh, client }) => {
      const { inbox } = watch(client(), { service: 'later.Service' });
      const known = new Known();
      known.take(await inbox.next());
      assert.deepEqual([known.snapshots, known.ids], [1, []]);
      claim(mesh, { services: ['later.Service'] });
      await known.until(inbox, () => known.servers.has('a'));
    });
  });

  it('sends loads at most once per interval, and only of those that reported', async () => {
    await rig({}, async r => {
      const { mesh, client } = r;
      for (let i = 0; i < 10; i++) claim(mesh, { id: `s${i}` });
      const { inbox, stream } = watch(client(), { minInterval: durationOf(400) });
      const known = new Known();
      known.take(await inbox.next());
      const start = performance.now();
      let inFlight = 0;
      const timer = setInterval(() => reportDirectly(r, 's3', ++inFlight), 10);
      let rounds = 0;
      while (rounds < 4) {
        const message = await inbox.next();
        known.take(message);
        if (message.loads.length === 0) continue;
        rounds++;
        assert.deepEqual(
          message.loads.map(load => load.id),
          ['s3'],
        );
      }
      clearInterval(timer);
      // Four rounds have three intervals between them, however they fall.
      assert.ok(performance.now() - start > 3 * 400 - 150);
      stream.cancel();
    });
  });

  it('tells unknown figures as NaN and leaves out who never reported', async () => {
    await rig({}, async r => {
      claim(r.mesh, { id: 'silent' });
      claim(r.mesh, { id: 'vague' });
      r.mesh.report(
        r.mesh.slotOf('vague'),
        { inFlight: Number.NaN, utilization: 0.1, rps: 1, eps: 0, windowMs: Number.NaN },
        performance.now(),
      );
      const known = new Known();
      const { inbox } = watch(r.client());
      await known.until(inbox, () => known.loads.size > 0);
      assert.ok(Number.isNaN(known.loads.get('vague')?.inFlight));
      assert.equal(known.loads.has('silent'), false);
    });
  });

  it('counts instances and watching callers as balancers, for its own newcomers too', async () => {
    let addresses = ['x:1'];
    await rig({ instances: () => addresses }, async ({ mesh, client, control, until }) => {
      const one = watch(client());
      const known = new Known();
      await known.until(one.inbox, () => known.balancers === 2);
      const two = watch(client());
      await known.until(one.inbox, () => known.balancers === 3);
      assert.equal(mesh.balancers, 3);
      addresses = ['x:1', 'y:1'];
      control.instancesChanged();
      await known.until(one.inbox, () => known.balancers === 4);
      two.stream.on('error', () => {});
      two.stream.cancel();
      await until(() => control.gauges().watches === 1);
      assert.equal(mesh.balancers, 3);
      await known.until(one.inbox, () => known.balancers === 3);
    });
  });

  it('refuses what is wrong', async () => {
    await rig(
      { authorize: (_, action, subject) => (action === 'watch' && subject === 'x.Y' ? 'no' : undefined) },
      async ({ client }) => {
        for (const [bad, field] of [
          [{ service: '' }, 'service'],
          [{ minInterval: durationOf(-1) }, 'min_interval'],
          [{ zone: 'a b' }, 'zone'],
          [{ clientId: 'c'.repeat(300) }, 'client_id'],
        ] as const) {
          const error = await failure(watch(client(), bad).inbox.next());
          assert.equal(error.code, Status.INVALID_ARGUMENT);
          assert.deepEqual(fieldsOf(error), [field]);
        }
        assert.equal(
          (await failure(watch(client(), { service: 'x.Y' }).inbox.next())).code,
          Status.PERMISSION_DENIED,
        );
      },
    );
  });

  it('ends with UNAVAILABLE when the balancer stops', async () => {
    await rig({}, async ({ client, control }) => {
      const { stream, inbox } = watch(client());
      await inbox.next();
      const end = ended(stream);
      const closed = control.close(1000);
      assert.equal((await end).code, Status.UNAVAILABLE);
      await closed;
    });
  });

  it('spreads a list that is larger than a message over several', async () => {
    await rig({}, async r => {
      const { mesh, client } = r;
      const labels = { filler: 'x'.repeat(50) };
      for (let i = 0; i < 2000; i++) claim(mesh, { id: `s${i}`, labels });
      for (let i = 0; i < 2000; i++) reportDirectly(r, `s${i}`, i);
      const { inbox, stream } = watch(client());
      const known = new Known();
      while (known.loads.size < 2000) {
        const message = await inbox.next();
        known.take(message);
        const size = WatchServersResponse.encode(message).finish().length;
        assert.ok(size < CONTROL.watchChunkBytes + 1024, `${size} bytes`);
      }
      assert.equal(known.servers.size, 2000);
      assert.equal(known.snapshots, 1);
      assert.ok(known.messages > 4);
      for (const [id, load] of known.loads) assert.equal(`s${load.inFlight}`, id);
      stream.cancel();
    });
  });
});

describe('a subset', () => {
  it('stays the same for a client, is spread over clients, and moves one place for one change', async () => {
    await rig({}, async ({ mesh, client }) => {
      for (let i = 0; i < 50; i++) claim(mesh, { id: `s${i}` });
      const idsOf = async (clientId: string) => {
        const { inbox, stream } = watch(client(), { maxServers: 5, clientId });
        const known = new Known();
        known.take(await inbox.next());
        stream.on('error', () => {});
        stream.cancel();
        return known.ids;
      };
      const first = await idsOf('caller-1');
      assert.equal(first.length, 5);
      assert.deepEqual(await idsOf('caller-1'), first);
      const all = new Set<string>();
      for (let i = 0; i < 40; i++) for (const id of await idsOf(`caller-${i}`)) all.add(id);
      assert.ok(all.size > 40, `40 callers of 5 servers each use ${all.size} of 50`);

      const { inbox, stream } = watch(client(), { maxServers: 5, clientId: 'caller-1' });
      const known = new Known();
      known.take(await inbox.next());
      const gone = first[2] as string;
      mesh.registry.propose({ kind: 'unclaim', source: 'config', id: gone, how: 'left' }, 'test');
      await known.until(inbox, () => !known.servers.has(gone));
      assert.equal(known.ids.length, 5);
      assert.equal(known.ids.filter(id => first.includes(id)).length, 4);
      // An ejected server gives its place to one that takes calls.
      const sick = first[0] as string;
      mesh.registry.propose(
        { kind: 'observe', id: sick, observation: { phase: 'ejected', healthy: false } },
        'x',
      );
      await known.until(inbox, () => !known.servers.has(sick));
      assert.equal(known.ids.length, 5);
      stream.cancel();
    });
  });

  it("takes the caller's zone first, then others", async () => {
    await rig({}, async r => {
      const { mesh, client } = r;
      for (let i = 0; i < 90; i++) claim(mesh, { id: `s${i}`, zone: i < 3 ? 'near' : 'far' });
      reportDirectly(r, 's1', 4);
      const { inbox } = watch(client(), { maxServers: 5, zone: 'near', clientId: 'c' });
      const known = new Known();
      known.take(await inbox.next());
      for (const id of ['s0', 's1', 's2']) assert.ok(known.servers.has(id), id);
      assert.equal(known.ids.length, 5);
      assert.deepEqual([...known.loads.keys()], ['s1']);
      reportDirectly(r, 's2', 9);
      await known.until(inbox, () => known.loads.get('s2')?.inFlight === 9);
    });
  });
});

describe('a reader that does not read', () => {
  it('costs little, hinders nobody, and has the latest state when it reads again', async () => {
    await rig({}, async r => {
      const { mesh, client, control, address, until } = r;
      const labels = { filler: 'y'.repeat(400) };
      for (let i = 0; i < 300; i++) claim(mesh, { id: `s${i}`, labels });
      // One that stalls at once, with a snapshot larger than its window behind it.
      const session = await rawSession(address);
      const stalled: ReturnType<typeof session.request>[] = [];
      const request = WatchServersRequest.fromPartial({ service: SERVICE, minInterval: durationOf(100) });
      for (let i = 0; i < 20; i++) {
        const stream = session.request({
          ':method': 'POST',
          ':path': `${LOOKASIDE}/WatchServers`,
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        stream.pause();
        stream.on('error', () => {});
        stream.end(framed(WatchServersRequest.encode(request).finish()));
        stalled.push(stream);
      }
      const { inbox } = watch(client(), { minInterval: durationOf(100) });
      const known = new Known();
      await known.until(inbox, () => known.servers.size === 300);
      await until(() => control.gauges().watches === 21);

      // 300 servers change 40 times, in identity and in load.
      global.gc?.();
      const before = process.memoryUsage();
      for (let round = 0; round < 40; round++) {
        for (let i = 0; i < 300; i++) {
          claim(mesh, { id: `s${i}`, labels, weight: round + 2 });
          reportDirectly(r, `s${i}`, round);
        }
        await known.until(inbox, () => known.servers.get('s299')?.weight === round + 2);
      }
      mesh.registry.propose({ kind: 'unclaim', source: 'config', id: 's7', how: 'left' }, 'test');
      await known.until(inbox, () => !known.servers.has('s7'));
      const sent = control.counters.watchMessages;
      const after = process.memoryUsage();
      const grown = after.external + after.arrayBuffers - before.external - before.arrayBuffers;
      // Had all been queued: 20 readers × 40 rounds × 300 servers × 500 bytes = 120 MB, twice with loads.
      assert.ok(grown < 20e6, `grew by ${(grown / 1e6).toFixed(1)} MB`);
      assert.ok(control.counters.watchSkips > 0);

      // They read again, and have what is so now, without all that was in between.
      const messages: WatchServersResponse[] = [];
      const slow = new Known();
      let bytes = Buffer.alloc(0);
      const [first] = stalled as [(typeof stalled)[0]];
      first.on('data', (part: Buffer) => {
        bytes = Buffer.concat([bytes, part]);
        while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
          const size = bytes.readUInt32BE(1);
          const message = WatchServersResponse.decode(bytes.subarray(5, 5 + size));
          messages.push(message);
          slow.take(message);
          bytes = bytes.subarray(5 + size);
        }
      });
      first.resume();
      await until(() => slow.servers.get('s299')?.weight === 41 && slow.loads.get('s299')?.inFlight === 39);
      assert.deepEqual(slow.ids, known.ids);
      // The snapshot in three messages, the present state in three more, and rounds of loads while it reads.
      assert.ok(messages.length < 12, `${messages.length} messages`);
      assert.ok(sent > 0);
      session.destroy();
      await until(() => control.gauges().watches === 1);
    });
  });

  it('gets a new snapshot where it lags behind all removals that are kept', async () => {
    await rig({}, async r => {
      const { mesh, client, control } = r;
      const labels = { filler: 'z'.repeat(500) };
      claim(mesh, { id: 'stays' });
      claim(mesh, { id: 'goes' });
      const { stream, inbox } = watch(client(), { minInterval: durationOf(100) });
      const known = new Known();
      known.take(await inbox.next());
      stream.pause();
      const come = (id: string) => claim(mesh, { id, labels });
      const go = (id: string) =>
        mesh.registry.propose({ kind: 'unclaim', source: 'config', id, how: 'left' }, 'test');
      // Until its window is full, and nothing more reaches it.
      for (let i = 0; control.counters.watchSkips === 0; i++) {
        come(`f${i}`);
        go(`f${i - 1}`);
        if (i % 50 === 0) await new Promise(resolve => setTimeout(resolve, 20));
      }
      go('goes');
      for (let i = 0; i < 3 * CONTROL.tombstones; i++) {
        come(`t${i}`);
        go(`t${i}`);
      }
      for (const view of mesh.registry.list()) if (view.spec.id !== 'stays') go(view.spec.id);
      claim(mesh, { id: 'last' });
      stream.resume();
      await known.until(inbox, () => known.servers.has('last'));
      await known.until(inbox, () => known.ids.length === 2);
      assert.deepEqual(known.ids, ['last', 'stays']);
      assert.equal(known.snapshots, 2);
      assert.equal(control.counters.watchResyncs, 1);
    });
  });

  it('reads a backend that reports by stream like any other', async () => {
    await rig({}, async ({ client }) => {
      const backend = new BackendStream(client());
      await backend.register();
      const { inbox } = watch(client(), { minInterval: durationOf(100) });
      const known = new Known();
      await known.until(inbox, () => known.servers.has('a'));
      backend.report({ cpuUtilization: 0.75, namedMetrics: { in_flight: 2 } });
      await known.until(inbox, () => known.loads.get('a')?.utilization === 0.75);
    });
  });
});
