import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { heapmesh } from './harness.ts';
import { type KindsServer, startKinds } from './kinds-server.ts';
import { command, type Served, serve, start } from './process.ts';

const SERVICE = 'kinds.v1.KindsService';
let balancer: Served;
let one: KindsServer;
let two: KindsServer;

before(async () => {
  [one, two] = await Promise.all([startKinds('v1'), startKinds('v1')]);
  balancer = await serve(['--server', `${SERVICE}=${one.address}`, '--server', `${SERVICE}=${two.address}`]);
});
after(async () => {
  await balancer?.stop();
  one?.close();
  two?.close();
});

/** In this process, against the balancer. */
const cli = (...args: string[]) => heapmesh([...args, '--control', balancer.control]);

async function json(...args: string[]) {
  const { code, stdout, stderr } = await cli(...args, '-o', 'json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

async function fine(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function leased(): Promise<number> {
  const { servers } = await json('servers');
  return servers.reduce((sum: number, server: { leased: number }) => sum + server.leased, 0);
}

test('servers: added, weighted, drained, taken back, removed', async () => {
  await fine(
    'servers',
    'add',
    `${SERVICE}=127.0.0.1:9`,
    '--id',
    'x',
    '--zone',
    'z9',
    '--label',
    'rack=r1',
    '--max-concurrency',
    '4',
  );
  const [x] = (await json('servers', 'list')).servers.filter((server: { id: string }) => server.id === 'x');
  assert.equal(x.address, '127.0.0.1:9');
  assert.equal(x.zone, 'z9');
  assert.deepEqual(x.labels, { rack: 'r1' });
  assert.equal(x.maxConcurrency, 4);
  assert.deepEqual(x.sources, ['operator']);

  assert.equal((await json('servers', 'weight', 'x', '2.5')).weight, 2.5);
  assert.equal((await json('servers', 'weight', 'x', '0')).weight, 1);
  assert.match(
    await fine('drain', 'x', '--cause', 'for a test', '--wait'),
    /x is drained: no call in flight/,
  );
  const [drained] = (await json('servers', 'list', '--state', 'draining')).servers;
  assert.equal(drained.id, 'x');
  assert.match(drained.cause, /for a test/);
  assert.match(await fine('servers', 'undrain', 'x'), /undrained x: WARMING/);
  assert.match(await fine('servers', 'remove', 'x'), /removed x/);
  assert.equal((await json('servers')).servers.length, 2);
});

test('a standby is outside the heap until it is activated, and then a newcomer', async () => {
  await fine('servers', 'add', 'standby.Service=127.0.0.1:9', '--id', 'spare', '--standby');
  assert.match(await fine('heap', 'standby.Service'), /empty: .*\noutside the heap: 1 standby/);
  const activated = await json('servers', 'activate', 'spare', '--cause', 'a test');
  assert.equal(activated.state, 'WARMING');
  const heap = await json('heap', 'standby.Service');
  assert.deepEqual([heap.nodes[0].serverId, heap.nodes[0].newcomer], ['spare', true]);
  const again = await cli('servers', 'activate', 'spare');
  assert.equal(again.code, 1);
  assert.match(again.stderr, /FAILED_PRECONDITION/);
  await fine('servers', 'remove', 'spare');
});

test('pick: spreads, excludes, keeps to a hash key, leaves no lease', async () => {
  const many = await json('pick', SERVICE, '-n', '20');
  assert.equal(many.picks, 20);
  assert.deepEqual(
    many.servers.map((server: { picks: number }) => server.picks),
    [10, 10],
  );
  assert.equal((await json('pick', SERVICE, '--exclude', one.address)).id, two.address);
  const keyed = new Set<string>();
  for (let i = 0; i < 3; i++) keyed.add((await json('pick', SERVICE, '--hash-key', 'user-7')).id);
  assert.equal(keyed.size, 1);
  assert.equal(await leased(), 0);

  const none = await cli('pick', 'no.such.Service');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /^error: .*no\.such\.Service.*\(NOT_FOUND\)\n$/);
  const table = await fine('pick', SERVICE, '-n', '4');
  assert.match(table, /SERVER +ADDRESS +PICKS +SHARE/);
  assert.match(table, /4 picks of kinds\.v1\.KindsService/);
});

test('heap: every pool, with scores and their parts', async () => {
  const text = await fine('heap');
  assert.match(text, /^kinds\.v1\.KindsService {2}2 servers, arity \d/);
  assert.match(text, /└─ /);
  const heap = await json('heap', SERVICE);
  assert.equal(heap.service, SERVICE);
  assert.equal(heap.nodes.length, 2);
  assert.ok(Object.keys(heap.nodes[0].terms).length > 0);
  assert.equal((await cli('heap', 'no.such.Service')).code, 1);
});

test('call: goes where the pick goes, says why, reports the outcome', async () => {
  const ran = await cli('call', `${SERVICE}/Unary`, '-d', '{"text": "hello"}');
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(JSON.parse(ran.stdout), { text: 'hello!' });
  assert.match(ran.stderr, /^127\.0\.0\.1:\d+: score .*\nOK in [\d.]+ ms\n$/);
  const failed = await cli('call', `${SERVICE}/Fail`);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /FAILED_PRECONDITION/);
  const { backend } = await json('call', `${SERVICE}/Chat`, '-d', '{"text": "a"}', '--hash-key', 'k');
  assert.equal(backend.why, "its hash key is 'k'");
  assert.equal(await leased(), 0);
});

test('a call that is cut short gives its lease back', async () => {
  const child = start(['call', `${SERVICE}/Hang`, '--control', balancer.control]);
  const [chunk] = await once(child.stderr ?? assert.fail(), 'data');
  assert.match(String(chunk), /score/);
  assert.equal(await leased(), 1);

  const { servers } = await json('servers');
  const busy = servers.find((server: { leased: number }) => server.leased === 1).id;
  const drain = await cli('drain', busy, '--wait', '--timeout', '300ms');
  assert.equal(drain.code, 1);
  assert.match(drain.stderr, /still has 1 call in flight after \d+ ms; it goes on draining/);
  await fine('servers', 'undrain', busy);

  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
  assert.equal(await leased(), 0);
});

test('top: one snapshot into a pipe, without colours; a line of JSON each interval', async () => {
  const ran = await command(['top', '--control', balancer.control], { env: { FORCE_COLOR: '1' } });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /2 servers/);
  assert.ok(!ran.stdout.includes('\x1b'));

  const child = start(['top', '--control', balancer.control, '-o', 'json', '--interval', '100ms']);
  const lines = createInterface(child.stdout ?? assert.fail())[Symbol.asyncIterator]();
  for (let i = 0; i < 2; i++) assert.equal(JSON.parse(String((await lines.next()).value)).servers.length, 2);
  // A reader that has seen enough is no failure.
  child.stdout?.destroy();
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
});

test('what the balancer refuses is named field by field, with exit code 2', async () => {
  const ran = await cli('servers', 'add', 'not/a/service=127.0.0.1:9', '--id', 'x'.repeat(300));
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /^error: .*server\.id: .*\n$/);
  assert.match(ran.stderr, /server\.services/);
  const unknown = await cli('drain', 'nobody');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /nobody.*\(NOT_FOUND\)/);
});

test('an address of a balancer that is not its control address', async () => {
  const ran = await heapmesh(['servers', '--control', balancer.admin]);
  assert.equal(ran.code, 1);
  assert.equal(ran.stderr.trim().split('\n').length, 1, ran.stderr);
});

test('ids for completion', async () => {
  const ids = await fine('__complete', 'ids');
  assert.deepEqual(ids.trim().split('\n').sort(), [one.address, two.address].sort());
  assert.equal(await fine('__complete', 'services'), `${SERVICE}\n`);
});
