/** The log of a real process: its level, and what becomes of the process where nobody takes its lines. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { connectCaller, request } from '../support/h2/caller.ts';
import { heapmesh } from './harness.ts';
import { MAIN, serve } from './process.ts';

const EMPTY = Buffer.alloc(0);

test('log-level: shown and changed at the admin port; what is wrong is said', async () => {
  const served = await serve();
  try {
    const at = ['--admin', served.admin];
    assert.equal((await heapmesh(['log-level', ...at])).stdout, 'info\n');
    assert.equal((await heapmesh(['log-level', 'debug', ...at])).stdout, 'info -> debug\n');
    await served.logged(/log level: info to debug, until the next start/);
    const { stdout } = await heapmesh(['log-level', 'error', ...at, '-o', 'json']);
    assert.deepEqual(JSON.parse(stdout), { level: 'error', before: 'debug' });
    const wrong = await fetch(`http://${served.admin}/api/log-level`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"level": "loud"}',
    });
    assert.equal(wrong.status, 400);
    assert.match(await wrong.text(), /expected .*debug.*error/);
    assert.equal((await heapmesh(['log-level', ...at])).stdout, 'error\n');
    const loud = await heapmesh(['log-level', 'loud', ...at]);
    assert.equal(loud.code, 2);
    assert.match(loud.stderr, /Allowed choices are debug, info, warn, error/);
  } finally {
    assert.equal(await served.stop(), 0);
  }
  const nobody = await heapmesh(['log-level', '--admin', served.admin]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /error: no balancer answers at the admin address .*ECONNREFUSED/);
});

test('log output that nobody takes, and a full disk: calls are served, and the process ends as told', async () => {
  const config = ['serve', '--config', '-', '-o', 'json'];
  const text = JSON.stringify({
    proxy: { listen: '127.0.0.1:0' },
    control: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    telemetry: { accessLog: { sampleRatio: 1 } },
  });
  const full = openSync('/dev/full', 'w');
  for (const stderr of ['pipe', full] as const) {
    const child = spawn(process.execPath, ['--conditions=heapmesh-source', MAIN, ...config], {
      stdio: ['pipe', 'pipe', stderr],
    });
    child.stdin?.end(text);
    const ended = once(child, 'exit');
    const ready = once(createInterface(child.stdout as NodeJS.ReadableStream), 'line');
    const [line] = (await Promise.race([
      ready,
      ended.then(how => Promise.reject(new Error(`serve ended: ${how}`))),
    ])) as [string];
    const { proxy } = JSON.parse(line);
    // More than what the pipe and the process hold: some 2 MiB of lines.
    const caller = await connectCaller(proxy);
    const ask = request('/grpc.health.v1.Health/Check');
    for (let round = 0; round < 70; round++) {
      const outcomes = await Promise.all(Array.from({ length: 100 }, () => caller.call(ask, EMPTY)));
      assert.ok(outcomes.every(each => each.grpcStatus === 0));
    }
    caller.socket.destroy();
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  }
  closeSync(full);
});
