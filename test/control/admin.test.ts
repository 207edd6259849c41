import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http2';
import { describe, it } from 'node:test';
import { WatchEventsRequest } from '../../src/gen/heapmesh/v1/admin.ts';
import { ServerState } from '../../src/gen/heapmesh/v1/server.ts';
import { durationOf } from '../../src/grpc/duration.ts';
import { Status } from '../../src/grpc/status.ts';
import { ADMIN, BackendStream, claim, events, operate, pick, rig, SERVICE } from './rig.ts';
import { failure, fieldsOf, framed, rawCall, rawSession } from './support.ts';

const { SERVER_STATE_DRAINING, SERVER_STATE_STANDBY, SERVER_STATE_WARMING } = ServerState;

describe('ListServers', () => {
  it('tells all of every server, in the order of ids, and filters', async () => {
    await rig({}, async ({ mesh, client, control, until }) => {
      const operator = client();
      const backend = new BackendStream(client());
      await backend.register({ id: 'b' });
      backend.report({ cpuUtilization: 0.5, rpsFractional: 10, namedMetrics: { in_flight: 4 } });
      await until(() => control.counters.reports === 1);
      claim(mesh, { id: 'a', services: ['*'], standby: true });
      claim(mesh, { id: 'c', services: ['other.Service'] });
      await pick(client(), { excludeIds: ['a', 'c'] });
      const { servers } = await operate(operator, 'list', {});
      assert.deepEqual(
        servers.map(one => one.server?.id),
        ['a', 'b', 'c'],
      );
      const b = servers[1];
      assert.equal(b?.stateCause, 'registered itself');
      assert.ok(Math.abs((b?.stateTime?.getTime() ?? 0) - Date.now()) < 10_000);
      assert.deepEqual(b?.sources, ['stream']);
      assert.equal(b?.leased, 1);
      assert.equal(b?.relayed, 0);
      assert.equal(b?.load?.inFlight, 4);
      assert.equal(b?.load?.utilization, 0.5);
      assert.ok((b?.load?.sequence ?? 0n) >= 1n);
      assert.equal(servers[0]?.load, undefined);
      const ids = async (request: { service?: string; states?: ServerState[] }) =>
        (await operate(operator, 'list', request)).servers.map(one => one.server?.id);
      assert.deepEqual(await ids({ service: SERVICE }), ['a', 'b']);
      assert.deepEqual(await ids({ states: [SERVER_STATE_STANDBY] }), ['a']);
      assert.deepEqual(await ids({ service: 'other.Service', states: [SERVER_STATE_WARMING] }), ['c']);
      assert.deepEqual(await ids({ service: 'nobody.Knows' }), ['a']);
      assert.equal(
        (await failure(operate(operator, 'list', { service: 'a b' }))).code,
        Status.INVALID_ARGUMENT,
      );
    });
  });
});

describe('AddServer and RemoveServer', () => {
  it('make a server known and unknown', async () => {
    await rig({}, async ({ mesh, client }) => {
      const operator = client();
      const server = { id: 'a', address: '10.0.0.1:80', services: [SERVICE], zone: 'z', labels: { k: 'v' } };
      const added = await operate(operator, 'add', { server });
      assert.equal(added.server?.server?.state, SERVER_STATE_WARMING);
      assert.deepEqual(added.server?.sources, ['operator']);
      assert.equal(mesh.registry.get('a')?.spec.weight, 1);
      await operate(operator, 'add', { server: { ...server, zone: 'y' } });
      assert.equal(mesh.registry.get('a')?.spec.zone, 'y');
      const elsewhere = operate(operator, 'add', { server: { ...server, address: '10.0.0.2:80' } });
      assert.equal((await failure(elsewhere)).code, Status.ALREADY_EXISTS);
      await operate(operator, 'remove', { id: 'a' });
      assert.equal(mesh.registry.get('a'), undefined);
      assert.equal((await failure(operate(operator, 'remove', { id: 'a' }))).code, Status.NOT_FOUND);
      const standby = await operate(operator, 'add', { server: { ...server, id: 's' }, standby: true });
      assert.equal(standby.server?.server?.state, SERVER_STATE_STANDBY);
    });
  });

  it('remove after a drain where that is wanted', async () => {
    await rig({}, async ({ mesh, client, until }) => {
      claim(mesh);
      const caller = client();
      await pick(caller);
      await operate(client(), 'remove', { id: 'a', drainTimeout: durationOf(400) });
      assert.equal(mesh.registry.get('a')?.state, 'DRAINING');
      await until(() => mesh.registry.get('a') === undefined);
    });
  });

  it('refuse what is wrong', async () => {
    await rig({ allowBackends: ['10.0.0.0/8'] }, async ({ mesh, client }) => {
      const operator = client();
      const good = { id: 'a', address: '10.0.0.1:80', services: [SERVICE] };
      for (const [server, field] of [
        [undefined, 'server'],
        [{ ...good, address: '' }, 'server.address'],
        [{ ...good, address: ':80' }, 'server.address'],
        [{ ...good, address: '192.0.2.1:80' }, 'server.address'],
        [{ ...good, weight: Number.NEGATIVE_INFINITY }, 'server.weight'],
        [{ ...good, services: [''] }, 'server.services[0]'],
      ] as const) {
        const error = await failure(
          operate(
            operator,
            'add',
            server === undefined ? {} : { server: { ...server, services: [...server.services] } },
          ),
        );
        assert.equal(error.code, Status.INVALID_ARGUMENT);
        assert.deepEqual(fieldsOf(error), [field]);
      }
      assert.equal(mesh.registry.position, 0);
    });
  });
});

describe('draining by an operator', () => {
  it('takes a server out and back', async () => {
    await rig({}, async ({ mesh, client, until }) => {
      const operator = client();
      claim(mesh);
      const drained = await operate(operator, 'drain', { id: 'a', cause: 'disk\u0007 full' });
      assert.equal(drained.server?.server?.state, SERVER_STATE_DRAINING);
      assert.equal(drained.server?.stateCause, 'disk  full');
      await until(() => mesh.registry.get('a')?.drain?.empty === true);
      assert.equal((await failure(pick(client()))).code, Status.UNAVAILABLE);
      const back = await operate(operator, 'undrain', { id: 'a' });
      assert.equal(back.server?.server?.state, SERVER_STATE_WARMING);
      assert.equal(
        (await failure(operate(operator, 'undrain', { id: 'a' }))).code,
        Status.FAILED_PRECONDITION,
      );
      assert.equal((await failure(operate(operator, 'undrain', { id: 'x' }))).code, Status.NOT_FOUND);
      assert.equal((await failure(operate(operator, 'drain', { id: 'x' }))).code, Status.NOT_FOUND);
      const long = operate(operator, 'drain', { id: 'a', timeout: durationOf(1e9) });
      assert.deepEqual(fieldsOf(await failure(long)), ['timeout']);
    });
  });

  it('is not over while a lease is open', async () => {
    await rig({ leaseTtlMs: 600 }, async ({ mesh, client, until }) => {
      claim(mesh);
      await pick(client());
      await operate(client(), 'drain', { id: 'a', timeout: durationOf(60_000) });
      await new Promise(resolve => setTimeout(resolve, 400));
      assert.equal(mesh.registry.get('a')?.drain?.empty, false);
      await until(() => mesh.registry.get('a')?.drain?.empty === true);
      assert.equal(mesh.leases.open, 0);
    });
  });
});

describe('ActivateServer and SetServerWeight', () => {
  it('activate a healthy standby alone', async () => {
    await rig({}, async ({ mesh, client }) => {
      const operator = client();
      claim(mesh, { standby: true });
      claim(mesh, { id: 'sick', standby: true });
      mesh.registry.propose(
        { kind: 'observe', id: 'sick', observation: { phase: 'warming', healthy: false } },
        'x',
      );
      const { server } = await operate(operator, 'activate', { id: 'a', cause: 'load' });
      assert.equal(server?.server?.state, SERVER_STATE_WARMING);
      assert.equal(server?.stateCause, 'load');
      for (const id of ['a', 'sick']) {
        assert.equal((await failure(operate(operator, 'activate', { id }))).code, Status.FAILED_PRECONDITION);
      }
      assert.equal((await failure(operate(operator, 'activate', { id: 'x' }))).code, Status.NOT_FOUND);
    });
  });

  it('override a weight and take that back', async () => {
    await rig({}, async ({ mesh, client }) => {
      const operator = client();
      claim(mesh, { weight: 2 });
      assert.equal((await operate(operator, 'weight', { id: 'a', weight: 5 })).server?.server?.weight, 5);
      assert.equal((await operate(operator, 'weight', { id: 'a', weight: 0 })).server?.server?.weight, 2);
      for (const weight of [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e-300]) {
        const error = await failure(operate(operator, 'weight', { id: 'a', weight }));
        assert.deepEqual(fieldsOf(error), ['weight']);
      }
      assert.equal(
        (await failure(operate(operator, 'weight', { id: 'x', weight: 1 }))).code,
        Status.NOT_FOUND,
      );
      assert.equal(mesh.registry.get('a')?.spec.weight, 2);
    });
  });
});

describe('GetHeap', () => {
  it('shows the heap of a zone in array order with the terms of each score', async () => {
    await rig({}, async ({ mesh, client }) => {
      const operator = client();
      for (let i = 0; i < 9; i++) claim(mesh, { id: `s${i}`, zone: i < 6 ? 'z1' : 'z2' });
      const heap = await operate(operator, 'heap', { service: SERVICE, zone: 'z1' });
      assert.equal(heap.zone, 'z1');
      assert.ok(heap.arity >= 2);
      assert.deepEqual(heap.nodes.map(node => node.serverId).sort(), ['s0', 's1', 's2', 's3', 's4', 's5']);
      assert.ok(heap.nodes.every(node => node.newcomer && Object.keys(node.terms).length > 0));
      assert.ok(['z1', 'z2'].includes((await operate(operator, 'heap', { service: SERVICE })).zone));
      const zone = await failure(operate(operator, 'heap', { service: SERVICE, zone: 'z3' }));
      assert.equal(zone.code, Status.NOT_FOUND);
      assert.match(zone.details, /'z1', 'z2'/);
      assert.equal((await failure(operate(operator, 'heap', { service: 'x.Y' }))).code, Status.NOT_FOUND);
      assert.equal((await failure(operate(operator, 'heap', {}))).code, Status.INVALID_ARGUMENT);
    });
  });
});

describe('authorization', () => {
  it('asks for reading and for writing apart, with the subject', async () => {
    const asked: string[] = [];
    const authorize = (_: unknown, action: string, subject: string) => {
      asked.push(`${action} ${subject}`);
      return action === 'admin.write' ? 'read only' : undefined;
    };
    await rig({ authorize }, async ({ mesh, client }) => {
      const operator = client();
      claim(mesh, { standby: true });
      await operate(operator, 'list', { service: SERVICE });
      const server = { id: 'n', address: '10.0.0.1:80', services: [SERVICE] };
      for (const refused of [
        operate(operator, 'add', { server }),
        operate(operator, 'remove', { id: 'a' }),
        operate(operator, 'drain', { id: 'a' }),
        operate(operator, 'undrain', { id: 'a' }),
        operate(operator, 'activate', { id: 'a' }),
        operate(operator, 'weight', { id: 'a', weight: 2 }),
      ]) {
        const error = await failure(refused);
        assert.equal(error.code, Status.PERMISSION_DENIED);
        assert.equal(error.details, 'read only');
      }
      assert.equal(asked[0], `admin.read ${SERVICE}`);
      assert.deepEqual(new Set(asked.slice(1)), new Set(['admin.write n', 'admin.write a']));
      assert.equal(mesh.registry.position, 1);
    });
  });
});

describe('WatchEvents', () => {
  it('tells what happens from now on, with causes', async () => {
    await rig({}, async ({ mesh, client }) => {
      claim(mesh, { id: 'before' });
      const { inbox, stream } = events(client());
      // Nothing says that it listens but an event: some are made until one comes.
      let heard = inbox.next();
      let listens = false;
      void heard.then(() => {
        listens = true;
      });
      let last = '';
      for (let n = 0; !listens; n++) {
        last = `probe${n}`;
        claim(mesh, { id: last });
        await new Promise(resolve => setTimeout(resolve, 10));
      }
      assert.notEqual((await heard).serverId, 'before');
      while ((await heard).serverId !== last) heard = inbox.next();
      const before = mesh.registry.position;
      const operator = client();
      claim(mesh);
      await operate(operator, 'drain', { id: 'a', cause: 'new kernel' });
      const first = await inbox.next();
      assert.deepEqual(
        [first.kind, first.serverId, first.state, first.cause],
        ['registered', 'a', SERVER_STATE_WARMING, 'test'],
      );
      assert.equal(first.position, BigInt(before + 1));
      assert.equal(first.instanceId, 'lb-1');
      const second = await inbox.next();
      assert.deepEqual(
        [second.kind, second.state, second.cause],
        ['state_changed', SERVER_STATE_DRAINING, 'new kernel'],
      );
      stream.cancel();
    });
  });

  it('goes on behind a position, and says OUT_OF_RANGE for one that is not held', async () => {
    await rig({}, async ({ mesh, client }) => {
      for (let i = 0; i < 5; i++) claim(mesh, { id: `s${i}` });
      const { inbox, stream } = events(client(), { afterPosition: 3n });
      assert.equal((await inbox.next()).serverId, 's3');
      assert.equal((await inbox.next()).serverId, 's4');
      claim(mesh, { id: 's5' });
      assert.equal((await inbox.next()).serverId, 's5');
      stream.cancel();
      for (const afterPosition of [99n, 2n ** 63n]) {
        const error = await failure(events(client(), { afterPosition }).inbox.next());
        assert.equal(error.code, Status.OUT_OF_RANGE);
      }
    });
  });

  it('filters by service', async () => {
    await rig({}, async ({ mesh, client }) => {
      claim(mesh, { id: 'zero' });
      claim(mesh, { id: 'one', services: ['x.Y'] });
      claim(mesh, { id: 'two' });
      claim(mesh, { id: 'three', services: ['*'] });
      const { inbox, stream } = events(client(), { afterPosition: 1n, service: SERVICE });
      assert.equal((await inbox.next()).serverId, 'two');
      assert.equal((await inbox.next()).serverId, 'three');
      stream.cancel();
      const bad = await failure(events(client(), { service: 'a b' }).inbox.next());
      assert.deepEqual(fieldsOf(bad), ['service']);
    });
  });

  it('ends at its deadline, and with the balancer, as what it is', async () => {
    await rig({}, async ({ mesh, address, control }) => {
      claim(mesh);
      const session = await rawSession(address);
      const message = framed(WatchEventsRequest.encode({ afterPosition: 0n, service: '' }).finish());
      const ended = (fields: OutgoingHttpHeaders) =>
        rawCall(session, `${ADMIN}/WatchEvents`, message, fields);
      assert.equal((await ended({ 'grpc-timeout': '20m' })).grpcStatus, Status.DEADLINE_EXCEEDED);
      const last = ended({});
      await new Promise(resolve => session.ping(resolve));
      const closed = control.close(1_000);
      assert.equal((await last).grpcStatus, Status.UNAVAILABLE);
      session.close();
      await closed;
    });
  });

  it('ends a reader that lags behind all that is held, with the reason', async () => {
    await rig({}, async ({ mesh, client, control, until }) => {
      claim(mesh);
      const { stream } = events(client(), { afterPosition: 1n });
      stream.pause();
      let flips = 0;
      const flip = () => {
        for (let i = 0; i < 1000; i++) {
          mesh.registry.propose({ kind: 'weight', id: 'a', weight: 1 + (++flips % 2) }, 'w'.repeat(400));
        }
      };
      await until(() => {
        flip();
        return flips > 60_000;
      });
      const status = new Promise<{ code: number; details: string }>(resolve => stream.on('status', resolve));
      stream.on('error', () => {});
      let read = 0;
      stream.on('data', () => {
        read++;
      });
      stream.resume();
      const { code, details } = await status;
      assert.equal(code, Status.DATA_LOSS);
      assert.match(details, /too slowly/);
      assert.ok(read > 0 && read < flips);
      assert.equal(control.counters.eventsLost, 1);
    });
  });
});
