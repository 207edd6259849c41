import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { filesIn } from '../../src/state/files.ts';
import { lockDirectory } from '../../src/state/lock.ts';
import { heapmesh } from './harness.ts';
import { startKinds } from './kinds-server.ts';
import { command, MAIN, serve } from './process.ts';

const FREE = ['--proxy', '--control', '--admin'].flatMap(flag => [flag, '127.0.0.1:0']);

const idsOf = async (control: string): Promise<string[]> => {
  const { stdout, stderr } = await heapmesh(['servers', '--control', control, '-o', 'json']);
  assert.equal(stderr, '');
  return JSON.parse(stdout).servers.map((server: { id: string }) => server.id);
};

test('serve: ready on free ports, knows its servers, ends with exit code 0', async () => {
  const served = await serve([
    '--server',
    'a.B=127.0.0.1:1',
    '--server',
    'c.D=127.0.0.1:1',
    '--server',
    '127.0.0.1:2',
  ]);
  try {
    assert.match(served.proxy, /^127\.0\.0\.1:[1-9]\d*$/);
    assert.match(served.control, /^127\.0\.0\.1:[1-9]\d*$/);
    assert.deepEqual(await idsOf(served.control), ['127.0.0.1:1', '127.0.0.1:2']);
    assert.equal((await fetch(`http://${served.admin}/healthz`)).status, 200);
    const free = ['--proxy', '--control', '--admin'].flatMap(flag => [flag, '127.0.0.1:0']);
    for (const taken of [
      ['--proxy', served.proxy],
      ['--control', served.control],
    ]) {
      const refused = await command(['serve', ...free, ...taken]);
      assert.equal(refused.code, 1, refused.stderr);
      assert.match(refused.stderr, /error: cannot listen on 127\.0\.0\.1:\d+: another program listens there/);
      assert.equal(refused.stdout, '');
    }
  } finally {
    assert.equal(await served.stop(), 0);
  }
});

test('serve: what is wrong with flags and file is said before anything listens, with exit code 2', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'heapmesh-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'mesh.yaml');
  writeFileSync(file, 'control: { reportInterval: 5 }\nadmin: { listen: 0.0.0.0:4702 }\n');
  const wrong = await command(['serve', '--config', file, '--server', 'x', '--control', '[::]:0']);
  assert.equal(wrong.code, 2);
  assert.equal(wrong.stdout, '');
  const errors = wrong.stderr.trim().split('\n');
  assert.equal(errors.length, 4, wrong.stderr);
  assert.match(
    errors[1] ?? '',
    /^error: --control: control\.listen is '\[::\]:0', beyond loopback.*--insecure/,
  );
  assert.match(errors[0] ?? '', /^error: --server x: .*the port is missing/);
  assert.match(errors[2] ?? '', /mesh\.yaml:1:28: control\.reportInterval is 5 \(it has no unit\)/);
  assert.match(errors[3] ?? '', /mesh\.yaml:2:18: admin\.listen is '0\.0\.0\.0:4702', beyond loopback/);
  assert.equal((await command(['serve', '--config', join(folder, 'none')])).code, 2);
});

test('serve: takes over a changed file and SIGHUP, keeps what it has where the file is wrong', {
  timeout: 20_000,
}, async context => {
  const folder = await mkdtemp(join(tmpdir(), 'heapmesh-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'mesh.yaml');
  writeFileSync(file, 'servers: [{ id: a, address: 127.0.0.1:1 }]');
  const served = await serve(['--config', file]);
  try {
    assert.deepEqual(await idsOf(served.control), ['a']);

    writeFileSync(
      file,
      'instance: { id: other }\nservers: [{ id: a, address: 127.0.0.1:1 }, { id: b, address: 127.0.0.1:2 }]',
    );
    await served.logged(/instance\.id takes effect at the next start/);
    await served.logged(/keys":\["servers"\].*configuration taken over/);
    assert.deepEqual(await idsOf(served.control), ['a', 'b']);

    writeFileSync(file, 'servers: [{ id: c, adress: 127.0.0.1:1 }]');
    await served.logged(/servers\[0\]\.adress is no key; did you mean 'address'\?/);
    await served.logged(/the configuration before stays in force/);
    assert.deepEqual(await idsOf(served.control), ['a', 'b']);

    writeFileSync(file, '# nothing\n');
    await served.logged(/a removed/);
    served.child.kill('SIGHUP');
    await served.logged(/SIGHUP.*configuration read: nothing to take over/);
  } finally {
    assert.equal(await served.stop(), 0);
  }
});

test('serve with a log on Kafka: a directory that another one has, or that is none, is said in one line', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'heapmesh-serve-'));
  context.after(() => rm(folder, { recursive: true }));
  const lock = await lockDirectory(filesIn(folder), Math.random, () => {});
  const file = join(folder, 'heapmesh.yaml');
  const refused = async (directory: string): Promise<string> => {
    writeFileSync(file, `state: { log: kafka, brokers: ["127.0.0.1:1"], directory: ${directory} }`);
    const ran = await command(['serve', '--config', file, ...FREE]);
    assert.equal(ran.code, 1, ran.stderr);
    return ran.stderr;
  };
  assert.match(await refused(folder), /error: .* is in use by process \d+: one instance a directory/);
  await lock.release();
  assert.match(
    await refused(join(file, 'x')),
    /error: the directory .* of changes that wait cannot be used: ENOTDIR/,
  );
});

test('serve and demo: an address that cannot be had is said in one line', async () => {
  const free = ['--proxy', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const name = await command(['serve', ...free, '--insecure', '--control', 'no-such-host.invalid:0']);
  assert.equal(name.code, 1);
  assert.match(name.stderr, /^error: cannot listen on no-such-host\.invalid: no (address|name server) .*\n$/);
  const foreign = await command(['serve', ...free, '--insecure', '--control', '192.0.2.1:0']);
  assert.equal(foreign.code, 1);
  assert.match(
    foreign.stderr,
    /^error: cannot listen on 192\.0\.2\.1:?\d*: this machine does not have .*\n$/,
  );
  const taken = await serve();
  try {
    const demo = await command(['demo', '--plain', '--control', taken.control]);
    assert.equal(demo.code, 1);
    assert.match(
      demo.stderr,
      /^error: cannot listen on 127\.0\.0\.1:\d+: another program listens there.*\n$/,
    );
  } finally {
    assert.equal(await taken.stop(), 0);
  }
});

test('output that cannot be written is said in one line', {
  skip: existsSync('/dev/full') ? false : 'needs /dev/full',
}, async () => {
  const full = openSync('/dev/full', 'w');
  try {
    const child = spawn(process.execPath, ['--conditions=heapmesh-source', MAIN, 'version'], {
      stdio: ['ignore', full, 'pipe'],
    });
    let stderr = '';
    child.stderr?.on('data', chunk => (stderr += chunk));
    const [code] = await once(child, 'close');
    assert.equal(code, 1);
    assert.match(stderr, /^error: cannot write the output: ENOSPC.*\n$/);
  } finally {
    closeSync(full);
  }
});

test('serve: from SIGTERM on not ready, and alive until the last call has ended', {
  timeout: 30_000,
}, async () => {
  const kinds = await startKinds('none');
  const served = await serve(['--server', kinds.address]);
  const client = new grpc.Client(served.proxy, grpc.credentials.createInsecure());
  try {
    const same = (bytes: Buffer) => bytes;
    const call = client.makeBidiStreamRequest('/kinds.v1.KindsService/Chat', same, same);
    const ended = once(call, 'status');
    const answered = once(call, 'data');
    call.write(Buffer.alloc(0));
    await answered;
    const ask = async (path: string) => (await fetch(`http://${served.admin}${path}`)).status;
    assert.equal(await ask('/readyz'), 200);

    served.child.kill('SIGTERM');
    await served.logged(/SIGTERM: ends/);
    while ((await ask('/readyz')) === 200) await setImmediate();
    assert.equal(await ask('/readyz'), 503);
    assert.equal(await ask('/healthz'), 200);

    const exit = once(served.child, 'exit');
    call.end();
    const [status] = await ended;
    assert.equal(status.code, grpc.status.OK, status.details);
    assert.deepEqual(await exit, [0, null]);
  } finally {
    client.close();
    kinds.close();
    served.child.kill('SIGKILL');
  }
});
