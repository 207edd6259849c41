/** What calls, silence and losses say of real servers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentials, Client as GrpcClient } from '@grpc/grpc-js';
import { BackendStream, operate, watch } from '../control/rig.ts';
import { startRig, until } from '../proxy/rig.ts';
import { QUICK, readyz, startServer, untilState, view } from './rig.ts';

const NO_CHECKS = { check: 'none', orca: false } as const;

test('a fast failer is out after five calls, for longer each time, whatever checks say', async t => {
  const servers = await Promise.all([startServer(t), startServer(t), startServer(t)]);
  await servers[0]?.tell({ calls: 'fail' });
  const outliers = { baseEjection: '200ms', interval: '100ms' };
  // The others take one call at once: of three calls one has to go where it fails, whatever the score says of that.
  const rig = await startRig(
    t,
    servers.map(({ address }, n) => (n === 0 ? address : { address, maxConcurrency: 1 })),
    { health: { ...NO_CHECKS, outliers } },
  );
  const caller = await rig.caller();
  let failed = 0;
  const call = async () => {
    if ((await caller.call()).grpcStatus !== 0) failed++;
  };
  const untilEjected = async (times: number) => {
    const end = performance.now() + 10_000;
    while (rig.detector.counters.outliers < times) {
      assert.ok(performance.now() < end, 'not ejected');
      await Promise.all([call(), call(), call()]);
    }
  };
  await untilEjected(1);
  assert.match(view(rig, 'a')?.cause ?? '', /^outlier: failed \d+ calls in a row; out for 0\.2 s$/);
  assert.equal(view(rig, 'a')?.healthy, true);
  failed = 0;
  for (let n = 0; n < 30 && view(rig, 'a')?.state === 'EJECTED'; n++) await call();
  assert.equal(failed, 0);
  await untilState(rig, 'a', 'WARMING');
  await untilEjected(2);
  assert.match(view(rig, 'a')?.cause ?? '', /out for 0\.[24] s$/);
  // Its checks say SERVING meanwhile, and that changes nothing.
  await rig.configure({
    health: { ...QUICK, outliers: { ...outliers, baseEjection: '1h', maxEjection: '1h' } },
  });
  await untilEjected(3);
  const passed = rig.health.counters.serving;
  await until(() => rig.health.counters.serving >= passed + 12);
  assert.equal(view(rig, 'a')?.state, 'EJECTED');
});

test('a hung server with calls open and silent reports loses its place within seconds', async t => {
  const [hung, fine] = await Promise.all([startServer(t), startServer(t)]);
  const rig = await startRig(t, [], {
    health: { ...NO_CHECKS, reportGrace: '60s' },
    control: { listen: '127.0.0.1:0', reportInterval: '200ms' },
  });
  const client = new GrpcClient(rig.addresses.control, credentials.createInsecure());
  t.after(() => client.close());
  const streams = [new BackendStream(client), new BackendStream(client)];
  await streams[0]?.register({ id: 'a', address: hung.address, services: ['*'] });
  await streams[1]?.register({ id: 'b', address: fine.address, services: ['*'] });
  const report = (at: number) => streams[at]?.report({ cpuUtilization: 0.1, rpsFractional: 5 });
  let silent = false;
  const reporting = setInterval(() => {
    report(1);
    if (!silent) report(0);
  }, 200);
  t.after(() => clearInterval(reporting));
  const caller = await rig.caller();
  while (!['a', 'b'].every(id => rig.mesh.loads.reportsOf(rig.mesh.slotOf(id)) > 5)) await caller.call();
  // Its transport lives and answers each PING: only the calls and the reports tell.
  await hung.tell({ calls: 'hang' });
  const waiting = [];
  // While it reports still: once it is late, whether it is called depends on how long its calls took before.
  // Some at a time: one after the other they may all go to the faster one.
  while (rig.mesh.loads.relayed(rig.mesh.slotOf('a')) === 0) {
    for (let n = 0; n < 8; n++) waiting.push(caller.call());
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  silent = true;
  const began = performance.now();
  while (view(rig, 'a')?.state !== 'EJECTED') {
    assert.ok(performance.now() - began < 10_000, 'it keeps its place');
    // A call on the hung server is not waited for.
    waiting.push(caller.call());
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  assert.match(view(rig, 'a')?.cause ?? '', /^hangs: \d+ calls open, no answer, no report for \d/);
  assert.notEqual(view(rig, 'b')?.state, 'EJECTED');
  assert.equal((await caller.call()).grpcStatus, 0);
  silent = false;
  await untilState(rig, 'a', 'WARMING');
  await hung.kill();
  await Promise.all(waiting);
});

test('a quiet stream on a server that reports is no hanging, however long', async t => {
  const a = await startServer(t);
  const rig = await startRig(t, [], {
    health: NO_CHECKS,
    control: { listen: '127.0.0.1:0', reportInterval: '200ms' },
  });
  const client = new GrpcClient(rig.addresses.control, credentials.createInsecure());
  t.after(() => client.close());
  const stream = new BackendStream(client);
  await stream.register({ id: 'a', address: a.address, services: ['*'] });
  const reporting = setInterval(() => stream.report({ cpuUtilization: 0.1, rpsFractional: 1 }), 200);
  t.after(() => clearInterval(reporting));
  await a.tell({ calls: 'hang' });
  const caller = await rig.caller();
  const open = caller.call();
  await new Promise(resolve => setTimeout(resolve, 4_500));
  assert.notEqual(view(rig, 'a')?.state, 'EJECTED');
  await a.kill();
  await open;
});

test('who loses most of its backends at once suspects itself, until one answers', async t => {
  const servers = await Promise.all(Array.from({ length: 5 }, () => startServer(t)));
  const health = { ...QUICK, interval: '2s' };
  const rig = await startRig(
    t,
    servers.map(each => each.address),
    { health },
  );
  await until(() => rig.health.counters.serving >= 5, 'all were checked');
  await Promise.all(servers.slice(0, 4).map(each => each.kill()));
  await until(() => rig.detector.suspectsItself, 'it suspects itself', 10_000);
  assert.equal((await readyz(rig)).suspectsItself, true);
  assert.equal((await readyz(rig)).status, 'ready');
  // Its own picks avoid what it cannot reach.
  const caller = await rig.caller();
  for (let n = 0; n < 5; n++) assert.equal((await caller.call()).grpcStatus, 0);
  await servers[2]?.restart();
  await until(() => !rig.detector.suspectsItself, 'it trusts itself', 10_000);
  assert.equal((await readyz(rig)).suspectsItself, undefined);
});

test('when checks condemn most servers, health is ignored; it is visible, and heeded again', async t => {
  const servers = await Promise.all(Array.from({ length: 3 }, () => startServer(t)));
  const rig = await startRig(
    t,
    servers.map(each => each.address),
    { health: QUICK },
  );
  // What a caller with a heap of its own is told of them.
  const client = new GrpcClient(rig.addresses.control, credentials.createInsecure());
  t.after(() => client.close());
  const { stream: watched, inbox } = watch(client, { service: 'any.Service' });
  t.after(() => watched.cancel());
  const told = new Map<string, number>();
  void (async () => {
    for (;;) for (const { id, state } of (await inbox.next()).upserted) told.set(id, state);
  })().catch(() => {});
  const taking = () => [...told].filter(([, state]) => state === 2 || state === 3).map(([id]) => id);
  // All of them are wrong of themselves: their calls are fine.
  await Promise.all(servers.map(each => each.tell({ health: 'NOT_SERVING' })));
  for (const id of ['a', 'b', 'c']) await untilState(rig, id, 'EJECTED');
  const caller = await rig.caller();
  for (let n = 0; n < 10; n++) assert.equal((await caller.call()).grpcStatus, 0);
  assert.deepEqual((await readyz(rig)).panic, ['*']);
  const listed = (await operate(client, 'list', {})).servers;
  assert.deepEqual(
    listed.map(one => one.pickedInPanic),
    [true, true, true],
  );
  await until(() => taking().length === 3, 'callers are told to go on');
  await servers[0]?.tell({ health: 'SERVING' });
  await servers[1]?.tell({ health: 'SERVING' });
  for (const id of ['a', 'b']) await untilState(rig, id, 'WARMING');
  await until(() => rig.detector.panicking().length === 0);
  assert.equal((await readyz(rig)).panic, undefined);
  await until(() => taking().sort().join() === 'a,b', 'callers are told to heed it');
  for (let n = 0; n < 10; n++) assert.equal((await caller.call()).grpcStatus, 0);
});

test('a configured server whose stream fell silent is brought back by checks', async t => {
  const a = await startServer(t);
  const rig = await startRig(t, [a.address], {
    health: QUICK,
    control: { listen: '127.0.0.1:0', reportInterval: '100ms' },
  });
  const client = new GrpcClient(rig.addresses.control, credentials.createInsecure());
  const stream = new BackendStream(client);
  await stream.register({ id: 'a', address: a.address, services: ['*'] });
  // The process dies with its stream; another without our SDK takes its place.
  await a.kill();
  stream.stream.cancel();
  client.close();
  await untilState(rig, 'a', 'EJECTED');
  await until(() => !(view(rig, 'a')?.sources.includes('stream') ?? true));
  await a.restart();
  assert.match(await untilState(rig, 'a', 'WARMING'), /checks passed: is SERVING/);
});
