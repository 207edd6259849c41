/** Active checks of real servers: killed, stopped, not serving, without a health service. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrcaLoadReportRequest } from '../../src/gen/xds/service/orca/v3/orca.ts';
import { startRig, until, upstreamFor } from '../proxy/rig.ts';
import { encode } from '../support/h2/hpack.ts';
import { RESPONSE } from '../support/h2/upstream.ts';
import { Flag, goaway, headers } from '../support/h2/wire.ts';
import { QUICK, startServer, untilState, view } from './rig.ts';

/** How many checks of a kind there have been. */
function checksOf(rig: Awaited<ReturnType<typeof startRig>>, kind: 'serving' | 'alive' | 'failing' | 'dead') {
  return rig.health.counters[kind];
}

test('a killed server is out without a call, and back when another process is there', async t => {
  const [a, b] = await Promise.all([startServer(t), startServer(t)]);
  const rig = await startRig(t, [a.address, b.address], { health: { ...QUICK, interval: '10s' } });
  // The first checks are spread over an interval, and from then on its connection tells.
  await rig.configure({ health: QUICK });
  await until(() => checksOf(rig, 'serving') >= 2);
  await rig.configure({ health: { ...QUICK, interval: '30s' } });
  await sleep(200);
  await a.kill();
  const cause = await untilState(rig, 'a', 'EJECTED');
  assert.match(
    cause,
    /^\d+(st|nd|rd|th) failed check: (cannot be reached: .*ECONNREFUSED|closed its connection|reset)/,
  );
  assert.equal(view(rig, 'a')?.healthy, false);
  await rig.configure({ health: QUICK });
  await a.restart();
  assert.match(await untilState(rig, 'a', 'WARMING'), /checks passed: is SERVING/);
  assert.equal(view(rig, 'b')?.state, 'WARMING');
});

test('a stopped server is out, and back when it goes on', async t => {
  const [a, b] = await Promise.all([startServer(t), startServer(t)]);
  const rig = await startRig(t, [a.address, b.address], { health: QUICK });
  await until(() => checksOf(rig, 'serving') >= 4);
  a.child.kill('SIGSTOP');
  assert.match(await untilState(rig, 'a', 'EJECTED'), /did not answer the health check within 0.4 s/);
  a.child.kill('SIGCONT');
  await untilState(rig, 'a', 'WARMING');
});

for (const check of ['grpc', 'watch'] as const) {
  test(`a server that says that it does not serve is out: by ${check}`, async t => {
    const [a, b] = await Promise.all([startServer(t), startServer(t)]);
    const health = { ...QUICK, check, service: 'test.v1.Test', unhealthyAfter: 1 };
    const rig = await startRig(t, [a.address, b.address], { health });
    await until(() => checksOf(rig, 'serving') >= 4);
    await a.tell({ health: 'NOT_SERVING' });
    assert.match(await untilState(rig, 'a', 'EJECTED'), /^1st failed check: is NOT_SERVING$/);
    const caller = await rig.caller();
    for (let n = 0; n < 5; n++) assert.equal((await caller.call()).grpcStatus, 0);
    await a.tell({ health: 'SERVING' });
    await untilState(rig, 'a', 'WARMING');
    assert.equal(view(rig, 'b')?.state, 'WARMING');
  });
}

test('a watched server that stands still is found out by its PING', async t => {
  const a = await startServer(t);
  const rig = await startRig(t, [a.address], { health: { ...QUICK, check: 'watch' } });
  await until(() => checksOf(rig, 'serving') >= 4);
  a.child.kill('SIGSTOP');
  await untilState(rig, 'a', 'EJECTED');
  a.child.kill('SIGCONT');
  await untilState(rig, 'a', 'WARMING');
});

test('a service that the health service does not know is none that serves', async t => {
  const a = await startServer(t);
  const rig = await startRig(t, [a.address], { health: { ...QUICK, service: 'no.such.Service' } });
  assert.match(await untilState(rig, 'a', 'EJECTED'), /does not know the service/);
});

async function alive(t: TestContext, address: string, check: string): Promise<void> {
  const rig = await startRig(t, [address], { health: { ...QUICK, check } });
  await until(() => checksOf(rig, 'alive') >= 4, 'checked as alive');
  assert.equal(checksOf(rig, 'failing') + checksOf(rig, 'dead') + checksOf(rig, 'serving'), 0);
  assert.equal(view(rig, 'a')?.state, 'WARMING');
}

test('UNIMPLEMENTED is alive, by Check and by Watch', async t => {
  const a = await startServer(t, ['--no-health']);
  await alive(t, a.address, 'grpc');
  await alive(t, a.address, 'watch');
});

test('an HTTP error is alive', async t => {
  const server = createServer((_request, response) => {
    response.statusCode = 404;
    response.end('not here');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', session => sessions.add(session));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  await alive(t, `127.0.0.1:${(server.address() as AddressInfo).port}`, 'grpc');
});

test('a server that takes one stream at a time is checked, although it would stream its load', async t => {
  const asked: string[] = [];
  const server = createServer({ settings: { maxConcurrentStreams: 1 } });
  server.on('stream', (stream, { ':path': path }) => {
    asked.push(String(path));
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '12' }));
    // Its stream of load stays open.
    if (!path?.includes('Orca') && !path?.includes('OpenRca')) stream.end();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', session => sessions.add(session));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const rig = await startRig(t, [address], { health: { ...QUICK, orca: true } });
  await until(() => checksOf(rig, 'alive') + checksOf(rig, 'failing') >= 6);
  assert.equal(checksOf(rig, 'failing') + checksOf(rig, 'dead'), 0);
  assert.deepEqual([...new Set(asked)], ['/grpc.health.v1.Health/Check']);
});

test('TCP: who accepts connections is alive, who refuses them is out', async t => {
  const a = await startServer(t);
  const rig = await startRig(t, [a.address], { health: { ...QUICK, check: 'tcp' } });
  await until(() => checksOf(rig, 'alive') >= 4);
  assert.equal(view(rig, 'a')?.state, 'WARMING');
  await a.kill();
  assert.match(await untilState(rig, 'a', 'EJECTED'), /cannot be reached: .*ECONNREFUSED/);
  await a.restart();
  await untilState(rig, 'a', 'WARMING');
});

test('a connection that the server ends by GOAWAY is no failed check; one that always does fails', async t => {
  let always = false;
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      if (always || upstream.counts.connections % 2 === 1) {
        // Told to go before the call is looked at.
        peer.send(goaway(0, 0));
        void peer.end();
      } else {
        peer.send(headers(stream, encode([...RESPONSE, ['grpc-status', '12']]), Flag.END_STREAM));
        void peer.end();
      }
    },
  });
  const rig = await startRig(t, [upstream.address], { health: QUICK });
  await until(() => checksOf(rig, 'alive') >= 3, 'asked again on new connections');
  assert.equal(checksOf(rig, 'failing') + checksOf(rig, 'dead'), 0);
  always = true;
  await untilState(rig, 'a', 'EJECTED');
});

test('a server that closes its connection after each check is left alone for the interval', async t => {
  const upstream = await upstreamFor(t, {
    onStream: ({ peer, stream }) => {
      peer.send(headers(stream, encode([...RESPONSE, ['grpc-status', '12']]), Flag.END_STREAM));
      void peer.end();
    },
  });
  const INTERVAL_MS = 400;
  const health = { ...QUICK, interval: `${INTERVAL_MS}ms`, jitter: 0, orca: true };
  const rig = await startRig(t, [upstream.address], { health });
  await until(() => checksOf(rig, 'alive') >= 1);
  const from = performance.now();
  const [checks, connections] = [checksOf(rig, 'alive'), upstream.counts.connections];
  await until(() => checksOf(rig, 'alive') >= checks + 9);
  const intervals = (performance.now() - from) / INTERVAL_MS;
  // One of the ends may have been its death, and so may one of the next two, and one of the next three.
  assert.ok(intervals > 4.5, `9 checks in ${intervals.toFixed(1)} intervals`);
  assert.ok(upstream.counts.connections - connections <= 12, `${upstream.counts.connections - connections}`);
});

test('load is asked for at the interval of the configuration that is in force', async t => {
  const asked: number[] = [];
  const server = createServer();
  server.on('stream', (stream, { ':path': path }) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '12' }));
    if (!path?.includes('StreamCoreMetrics')) stream.end();
    else {
      stream.on('data', (octets: Buffer) => {
        const { reportInterval } = OrcaLoadReportRequest.decode(octets.subarray(5));
        asked.push(Number(reportInterval?.seconds) * 1_000 + (reportInterval?.nanos ?? 0) / 1e6);
      });
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', session => sessions.add(session));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const health = { ...QUICK, orca: true };
  const control = { reportInterval: '1500ms' };
  const rig = await startRig(t, [address], { health, control });
  await until(() => asked.length === 1);
  // What has nothing to do with it leaves the stream alone.
  await rig.configure({ health: { ...health, interval: '200ms' } });
  const checks = checksOf(rig, 'alive');
  await until(() => checksOf(rig, 'alive') >= checks + 3);
  assert.deepEqual(asked, [1_500]);
  await rig.configure({ health, control: { reportInterval: '250ms' } });
  await until(() => asked.length > 1);
  assert.deepEqual(asked, [1_500, 250]);
  assert.equal(rig.health.gauges().loadStreams, 1);
});

test('an unhealthy standby is never activated; a pool may be checked otherwise than the rest', async t => {
  const [a, b] = await Promise.all([startServer(t), startServer(t)]);
  await b.tell({ health: 'NOT_SERVING' });
  const rig = await startRig(
    t,
    [
      { address: a.address, services: ['x.X'] },
      { address: b.address, services: ['x.X'], standby: true },
    ],
    { health: { check: 'none', orca: false }, pools: [{ service: 'x.X', health: QUICK }] },
  );
  await until(() => view(rig, 'b')?.healthy === false);
  const activation = { kind: 'activate', id: 'b' } as const;
  assert.equal((await rig.mesh.registry.propose(activation, 'test')).applied, false);
  assert.equal(view(rig, 'b')?.state, 'STANDBY');
  await b.tell({ health: 'SERVING' });
  await until(() => view(rig, 'b')?.healthy === true);
  assert.equal((await rig.mesh.registry.propose(activation, 'test')).applied, true);
  assert.equal(view(rig, 'b')?.state, 'WARMING');
});

test('a balancer that stood still takes nobody for dead when it goes on', async t => {
  const a = await startServer(t);
  const rig = await startRig(t, [a.address], { health: { ...QUICK, unhealthyAfter: 1 } });
  await until(() => checksOf(rig, 'serving') >= 2);
  for (let n = 0; n < 2; n++) {
    // The event loop of this process, which is the balancer's too, does nothing for longer than a check may take.
    const end = performance.now() + 1_500;
    while (performance.now() < end);
    await sleep(300);
  }
  assert.equal(checksOf(rig, 'failing') + checksOf(rig, 'dead'), 0);
  assert.equal(view(rig, 'a')?.state, 'WARMING');
});
