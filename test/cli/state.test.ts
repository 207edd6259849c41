/** A real balancer with its log in files: killed, started again, refused beside itself, and begun anew. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createChannel, createClient, Metadata } from 'nice-grpc';
import { LookasideServiceDefinition } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { connectCaller, request } from '../support/h2/caller.ts';
import { command, type Served, serve as serveOnce } from './process.ts';

const running = new Set<Served>();

async function serve(args: readonly string[]): Promise<Served> {
  const served = await serveOnce(args);
  running.add(served);
  served.child.once('close', () => running.delete(served));
  return served;
}

async function inFolder(work: (folder: string, config: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'heapmesh-state-'));
  const config = join(folder, 'heapmesh.yaml');
  const text = [
    'instance: { id: lb-1 }',
    `state: { log: file, directory: ${join(folder, 'log')}, decisions: { sampleRatio: 1 } }`,
    'health: { check: none }',
    'servers: [{ id: a, address: 127.0.0.1:1, services: [echo.v1.EchoService] }]',
  ];
  await writeFile(config, text.join('\n'));
  try {
    await work(folder, config);
  } finally {
    for (const { child } of running) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

const servers = async (control: string) =>
  JSON.parse((await command(['servers', 'list', '--control', control, '-o', 'json'])).stdout).servers;

test("killed and started again: operators' words are there, and picks work at once", () =>
  inFolder(async (folder, config) => {
    const first = await serve(['--config', config]);
    const { control } = first;
    for (const words of [
      ['servers', 'add', 'echo.v1.EchoService=127.0.0.1:2', '--id', 'b'],
      ['servers', 'weight', 'b', '3'],
      ['drain', 'a', '--cause', 'new kernel', '--timeout', '1h'],
    ]) {
      const { code, stderr } = await command([...words, '--control', control]);
      assert.equal(code, 0, stderr);
    }
    const pick = await command(['pick', 'echo.v1.EchoService', '--control', control, '-o', 'json']);
    const { leaseId } = JSON.parse(pick.stdout);
    const beside = await command([
      'serve',
      '--config',
      config,
      '--proxy',
      '127.0.0.1:0',
      '--control',
      '127.0.0.1:0',
      '--admin',
      '127.0.0.1:0',
    ]);
    assert.equal(beside.code, 1);
    assert.match(beside.stderr, /is in use by process \d+: one instance a directory/);
    // The noted pick is written behind; the next change is durable behind it.
    assert.equal((await command(['servers', 'weight', 'b', '4', '--control', control])).code, 0);
    first.child.kill('SIGKILL');
    await new Promise(resolve => first.child.once('close', resolve));

    const second = await serve(['--config', config]);
    const list = await servers(second.control);
    const found = list.map(({ id, state, cause, weight }: Record<string, unknown>) => ({
      id,
      state,
      cause,
      weight,
    }));
    assert.deepEqual(found[0], {
      id: 'a',
      state: 'DRAINING',
      cause: 'drained: no calls in flight any more',
      weight: 1,
    });
    assert.equal(found[1].id, 'b');
    assert.equal(found[1].weight, 4);
    const again = await command(['pick', 'echo.v1.EchoService', '--control', second.control, '-o', 'json']);
    assert.equal(again.code, 0, again.stderr);
    const ready = (await (await fetch(`http://${second.admin}/readyz`)).json()) as {
      log: { kind: string; state: string };
    };
    assert.equal(ready.log.kind, 'file');
    assert.equal(ready.log.state, 'healthy');
    assert.equal(await second.stop(), 0);

    if (leaseId !== undefined) {
      const why = await command(['log', 'explain', join(folder, 'log'), '--lease', leaseId]);
      assert.equal(why.code, 0, why.stderr);
      assert.match(why.stdout, /b was picked \(by least-load\)/);
      assert.match(why.stdout, /not in the heap: a DRAINING: drained/);
    }
    const third = await serve(['--config', config, '--ignore-state']);
    await third.logged(/begins with nothing/);
    assert.deepEqual(
      (await servers(third.control)).map((one: { id: string; state: string }) => [one.id, one.state]),
      [['a', 'WARMING']],
    );
    assert.equal(await third.stop(), 0);
    assert((await readdir(join(folder, 'log'))).some(name => name.endsWith('.ignored')));
  }));

test('explain --trace: picks of a call through the proxy, each attempt, and of PickServer, by their traceparent', () =>
  inFolder(async (folder, config) => {
    const served = await serve(['--config', config]);
    const { control } = served;
    // Nobody listens at either: the call is tried at both.
    const added = ['servers', 'add', 'echo.v1.EchoService=127.0.0.1:2', '--id', 'b', '--control', control];
    assert.equal((await command(added)).code, 0);
    const proxied = '4bf92f3577b34da6a3ce929d0e0e4736';
    const caller = await connectCaller(served.proxy);
    const called = await caller.call(
      request('/echo.v1.EchoService/Echo', [['traceparent', `00-${proxied}-00f067aa0ba902b7-00`]]),
      Buffer.alloc(0),
    );
    assert.equal(called.grpcStatus, 14);
    caller.socket.destroy();
    const asked = '0af7651916cd43dd8448eb211c80319c';
    const channel = createChannel(control);
    const lookaside = createClient(LookasideServiceDefinition, channel);
    const metadata = Metadata({ traceparent: `00-${asked}-b7ad6b7169203331-00` });
    const { server, leaseId } = await lookaside.pickServer({ service: 'echo.v1.EchoService' }, { metadata });
    channel.close();
    const metrics = await (await fetch(`http://${served.admin}/metrics`)).text();
    assert.match(metrics, /^heapmesh_log_decisions_total\{result="noted"\} [3-9]$/m);
    assert.match(metrics, /^heapmesh_log_decisions_total\{result="dropped"\} 0$/m);
    assert.equal(await served.stop(), 0);

    const explain = async (...args: string[]) => {
      const { code, stdout, stderr } = await command(['log', 'explain', join(folder, 'log'), ...args]);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const { picks } = JSON.parse(await explain('--trace', proxied, '-o', 'json'));
    assert.deepEqual(
      picks.map(({ want }: { want: string }) => want).slice(0, 2),
      ['', 'not one of 1 that were tried'],
      'in the order in which they were made',
    );
    assert.deepEqual(
      new Set(picks.slice(0, 2).map((one: { picked: string }) => one.picked)),
      new Set(['a', 'b']),
    );
    assert.equal(picks[0].best.length, 2);

    const traceparent = `00-${asked}-b7ad6b7169203331-00`;
    assert.match(
      await explain('--trace', traceparent),
      new RegExp(`trace ${asked}\\n${server?.id} was picked`),
    );
    assert.equal(JSON.parse(await explain('--lease', leaseId, '-o', 'json')).trace, asked);
  }));

test('state.decisions.traced: the picks of calls whose trace is recorded here are noted, by the trace', () =>
  inFolder(async (folder, config) => {
    const traced = join(folder, 'traced.yaml');
    const text = (await readFile(config, 'utf8')).replace('sampleRatio: 1', 'traced: true');
    // Nobody collects; calls are recorded all the same.
    const traces = 'telemetry: { traces: { endpoint: http://127.0.0.1:1, sampleRatio: 1 } }';
    await writeFile(traced, `${text}\n${traces}`);
    const served = await serve(['--config', traced]);
    const channel = createChannel(served.control);
    const lookaside = createClient(LookasideServiceDefinition, channel);
    let traceresponse = '';
    await lookaside.pickServer(
      { service: 'echo.v1.EchoService' },
      { onHeader: header => (traceresponse = header.get('traceresponse') ?? '') },
    );
    channel.close();
    const caller = await connectCaller(served.proxy);
    const called = await caller.call(request('/echo.v1.EchoService/Echo'), Buffer.alloc(0));
    assert.equal(called.grpcStatus, 14);
    caller.socket.destroy();
    assert.equal(await served.stop(), 0);
    const log = join(folder, 'log');
    const { code, stdout, stderr } = await command(['log', 'explain', log, '--trace', traceresponse]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /a was picked \(by least-load\)/);
    const dump = (await command(['log', 'dump', log])).stdout
      .split('\n')
      .filter(line => line.includes('"decision"'));
    const ids = new Set(dump.map(line => JSON.parse(line).decision.traceId));
    assert.equal(ids.size, 2, 'that of the pick, and one that the proxy gave the call');
    assert(!ids.has(''));
  }));
