import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { startControl } from '../../src/control/control.ts';
import { Status } from '../../src/grpc/status.ts';
import { BackendStream, claim, configOf, makeMesh, registration, rig } from './rig.ts';
import { ended, failure } from './support.ts';

/** A port of this process that takes connections, until `close`. */
async function listening(): Promise<{ address: string; close(): Promise<void> }> {
  const server = createServer(socket => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    address: `127.0.0.1:${port}`,
    close: () => new Promise(resolve => server.close(() => resolve())),
  };
}

describe('a stream that ended without a leave', () => {
  it('leaves its server in place for the grace, then it is ejected until it comes back', async () => {
    await rig({ reportGraceMs: 80 }, async ({ mesh, client, control, until }) => {
      const backend = new BackendStream(client());
      await backend.register();
      const end = ended(backend.stream);
      backend.stream.end();
      assert.equal((await end).code, Status.OK);
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
      await until(() => mesh.registry.get('a')?.state === 'EJECTED');
      assert.match(
        mesh.registry.get('a')?.cause ?? '',
        /report stream ended and did not come back within 0.08 s/,
      );
      assert.deepEqual(mesh.registry.get('a')?.sources, []);
      assert.equal(control.counters.ejectedSilent, 1);
      const again = new BackendStream(client());
      await again.register();
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
      await new Promise(resolve => setTimeout(resolve, 120));
      assert.equal(mesh.registry.get('a')?.state, 'WARMING', 'the grace of the old stream still ran');
    });
  });

  it('is forgotten for its server when it is back within the grace', async () => {
    await rig({ reportGraceMs: 100 }, async ({ mesh, client, control }) => {
      const backend = new BackendStream(client());
      await backend.register();
      const end = ended(backend.stream);
      backend.stream.end();
      await end;
      const position = mesh.registry.position;
      await new BackendStream(client()).register();
      await new Promise(resolve => setTimeout(resolve, 150));
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
      assert.equal(control.counters.ejectedSilent, 0);
      assert.equal(mesh.registry.position, position + 1);
    });
  });

  it('does not eject a server that others claim too', async () => {
    await rig({ reportGraceMs: 50 }, async ({ mesh, client, control, until }) => {
      claim(mesh);
      const backend = new BackendStream(client());
      await backend.register();
      backend.stream.end();
      backend.stream.resume();
      await until(() => control.counters.ejectedSilent === 1);
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
      assert.deepEqual(mesh.registry.get('a')?.sources, ['config']);
    });
  });

  it('by a reset ejects at once where the port refuses, and not where it takes connections', async () => {
    await rig({ reportGraceMs: 60_000 }, async ({ mesh, client, control, until }) => {
      const alive = await listening();
      const dead = await listening();
      await dead.close();
      const a = new BackendStream(client());
      await a.register({ id: 'a', address: alive.address });
      const b = new BackendStream(client());
      await b.register({ id: 'b', address: dead.address });
      a.stream.on('error', () => {});
      b.stream.on('error', () => {});
      a.stream.cancel();
      b.stream.cancel();
      await until(() => mesh.registry.get('b')?.state === 'EJECTED');
      assert.match(mesh.registry.get('b')?.cause ?? '', /was reset and 127\.0\.0\.1:\d+ refuses connections/);
      await new Promise(resolve => setTimeout(resolve, 300));
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
      assert.equal(control.counters.ejectedRefused, 1);
      await alive.close();
    });
  });

  it('because its process was killed takes the server out long before the grace', async () => {
    await rig({ reportGraceMs: 60_000 }, async ({ mesh, address, until }) => {
      const child = fork(new URL('./killed-backend.ts', import.meta.url), [address], {
        execArgv: ['--conditions=heapmesh-source'],
      });
      await until(() => mesh.registry.get('victim') !== undefined);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const killed = performance.now();
      await until(() => mesh.registry.get('victim')?.state === 'EJECTED');
      // The bound of the API is 250 ms; this one only tells it from the grace.
      assert.ok(performance.now() - killed < 5000);
    });
  });

  it('is forgotten with its server when nobody claims that for long', async () => {
    await rig({ reportGraceMs: 20, forgetAfterMs: 50 }, async ({ mesh, client, until }) => {
      const backend = new BackendStream(client());
      await backend.register();
      backend.stream.end();
      backend.stream.resume();
      await until(() => mesh.registry.get('a')?.state === 'EJECTED');
      await until(() => mesh.registry.get('a') === undefined);
    });
  });
});

describe('an id in use', () => {
  it('goes to a newer stream from the same address, and the older one is told', async () => {
    await rig({}, async ({ mesh, client, control }) => {
      const old = new BackendStream(client());
      await old.register();
      const end = ended(old.stream);
      const newer = new BackendStream(client());
      await newer.register();
      const { code, details } = await end;
      assert.equal(code, Status.ABORTED);
      assert.match(details, /newer stream of a from 127\.0\.0\.1:\d+ took over/);
      assert.equal(mesh.registry.get('a')?.state, 'WARMING');
      assert.equal(control.counters.takenOver, 1);
      newer.report({ cpuUtilization: 0.4 });
      newer.leave(0);
      assert.equal((await ended(newer.stream)).code, Status.OK);
      assert.equal(mesh.registry.get('a'), undefined);
    });
  });

  it('stays with an older stream at another address whose connection is alive', async () => {
    await rig({}, async ({ mesh, client, control }) => {
      const old = new BackendStream(client());
      await old.register();
      const newer = new BackendStream(client());
      newer.send({ $case: 'registration', value: registration({ address: '127.0.0.1:50052' }) });
      // A report of one that has no id yet is nobody's.
      newer.report({ cpuUtilization: 0.9 });
      assert.equal((await failure(newer.inbox.next())).code, Status.ALREADY_EXISTS);
      assert.equal(mesh.registry.get('a')?.spec.address, '127.0.0.1:50051');
      assert.equal(mesh.loads.utilization[mesh.slotOf('a')], 0);
      assert.equal(control.counters.registrationsRefused, 1);
      await old.register({ weight: 3 });
    });
  });

  it('goes to the newcomer where the older connection does not answer a PING', async () => {
    await rig({}, async ({ mesh, client, address, control, until }) => {
      const child = fork(new URL('./killed-backend.ts', import.meta.url), [address], {
        execArgv: ['--conditions=heapmesh-source'],
      });
      await until(() => mesh.registry.get('victim') !== undefined);
      const before = mesh.registry.get('victim')?.spec.address;
      child.kill('SIGSTOP');
      try {
        const newer = new BackendStream(client());
        await newer.register({ id: 'victim', address: '127.0.0.1:50052' });
        assert.notEqual(before, '127.0.0.1:50052');
        assert.equal(mesh.registry.get('victim')?.spec.address, '127.0.0.1:50052');
        assert.equal(mesh.registry.get('victim')?.state, 'WARMING');
        assert.equal(control.gauges().reporters, 1);
      } finally {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    });
  });

  it('goes to a newcomer at another address while the older stream is in its grace', async () => {
    await rig({}, async ({ mesh, client }) => {
      const old = new BackendStream(client());
      await old.register();
      const end = ended(old.stream);
      old.stream.end();
      await end;
      await new BackendStream(client()).register({ address: '127.0.0.1:50052' });
      assert.equal(mesh.registry.get('a')?.spec.address, '127.0.0.1:50052');
    });
  });

  it('goes to nobody where the newcomer has gone before the PING is answered', async () => {
    await rig({}, async ({ mesh, client, until, control }) => {
      const old = new BackendStream(client());
      await old.register();
      const newer = new BackendStream(client());
      newer.stream.on('error', () => {});
      newer.send({ $case: 'registration', value: registration({ address: '127.0.0.1:50052' }) });
      newer.stream.cancel();
      await until(() => control.gauges().reporters === 1);
      assert.equal(mesh.registry.get('a')?.spec.address, '127.0.0.1:50051');
    });
  });
});

describe('a recovered list', () => {
  it('keeps what was claimed by stream until its backends had time to come back', async () => {
    const timers: { ms: number; call: () => void }[] = [];
    const clock = {
      now: () => performance.now(),
      wall: Date.now,
      after(ms: number, call: () => void) {
        const timer = { ms, call };
        timers.push(timer);
        return () => timers.splice(timers.indexOf(timer), 1);
      },
    };
    const mesh = makeMesh();
    mesh.registry.propose({ kind: 'claim', source: 'stream', spec: registration() }, 'of a former life');
    mesh.registry.propose({ kind: 'claim', source: 'config', spec: registration({ id: 'b' }) }, 'configured');
    const control = await startControl({ mesh, config: configOf({ reportGraceMs: 3000 }), clock });
    try {
      assert.deepEqual(
        timers.map(timer => timer.ms),
        [30_000],
      );
      timers[0]?.call();
      assert.equal(mesh.registry.get('a')?.state, 'EJECTED');
      assert.equal(mesh.registry.get('b')?.state, 'WARMING');
    } finally {
      await control.close(0);
    }
    assert.deepEqual(timers, []);
  });
});
