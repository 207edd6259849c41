/** Backends found by names: a real DNS server, real resolution, servers on several addresses of loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Rig, startRig, until } from '../proxy/rig.ts';
import { request } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import { data, headers, message } from '../support/h2/wire.ts';
import { type DnsServer, startDns } from './dns-server.ts';

const NAME = 'backend.mesh.test';

interface Backends {
  readonly port: number;
  /** Calls by the address they came to. */
  readonly calls: Map<string, number>;
  /** Streams that are open. */
  readonly open: Set<ServerHttp2Stream>;
}

/** One port on several addresses. A call to `/test.v1.Test/Stream` stays open. */
async function startBackends(t: TestContext, hosts: readonly string[]): Promise<Backends> {
  const calls = new Map<string, number>();
  const open = new Set<ServerHttp2Stream>();
  let port = 0;
  for (const host of hosts) {
    const server: Http2Server = createServer();
    const sessions = new Set<{ destroy(): void }>();
    server.on('session', session => sessions.add(session));
    server.on('stream', (stream, fields) => {
      calls.set(host, (calls.get(host) ?? 0) + 1);
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      if (String(fields[':path']).endsWith('/Stream')) {
        open.add(stream);
        stream.on('close', () => open.delete(stream));
        stream.write(message(Buffer.from('here')));
      } else stream.end();
    });
    server.listen(port, host);
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
    t.after(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
  }
  return { port, calls, open };
}

async function dnsFor(t: TestContext): Promise<DnsServer> {
  const dns = await startDns();
  t.after(() => dns.close());
  return dns;
}

function ids(rig: Rig): string[] {
  return [...rig.mesh.registry.list()].map(view => view.spec.id).sort();
}

function settingsFor(dns: DnsServer, dnsInterval: string) {
  return { discovery: { dnsInterval, dnsServers: [dns.address] } };
}

test('each address of a name is a backend; they come and go without a failed call, and streams live on', async t => {
  const { port, calls, open } = await startBackends(t, ['127.0.0.2', '127.0.0.3', '127.0.0.4']);
  const dns = await dnsFor(t);
  dns.table.set(NAME, ['127.0.0.2', '127.0.0.3']);
  const server = { id: undefined, address: `dns:///${NAME}:${port}`, weight: 2, zone: 'z1' };
  const rig = await startRig(t, [server], settingsFor(dns, '200ms'));
  // Known when it is ready: the first call finds them.
  assert.deepEqual(ids(rig), [`127.0.0.2:${port}`, `127.0.0.3:${port}`]);
  const view = rig.mesh.registry.get(`127.0.0.2:${port}`);
  assert.deepEqual(view?.sources, ['dns']);
  assert.equal(view?.spec.weight, 2);
  assert.equal(view?.spec.zone, 'z1');
  assert.match(view?.cause ?? '', new RegExp(`as DNS says of ${NAME}`));

  const caller = await rig.caller();
  let failed = 0;
  let ended = false;
  const calling = (async () => {
    while (!ended) if ((await caller.call()).grpcStatus !== 0) failed++;
  })();
  const stream = caller.stream();
  caller.send(
    headers(stream, encode(request('/test.v1.Test/Stream'))),
    data(stream, message(Buffer.from('ask'))),
  );
  await until(() => open.size === 1, 'the stream is open');
  const [held] = open;
  const host = held?.session?.socket.localAddress;
  const [other] = ['127.0.0.2', '127.0.0.3'].filter(each => each !== host);

  dns.table.set(NAME, ['127.0.0.4', other as string]);
  await until(() => rig.mesh.registry.get(`127.0.0.4:${port}`) !== undefined, 'it is found');
  await until(() => rig.mesh.registry.get(`${host}:${port}`) === undefined, 'it is gone');
  await until(() => (calls.get('127.0.0.4') ?? 0) > 0, 'it takes calls');
  const after = calls.get(host as string);
  await sleep(100);
  assert.equal(calls.get(host as string), after, 'no new calls to what has left');
  assert.equal(open.size, 1, 'the stream lives');
  const outcome = caller.outcome(stream);
  held?.end();
  assert.equal((await outcome).grpcStatus, 0);
  ended = true;
  await calling;
  assert.equal(failed, 0);
});

test('an empty, failed or missing answer keeps the last list, and is said', async t => {
  const dns = await dnsFor(t);
  dns.table.set(NAME, ['127.0.0.2', '127.0.0.3']);
  const rig = await startRig(t, [{ address: `dns:///${NAME}:9` }], settingsFor(dns, '100ms'));
  const before = ids(rig);
  assert.deepEqual(before, ['a@127.0.0.2:9', 'a@127.0.0.3:9']);
  const readyz = async () => (await fetch(`http://${rig.addresses.admin}/readyz`)).json();
  for (const spoil of [
    () => dns.table.set(NAME, []),
    () => dns.table.delete(NAME),
    () => {
      dns.mood = 'fails';
    },
  ]) {
    spoil();
    const asked = dns.asked;
    await until(() => dns.asked >= asked + 6, 'asked again', 20_000);
    assert.deepEqual(ids(rig), before);
    const { unresolved } = (await readyz()) as { unresolved?: Record<string, string> };
    assert.match(unresolved?.[NAME] ?? '', /has no address|SERVFAIL|ESERVFAIL/);
  }
  dns.mood = 'answers';
  dns.table.set(NAME, ['127.0.0.9']);
  await until(() => ids(rig).join() === 'a@127.0.0.9:9', 'the new list', 20_000);
  assert.equal(((await readyz()) as { unresolved?: unknown }).unresolved, undefined);
});

test('a failed connection asks at once', async t => {
  const { port } = await startBackends(t, ['127.0.0.3']);
  const dns = await dnsFor(t);
  dns.table.set(NAME, ['127.0.0.2']);
  const rig = await startRig(t, [{ address: `dns:///${NAME}:${port}` }], settingsFor(dns, '1h'));
  dns.table.set(NAME, ['127.0.0.3']);
  const caller = await rig.caller();
  await caller.call();
  await until(() => ids(rig).join() === `a@127.0.0.3:${port}`, 'it moved');
  assert.equal((await caller.call()).grpcStatus, 0);
});

test('names come and go with the configuration; two that meet at one address share a backend', async t => {
  const dns = await dnsFor(t);
  dns.table.set('x.mesh.test', ['127.0.0.2', '127.0.0.3']);
  dns.table.set('y.mesh.test', ['127.0.0.3', '::1']);
  const named = (name: string, service: string) => ({
    id: undefined,
    address: `dns:///${name}:9`,
    services: [service],
  });
  const both = [named('x.mesh.test', 'x.X'), named('y.mesh.test', 'y.Y')];
  const rig = await startRig(t, both, settingsFor(dns, '1h'));
  assert.deepEqual(ids(rig), ['127.0.0.2:9', '127.0.0.3:9', '[::1]:9']);
  assert.deepEqual(rig.mesh.registry.get('127.0.0.3:9')?.spec.services, ['x.X', 'y.Y']);
  dns.table.set('x.mesh.test', ['127.0.0.5']);
  // A reload resolves anew.
  await rig.configure({});
  await until(() => ids(rig).includes('127.0.0.5:9'), 'resolved by the reload');
  assert.deepEqual(ids(rig), ['127.0.0.3:9', '127.0.0.5:9', '[::1]:9']);
});

test('what an earlier life found is kept until each name has been answered', async t => {
  const { Discovery } = await import('../../src/discovery/discovery.ts');
  const { makeMesh } = await import('../control/rig.ts');
  const { spec } = await import('../core/rig.ts');
  const mesh = makeMesh();
  const old = [spec('127.0.0.2:9'), spec('127.0.0.3:9')];
  mesh.registry.propose({ kind: 'replace', source: 'dns', specs: old }, 'before');
  const answers = new Map([['x.test', ['127.0.0.2']]]);
  const known = () => [...mesh.registry.list()].map(view => view.spec.id).sort();
  const options = {
    mesh,
    settings: { intervalMs: 20, dnsServers: [] },
    now: () => performance.now(),
    log: { info() {}, warn() {} },
    resolve: async (name: string) => answers.get(name) ?? [],
  };
  const named = (host: string) => ({ host, port: 9, spec: spec(host), hasId: false });
  const discovery = new Discovery({ ...options, names: [named('x.test'), named('y.test')] });
  await discovery.firstAnswers();
  assert.deepEqual(known(), ['127.0.0.2:9', '127.0.0.3:9']);
  answers.set('y.test', ['127.0.0.4']);
  await until(() => known().join() === '127.0.0.2:9,127.0.0.4:9', 'answered for');
  discovery.stop();
  // Without names nothing of it is left.
  const none = new Discovery({ ...options, names: [] });
  t.after(() => none.stop());
  assert.deepEqual(known(), []);
});

test("the machine's own way of resolving names, by the flag", async t => {
  const { startSources } = await import('../../src/cli/wiring/discovery.ts');
  const { loadConfig } = await import('../../src/config/config.ts');
  const { makeMesh } = await import('../control/rig.ts');
  const { systemClock } = await import('../../src/control/clock.ts');
  // A name that every machine knows; as a flag it means this machine, so it is asked for by its scheme.
  const { config } = loadConfig('', {
    file: 'f',
    hostname: 'h',
    flags: { servers: ['a.A=dns:///localhost:7', 'b.B=localhost:8', 'c.C=nowhere.invalid:9'] },
  });
  const mesh = makeMesh();
  const log = { level: 'info' as const, info() {}, warn() {}, error() {}, debug() {}, setLevel() {} };
  const sources = startSources(mesh, systemClock, config, log);
  t.after(() => sources.stop());
  await until(() => 'unresolved' in sources.detail() && mesh.registry.get('127.0.0.1:7') !== undefined);
  assert.deepEqual(mesh.registry.get('127.0.0.1:7')?.sources, ['dns']);
  assert.deepEqual(mesh.registry.get('localhost:8')?.sources, ['config']);
});
