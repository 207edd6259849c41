import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { ReportLoadRequest } from '../../src/gen/heapmesh/v1/load_report.ts';
import { durationOf, millisOf } from '../../src/grpc/duration.ts';
import { Status } from '../../src/grpc/status.ts';
import { BackendStream, claim, configOf, operate, registration, rig } from './rig.ts';
import { ended, failure, fieldsOf, framed, rawSession } from './support.ts';

describe('registration', () => {
  it('makes the server known and tells it what it has to know', async () => {
    await rig({ reportIntervalMs: 250, advertise: '10.0.0.5:4701' }, async ({ mesh, client }) => {
      const backend = new BackendStream(client());
      const answer = await backend.register({ labels: { version: '7' }, zone: 'z1', maxConcurrency: 9 });
      assert.equal(answer.id, 'a');
      assert.equal(millisOf(answer.reportInterval), 250);
      assert.equal(answer.instanceId, 'lb-1');
      assert.deepEqual(answer.controlAddresses, ['10.0.0.5:4701']);
      const view = mesh.registry.get('a');
      assert.equal(view?.state, 'WARMING');
      assert.deepEqual(view?.sources, ['stream']);
      assert.deepEqual(view?.spec, registration({ labels: { version: '7' }, zone: 'z1', maxConcurrency: 9 }));
    });
  });

  it("takes the stream's address for an empty or wildcard host, and the address for an empty id", async () => {
    await rig({}, async ({ mesh, client }) => {
      assert.equal(
        (await new BackendStream(client()).register({ id: '', address: '0.0.0.0:1234' })).id,
        '127.0.0.1:1234',
      );
      assert.equal(
        (await new BackendStream(client()).register({ id: '', address: ':1235' })).id,
        '127.0.0.1:1235',
      );
      assert.equal(mesh.registry.get('127.0.0.1:1234')?.spec.address, '127.0.0.1:1234');
    });
  });

  it('can be changed by a second one, but not into another server', async () => {
    await rig({}, async ({ mesh, client }) => {
      const backend = new BackendStream(client());
      await backend.register();
      await backend.register({ services: ['a.B', 'c.D'], weight: 2 });
      assert.deepEqual(mesh.registry.get('a')?.spec.services, ['a.B', 'c.D']);
      assert.equal(mesh.pool('echo.v1.EchoService'), undefined);
      assert.equal(mesh.pool('c.D')?.size, 1);
      backend.send({ $case: 'registration', value: registration({ id: 'b' }) });
      const error = await failure(backend.inbox.next());
      assert.equal(error.code, Status.INVALID_ARGUMENT);
      assert.deepEqual(fieldsOf(error), ['registration.id']);
      assert.equal(mesh.registry.get('b'), undefined);
    });
  });

  it('is refused, with every fault named, where it is wrong, and changes nothing', async () => {
    await rig({ allowBackends: ['127.0.0.0/8'] }, async ({ mesh, client }) => {
      for (const [change, field] of [
        [{ address: 'nowhere' }, 'registration.address'],
        [{ address: '10.0.0.1:1' }, 'registration.address'],
        [{ weight: Number.NaN }, 'registration.weight'],
        [{ services: [] }, 'registration.services'],
        [{ id: 'a b' }, 'registration.id'],
      ] as const) {
        const backend = new BackendStream(client());
        backend.send({
          $case: 'registration',
          value: registration({
            ...change,
            services: [...((change as { services?: [] }).services ?? ['a.B'])],
          }),
        });
        const error = await failure(backend.inbox.next());
        assert.equal(error.code, Status.INVALID_ARGUMENT);
        assert.deepEqual(fieldsOf(error), [field]);
      }
      assert.equal(mesh.registry.position, 0);
    });
  });

  it('must come first, and in time', async () => {
    const timers: { ms: number; call: () => void }[] = [];
    const clock = {
      now: () => performance.now(),
      wall: Date.now,
      after(ms: number, call: () => void) {
        const timer = { ms, call };
        timers.push(timer);
        return () => {
          timer.call = () => {};
        };
      },
    };
    await rig({ clock }, async ({ client, control, until }) => {
      const early = new BackendStream(client());
      early.report({ cpuUtilization: 1 });
      assert.equal((await failure(early.inbox.next())).code, Status.FAILED_PRECONDITION);
      const empty = new BackendStream(client());
      empty.send(undefined);
      assert.equal((await failure(empty.inbox.next())).code, Status.INVALID_ARGUMENT);
      const silent = new BackendStream(client());
      silent.stream.resume();
      // Headers are sent with the first message or at once: wait for the stream to be there.
      await until(() => control.gauges().reporters === 1);
      for (const timer of timers) timer.call();
      assert.equal((await failure(silent.inbox.next())).code, Status.DEADLINE_EXCEEDED);
      assert.equal(control.gauges().reporters, 0);
    });
  });

  it('is refused for an id that the configuration has at another address', async () => {
    await rig({}, async ({ mesh, client }) => {
      claim(mesh, { address: '127.0.0.1:1' });
      const backend = new BackendStream(client());
      backend.send({ $case: 'registration', value: registration({ address: '127.0.0.1:2' }) });
      assert.equal((await failure(backend.inbox.next())).code, Status.ALREADY_EXISTS);
      assert.equal(mesh.registry.get('a')?.spec.address, '127.0.0.1:1');
      await new BackendStream(client()).register({ address: '127.0.0.1:1' });
    });
  });

  it('is refused for what an operator has removed, until it is undrained', async () => {
    await rig({}, async ({ mesh, client }) => {
      const operator = client();
      const backend = new BackendStream(client());
      await backend.register();
      const end = ended(backend.stream);
      await operate(operator, 'remove', { id: 'a' });
      assert.equal((await end).code, Status.FAILED_PRECONDITION);
      const again = new BackendStream(client());
      again.send({ $case: 'registration', value: registration() });
      const error = await failure(again.inbox.next());
      assert.equal(error.code, Status.FAILED_PRECONDITION);
      assert.match(error.details, /removed by an operator/);
      await operate(operator, 'undrain', { id: 'a' });
      await new BackendStream(client()).register();
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
    });
  });

  it('may be forbidden', async () => {
    const authorize = (peer: { host: string }, action: string, subject: string) =>
      action === 'report-load' ? `${peer.host} may not report for ${subject}` : undefined;
    await rig({ authorize }, async ({ client }) => {
      const backend = new BackendStream(client());
      backend.send({ $case: 'registration', value: registration() });
      const error = await failure(backend.inbox.next());
      assert.equal(error.code, Status.PERMISSION_DENIED);
      assert.equal(error.details, '127.0.0.1 may not report for a');
    });
  });
});

describe('reports', () => {
  it('reach the load table, in the order of their sequence', async () => {
    await rig({}, async ({ mesh, client, control, until }) => {
      const backend = new BackendStream(client());
      await backend.register();
      const slot = mesh.slotOf('a');
      backend.report({ cpuUtilization: 0.5, namedMetrics: { in_flight: 7 } }, 10n);
      backend.report({ cpuUtilization: 0.6 }, 10n);
      backend.report({ cpuUtilization: 0.7 }, 9n);
      backend.report({ cpuUtilization: 0.8 }, 0n);
      backend.report({ cpuUtilization: 0.9 }, 11n);
      await until(() => mesh.loads.utilization[slot] === 0.9);
      assert.equal(control.counters.reports, 3);
      assert.equal(control.counters.reportsLate, 2);
    });
  });

  it('that are wrong end the stream, and the load stays as it was', async () => {
    await rig({}, async ({ mesh, client, control, until }) => {
      const backend = new BackendStream(client());
      await backend.register();
      const slot = mesh.slotOf('a');
      backend.report({ cpuUtilization: 0.5 });
      await until(() => mesh.loads.utilization[slot] === 0.5);
      backend.report({ cpuUtilization: Number.NaN, eps: -1 });
      const error = await failure(backend.inbox.next());
      assert.equal(error.code, Status.INVALID_ARGUMENT);
      assert.deepEqual(fieldsOf(error), ['load.cpu_utilization', 'load.eps']);
      assert.equal(mesh.loads.utilization[slot], 0.5);
      assert.equal(control.counters.reportsInvalid, 1);
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
      await new BackendStream(client()).register();
    });
  });

  it('that are no messages at all end the stream, and with it what it stood for', async () => {
    await rig({}, async ({ address, control, until }) => {
      const session = await rawSession(address);
      const value = registration();
      const first = { kind: { $case: 'registration', value }, sequence: 0n, window: undefined } as const;
      for (const [flag, octets] of [
        [0, [0x0a, 0xff]],
        [1, [1, 2, 3]],
        [2, []],
      ] as const) {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/heapmesh.v1.LoadReportService/ReportLoad',
          'content-type': 'application/grpc',
          'grpc-encoding': 'gzip',
        });
        stream.resume();
        stream.write(framed(ReportLoadRequest.encode(first).finish()));
        await until(() => control.reports('a'));
        const message = framed(Buffer.from(octets));
        message[0] = flag;
        stream.write(message);
        const [trailers] = await once(stream, 'trailers');
        assert.equal(Number(trailers['grpc-status']), Status.INTERNAL);
        assert.equal(control.gauges().reporters, 0);
        assert.equal(control.reports('a'), false);
      }
      session.destroy();
    });
  });
});

describe('messages to a backend', () => {
  it('tell it to drain, to join, and how often to report', async () => {
    await rig({}, async ({ client, control, mesh }) => {
      const operator = client();
      const backend = new BackendStream(client());
      await backend.register({ standby: true });
      assert.equal(mesh.registry.get('a')?.state, 'STANDBY');
      await operate(operator, 'activate', { id: 'a', cause: 'more load' });
      assert.deepEqual((await backend.inbox.next()).kind, {
        $case: 'activate',
        value: { cause: 'more load' },
      });
      await operate(operator, 'drain', { id: 'a', timeout: durationOf(5000), cause: 'new kernel' });
      const { kind } = await backend.inbox.next();
      assert.deepEqual(kind, { $case: 'drain', value: { timeout: durationOf(5000), cause: 'new kernel' } });
      control.reconfigure(configOf({ reportIntervalMs: 333 }));
      const interval = (await backend.inbox.next()).kind;
      assert.equal(interval?.$case === 'reportInterval' && millisOf(interval.value), 333);
    });
  });

  it('include a drain that was there before it registered', async () => {
    await rig({}, async ({ client }) => {
      const backend = new BackendStream(client());
      await backend.register();
      await operate(client(), 'drain', { id: 'a', timeout: durationOf(60_000), cause: 'later' });
      const again = new BackendStream(client());
      await again.register();
      assert.equal((await again.inbox.next()).kind?.$case, 'drain');
    });
  });
});

describe('leaving', () => {
  it('is at once without a drain, and the stream ends with OK', async () => {
    await rig({}, async ({ mesh, client }) => {
      const backend = new BackendStream(client());
      await backend.register();
      const end = ended(backend.stream);
      backend.leave(0);
      assert.equal((await end).code, Status.OK);
      assert.equal(mesh.registry.get('a'), undefined);
    });
  });

  it('waits until calls in flight have ended', async () => {
    await rig({}, async ({ mesh, client, until }) => {
      const backend = new BackendStream(client());
      await backend.register();
      backend.report({ namedMetrics: { in_flight: 2 } });
      backend.leave(60_000);
      await until(() => mesh.registry.get('a')?.state === 'DRAINING');
      // Callers need a moment to hear of it: an empty report at once is no proof.
      backend.report({ namedMetrics: { in_flight: 0 } });
      await new Promise(resolve => setTimeout(resolve, 350));
      assert.equal(mesh.registry.get('a')?.state, 'DRAINING');
      const end = ended(backend.stream);
      backend.report({ namedMetrics: { in_flight: 0 } });
      // A half-closed stream still waits for the end of its drain.
      backend.stream.end();
      assert.equal((await end).code, Status.OK);
      assert.equal(mesh.registry.get('a'), undefined);
    });
  });

  it('ends with the drain time-out whatever is in flight', async () => {
    await rig({}, async ({ mesh, client }) => {
      const backend = new BackendStream(client());
      await backend.register();
      backend.report({ namedMetrics: { in_flight: 2 } });
      const end = ended(backend.stream);
      backend.leave(100);
      assert.equal((await end).code, Status.OK);
      assert.equal(mesh.registry.get('a'), undefined);
    });
  });
});
