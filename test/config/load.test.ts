import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, type Flags, loadConfig } from '../../src/config/config.ts';
import { renderProblem } from '../../src/config/problem.ts';
import { CONTROL } from '../../src/core/limits.ts';

const load = (text: string, flags: Flags = {}) =>
  loadConfig(text, { file: 'mesh.yaml', hostname: 'host-1', flags });

/** All problems as lines. */
function problems(text: string, flags: Flags = {}): string[] {
  try {
    load(text, flags);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(renderProblem);
  }
  throw new Error('no problem was found');
}

test('an empty file, and sections without keys, are the defaults', () => {
  for (const text of ['', '# nothing\n', '{}', 'proxy:\ncontrol:\nservers:\n']) {
    const { config, warnings } = load(text);
    assert.equal(config.instance.id, 'host-1');
    assert.equal(config.proxy.listen, '127.0.0.1:4700');
    assert.equal(config.control.listen, '127.0.0.1:4701');
    assert.equal(config.admin.listen, '127.0.0.1:4702');
    assert.deepEqual(config.proxy, {
      listen: '127.0.0.1:4700',
      maxConcurrentStreams: 100,
      drainTimeoutMs: 25_000,
      maxConnectionAgeMs: 0,
      maxConnectionAgeGraceMs: 300_000,
      keepLoadReports: false,
      reusePort: false,
      rememberHeaders: true,
    });
    assert.equal(config.control.reportIntervalMs, 1_000);
    assert.equal(config.control.leaseTtlMs, 10_000);
    assert.equal(config.health.reportGraceMs, 3_000);
    assert.equal(config.health.forgetAfterMs, 600_000);
    assert.deepEqual(config.servers, []);
    assert.deepEqual(warnings, []);
  }
});

test('every key of the documented example is understood', () => {
  const { config } = load(`
instance: { id: lb-1, zone: z1, advertise: { control: 10.0.0.5:4701, proxy: 10.0.0.5:4700 } }
proxy:
  listen: 127.0.0.1:4700
  maxConcurrentStreams: 100
  drainTimeout: 40s
  maxConnectionAge: 1h
  maxConnectionAgeGrace: 10m
  keepLoadReports: true
  reflection: echo.v1.EchoService
  reusePort: true
  rememberHeaders: false
control: { listen: 127.0.0.1:4701, reportInterval: 1s, leaseTtl: 20s, allowBackends: [10.0.0.0/8, 'fd00::/8'] }
admin:   { listen: 127.0.0.1:4702 }
servers:
  - { id: a, address: 127.0.0.1:50051, services: [echo.v1.EchoService], weight: 1, zone: z1, standby: false }
  - { address: '[::1]:50051', labels: { rack: r1 }, maxConcurrency: 8, standby: true }
pools:
  - { service: '*', policy: least-load, zoneFactor: 1.25, queue: { size: 64, maxWait: 3s, whenDown: wait } }
  - { service: echo.v1.EchoService, retry: { codes: [UNAVAILABLE, ABORTED], attempts: 4, budget: 0.1 }, maxStreamAge: 30m }
health:  { interval: 5s, timeout: 1s, unhealthyAfter: 3, healthyAfter: 2, check: grpc, reportGrace: 1m30s }
scaling: { threshold: 0.8, for: 10s, cooldown: 30s, provider: standby }
state:   { log: file, directory: /var/lib/heapmesh, history: 1GiB, decisions: { sampleRatio: 0.001 } }
telemetry: { traces: { endpoint: http://127.0.0.1:4317, sampleRatio: 0.01 }, logs: { level: info } }
`);
  assert.equal(config.instance.advertise.control, '10.0.0.5:4701');
  assert.equal(config.health.reportGraceMs, 90_000);
  assert.equal(config.control.leaseTtlMs, 20_000);
  assert.deepEqual(config.proxy, {
    listen: '127.0.0.1:4700',
    maxConcurrentStreams: 100,
    drainTimeoutMs: 40_000,
    maxConnectionAgeMs: 3_600_000,
    maxConnectionAgeGraceMs: 600_000,
    keepLoadReports: true,
    reflection: 'echo.v1.EchoService',
    reusePort: true,
    rememberHeaders: false,
  });
  assert.deepEqual(config.pools, [
    {
      service: '*',
      policy: 'least-load',
      zoneFactor: 1.25,
      queue: { size: 64, maxWaitMs: 3_000, whenDown: 'wait' },
    },
    {
      service: 'echo.v1.EchoService',
      policy: 'least-load',
      zoneFactor: 1.5,
      retry: { codes: ['UNAVAILABLE', 'ABORTED'], attempts: 4, budget: 0.1 },
      queue: { size: 1_024, maxWaitMs: 10_000, whenDown: 'fail' },
      maxStreamAgeMs: 1_800_000,
    },
  ]);
  assert.deepEqual(config.servers[1], {
    id: '[::1]:50051',
    address: '[::1]:50051',
    services: ['*'],
    weight: 1,
    zone: '',
    labels: { rack: 'r1' },
    maxConcurrency: 8,
    standby: true,
  });
});

test('all mistakes are reported, in the order of the file, each with line, column and what was expected', () => {
  assert.deepEqual(
    problems(`proxy: { listen: 127.0.0.1:4700, maxConcurrentStreams: many }
control:
  reportIntervall: 5s
  leaseTtl: 5
servers:
  - { id: a, address: 127.0.0.1:50051, weight: 0 }
  - { id: a, address: ::1:80 }
  - 3
health: { reportInterval: 1s }
`),
    [
      "mesh.yaml:1:56: proxy.maxConcurrentStreams is 'many'; expected a whole number at least 1 and at most 2147483647",
      "mesh.yaml:3:3: control.reportIntervall is no key; did you mean 'reportInterval'?",
      'mesh.yaml:4:13: control.leaseTtl is 5 (it has no unit); expected a duration from 1ms to 1h, such as 250ms, 1s or 5m',
      `mesh.yaml:6:48: servers[0].weight is 0; expected a number at least ${CONTROL.minWeight} and at most ${CONTROL.maxWeight}`,
      "mesh.yaml:7:11: servers[1].id is 'a', as in servers[0]; ids are unique; give one of them another id",
      "mesh.yaml:7:23: servers[1].address is '::1:80' (an IPv6 address needs brackets); expected host:port, such as 10.0.0.5:50051 or [::1]:50051, or dns:///name:port",
      'mesh.yaml:8:5: servers[2] is 3; expected a map of keys',
      "mesh.yaml:9:11: health.reportInterval is no key; there is 'control.reportInterval'; expected one of check, interval, fastInterval, jitter, timeout, unhealthyAfter, healthyAfter, service, orca, panicBelow, outliers, reportGrace, forgetAfter",
    ],
  );
});

test('broken YAML is reported with its place, and nothing else is guessed from it', () => {
  const [first, ...rest] = problems('control: {}\ncontrol: {}\nproxy: { listen: 3 }\n');
  assert.equal(first, 'mesh.yaml:2:1: YAML: Map keys must be unique');
  assert.deepEqual(rest, []);
  assert.match(problems('a: [')[0] ?? '', /^mesh\.yaml:1:\d+: YAML: /);
  assert.match(problems('{}\n---\n{}\n')[0] ?? '', /more than one YAML document/);
  assert.deepEqual(problems('- 1'), ['mesh.yaml:1:1: is a list; expected a map of keys']);
});

test('a number where a name is meant: the hint is to write it in quotes', () => {
  const found = problems('servers: [{ id: 7, address: h:1, zone: true }]');
  assert.match(found[0] ?? '', /servers\[0\]\.id is 7 \(no string: write it in quotes\); expected 1 to 256/);
  assert.match(
    found[1] ?? '',
    /servers\[0\]\.zone is true \(no string: write it in quotes\); expected at most/,
  );
  assert.equal(found.length, 2);
});

test('an alias bomb and a file of megabytes are refused', () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 9; i++) {
    const last = String.fromCharCode(96 + i);
    const next = String.fromCharCode(97 + i);
    bomb.push(`${next}: &${next} [${`*${last}, `.repeat(8)}*${last}]`);
  }
  assert.match(problems(bomb.join('\n'))[0] ?? '', /YAML: Excessive alias count/);
  assert.match(problems(`# ${'x'.repeat(17 * 1024 ** 2)}`)[0] ?? '', /is larger than/);
});

test('a retry of no status, of OK, of one attempt, or without bound is a mistake', () => {
  const found = problems(`pools:
  - { service: a.A, retry: { codes: [OK] } }
  - { service: a.B, retry: { codes: [unavailable] } }
  - { service: a.C, retry: { codes: [UNAVAILABLE], attempts: 1 } }
  - { service: a.D, retry: { codes: [UNAVAILABLE], budget: 2 } }
  - { service: a.E, retry: {} }
  - { service: a.F, maxStreamAge: 0s }
`);
  assert.match(found[0] ?? '', /:2:38: pools\[0\]\.retry\.codes\[0\] is 'OK'; expected CANCELLED, /);
  assert.match(found[1] ?? '', /:3:38: pools\[1\]\.retry\.codes\[0\] is 'unavailable'; expected /);
  assert.match(found[2] ?? '', /pools\[2\]\.retry\.attempts is 1; expected a whole number at least 2/);
  assert.match(found[3] ?? '', /pools\[3\]\.retry\.budget is 2; expected /);
  assert.match(found[4] ?? '', /pools\[4\]\.retry\.codes has too few items; expected at least 1/);
  assert.match(found[5] ?? '', /pools\[5\]\.maxStreamAge is '0s' \(out of range\); expected /);
  assert.equal(found.length, 6);
});

test('keys of later versions say so', () => {
  const text = `proxy: { tls: {} }
control: { tls: {}, auth: {} }
admin: { tls: {} }
servers: [{ address: h:1, tls: {} }]
buffer: {}
anycast: {}
`;
  const found = problems(text);
  assert.equal(found.length, 7);
  for (const problem of found) assert.match(problem, /not available in this version/);
});

test('listening beyond loopback needs --insecure, for each listener', () => {
  const text =
    'proxy: { listen: 0.0.0.0:1 }\ncontrol: { listen: "[::]:2" }\nadmin: { listen: box.example:3 }\n';
  const found = problems(text);
  assert.equal(found.length, 3);
  for (const problem of found) assert.match(problem, /beyond loopback.*--insecure/);
  assert.equal(load(text, { insecure: true }).config.proxy.listen, '0.0.0.0:1');
  for (const host of ['127.3.2.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]']) {
    assert.doesNotThrow(() => load('', { admin: `${host}:9` }), host);
  }
  assert.match(
    problems('', { control: '0.0.0.0:4701' })[0] ?? '',
    /^--control: control\.listen is '0\.0\.0\.0:4701', beyond/,
  );
});

test('two listeners on one address, and an advertised wildcard, are mistakes', () => {
  assert.match(
    problems('proxy: { listen: 127.0.0.1:4702 }')[0] ?? '',
    /proxy\.listen is .*where admin listens too/,
  );
  assert.doesNotThrow(() => load('proxy: { listen: 127.0.0.1:0 }\ncontrol: { listen: 127.0.0.1:0 }'));
  assert.match(problems('instance: { advertise: { control: 0.0.0.0:4701 } }')[0] ?? '', /nobody can connect/);
});

test('flags go before the file, and their mistakes name the flag', () => {
  const { config } = load(
    'proxy: { listen: 127.0.0.1:1, maxConcurrentStreams: 7 }\nservers: [{ address: h:1 }]\n',
    {
      proxy: '127.0.0.1:2',
      servers: ['a.B=h:2', 'h:3', 'c.D=h:2'],
    },
  );
  assert.equal(config.proxy.listen, '127.0.0.1:2');
  assert.equal(config.proxy.maxConcurrentStreams, 7);
  assert.deepEqual(
    config.servers.map(({ id, services }) => ({ id, services })),
    [
      { id: 'h:1', services: ['*'] },
      { id: 'dns:///h:2', services: ['a.B', 'c.D'] },
      { id: 'dns:///h:3', services: ['*'] },
    ],
  );
  assert.match(
    problems('', { servers: ['a/b=h:1'] })[0] ?? '',
    /^--server h:1: servers\[0\]\.services\[0\] is 'a\/b'/,
  );
  assert.match(
    problems('servers: [{ address: 10.0.0.9:1 }]', { servers: ['10.0.0.9:1'] })[0] ?? '',
    /--server 10.0.0.9:1: .*as in servers\[0\]/,
  );
});

test('a key that another one makes idle is told', () => {
  const told = (text: string): string[] => load(text).warnings.map(renderProblem);
  assert.deepEqual(told('state: { directory: ./d }'), [
    'mesh.yaml:1:21: state.directory has no effect: state.log is memory',
  ]);
  assert.match(
    told('state: { log: file, topic: t }')[0] ?? '',
    /state\.topic has no effect: state\.log is file/,
  );
  assert.match(
    told('scaling: { command: [x] }')[0] ?? '',
    /scaling\.command has no effect: scaling\.provider is standby/,
  );
  assert.deepEqual(told('state: { log: file, directory: ./d }'), []);
  assert.deepEqual(told('scaling: { provider: command, command: [x] }'), []);
});

test('instances on several machines are warned of an address that does not lead to this one', () => {
  const told = (text: string, advertise?: string): string[] =>
    loadConfig(text, { file: 'mesh.yaml', hostname: 'h', flags: { insecure: true, advertise } }).warnings.map(
      renderProblem,
    );
  const peers = 'instance: { peers: [10.0.0.5:4701, 10.0.0.6:4701] }';
  assert.deepEqual(told(peers), [
    "mesh.yaml:1:20: instance.peers names other machines, and instances, backends and callers there are told '127.0.0.1:4701' of this one, which does not lead here; set control.listen or instance.advertise.control to an address of this machine",
  ]);
  assert.match(told(`${peers}\ncontrol: { listen: 0.0.0.0:4701 }`)[0] ?? '', /are told '0\.0\.0\.0:4701'/);
  const kafka = 'state: { log: kafka, directory: ./d, brokers: [kafka-1:9092] }';
  assert.match(told(kafka)[0] ?? '', /state\.brokers names other machines/);
  assert.deepEqual(told(`${peers}\ncontrol: { listen: 10.0.0.5:4701 }`), []);
  assert.deepEqual(told(`${kafka}\ninstance: { advertise: { control: 10.0.0.5:4701 } }`), []);
  assert.deepEqual(told(`${peers}\ncontrol: { listen: 0.0.0.0:4701 }`, '10.0.0.5'), []);
  assert.deepEqual(told('instance: { peers: heapmesh.mesh.svc:4701 }', '10.0.0.5'), []);
  assert.match(told('instance: { peers: heapmesh.mesh.svc:4701 }')[0] ?? '', /instance\.peers names/);
  assert.deepEqual(told('instance: { peers: [127.0.0.1:4701, 127.0.0.1:4711] }'), []);
});

test('a pool takes its health rules from `health`, but for those that it has of its own', () => {
  const { config } = loadConfig(
    [
      'health: { interval: 2s, check: watch, outliers: { consecutiveFailures: 7 } }',
      "pools: [{ service: a.B, health: { check: tcp, outliers: { baseEjection: 5s } } }, { service: '*' }]",
      'servers: [{ address: dns:///backend.test:50051, weight: 2 }]',
      "discovery: { dnsInterval: 1s, dnsServers: ['127.0.0.1:5353'] }",
    ].join('\n'),
    { file: 'f', hostname: 'h' },
  );
  const [own, rest] = config.pools;
  assert.equal(own?.health?.check, 'tcp');
  assert.equal(own?.health?.intervalMs, 2_000);
  assert.equal(own?.health?.outliers.baseEjectionMs, 5_000);
  assert.equal(own?.health?.outliers.consecutiveFailures, 5);
  assert.equal(rest?.health, undefined);
  assert.equal(config.health.outliers.consecutiveFailures, 7);
  assert.equal(config.health.outliers.maxEjectionMs, 300_000);
  assert.equal(config.servers[0]?.address, 'dns:///backend.test:50051');
  assert.deepEqual(config.discovery, { dnsIntervalMs: 1_000, dnsServers: ['127.0.0.1:5353'] });
});

test('a name in `servers` is written without an authority and with a port', () => {
  for (const address of [
    'dns:///backend.test',
    'dns://8.8.8.8/backend.test:1',
    'dns:backend.test:1',
    'xds:///a:1',
  ]) {
    const text = `servers: [{ address: '${address}' }]`;
    assert.throws(
      () => loadConfig(text, { file: 'f', hostname: 'h' }),
      /expected host:port, .* dns:\/\/\/name:port/,
    );
  }
});

test('a log on Kafka needs a broker, and a secret where it proves who it is', () => {
  const { state } = load('state: { log: kafka, brokers: [10.0.0.1:9092] }').config;
  assert.deepEqual([state.log, state.topic, state.brokers], ['kafka', 'heapmesh.log', ['10.0.0.1:9092']]);
  assert.match(problems('state: { log: kafka }')[0] ?? '', /state\.brokers is missing; a log on Kafka needs/);
  const found = problems('state: { log: kafka, brokers: [a:1], topic: "a b", sasl: { mechanism: plain } }');
  assert.equal(found.length, 3);
  assert.match(found.join('\n'), /state\.topic is 'a b'; expected letters/);
  assert.match(found.join('\n'), /state\.sasl has no secret; expected passwordFile or password/);
  assert.match(found.join('\n'), /state\.sasl has no username/);
});

test('--advertise takes a host, with the ports that it listens on', () => {
  const told = (text: string, flags: Flags) => load(text, flags).config.instance.advertise;
  assert.deepEqual(told('', { advertise: '10.0.0.5' }), { control: '10.0.0.5:4701', proxy: '10.0.0.5:4700' });
  const text = 'proxy: { listen: 127.0.0.1:81 }\ninstance: { advertise: { control: 10.9.9.9:1 } }';
  assert.deepEqual(told(text, { advertise: 'fd00::5', control: '127.0.0.1:82' }), {
    control: '[fd00::5]:82',
    proxy: '[fd00::5]:81',
  });
  assert.match(
    problems('', { advertise: '0.0.0.0' }).join('\n'),
    /--advertise 0\.0\.0\.0.*instance\.advertise/,
  );
});
