/** TLS and SASL to a real broker: each way in works as it is configured, and what is wrong is said in words. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alterUserScramCredentialsV0, Connection } from '@platformatic/kafka';
import { type Kafka, startKafka } from '../../scripts/lib/kafka.ts';
import { kafkaOptions } from '../../src/cli/wiring/kafka.ts';
import { loadConfig } from '../../src/config/config.ts';
import { claim } from '../core/registry-support.ts';
import { Ending, until } from '../instances/fleet.ts';
import { folder, type Member, member, removeFolders } from './support.ts';

const PASSWORD = 'a secret, =with signs';
const files = folder();
const path = (name: string): string => join(files, name);
const ending = new Ending();
let kafka: Kafka;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: files, stdio: 'pipe' });
}

/** A key, and a certificate for it that `ca` signs; an authority of its own where there is none. */
function certificate(name: string, subject: string, ca?: string, more: readonly string[] = []): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const signed = ca === undefined ? [] : ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`];
  const out = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  openssl('req', '-x509', ...key, ...out, '-days', '2', '-subj', `/CN=${subject}`, ...signed, ...more);
}

/** Users of SCRAM are kept by the cluster, one mechanism a request. */
async function addScramUser(name: string): Promise<void> {
  const [host = '', port] = (kafka.brokers[0] ?? '').split(':');
  const connection = new Connection('test');
  await connection.connect(host, Number(port));
  for (const [mechanism, digest, octets] of [
    [1, 'sha256', 32],
    [2, 'sha512', 64],
  ] as const) {
    const salt = randomBytes(16);
    const saltedPassword = pbkdf2Sync(PASSWORD, salt, 4096, octets, digest);
    const user = { name, mechanism, iterations: 4096, salt, saltedPassword };
    await alterUserScramCredentialsV0.api.async(connection, [], [user]);
  }
  await connection.close();
}

before(async () => {
  certificate('ca', 'heapmesh test');
  certificate('other-ca', 'somebody else');
  const usage = ['-addext', 'basicConstraints=critical,CA:FALSE'];
  certificate('broker', 'broker', 'ca', [...usage, '-addext', 'subjectAltName=IP:127.0.0.1']);
  certificate('client', 'instance', 'ca', usage);
  writeFileSync(
    path('broker-store.pem'),
    readFileSync(path('broker.key')) + readFileSync(path('broker.pem'), 'utf8'),
  );
  const module = (name: string) => `org.apache.kafka.common.security.${name} required`;
  kafka = await startKafka({
    listeners: { TLS: 'SSL', MUTUAL: 'SSL', BOTH: 'SASL_SSL', SASL: 'SASL_PLAINTEXT' },
    properties: [
      'ssl.keystore.type=PEM',
      `ssl.keystore.location=${path('broker-store.pem')}`,
      'ssl.truststore.type=PEM',
      `ssl.truststore.location=${path('ca.pem')}`,
      'listener.name.mutual.ssl.client.auth=required',
      ...['both', 'sasl'].flatMap(name => [
        `listener.name.${name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER`,
        `listener.name.${name}.plain.sasl.jaas.config=${module('plain.PlainLoginModule')} user_mesh="${PASSWORD}";`,
        `listener.name.${name}.scram-sha-256.sasl.jaas.config=${module('scram.ScramLoginModule')};`,
        `listener.name.${name}.scram-sha-512.sasl.jaas.config=${module('scram.ScramLoginModule')};`,
        // Kafka's own validator of tokens that nobody signed: who sent it, and until when it holds.
        `listener.name.${name}.oauthbearer.sasl.jaas.config=${module('oauthbearer.OAuthBearerLoginModule')};`,
        // A connection ends with its token where it is not renewed on it.
        `listener.name.${name}.oauthbearer.connections.max.reauth.ms=3600000`,
      ]),
    ],
  });
  ending.add(kafka, one => one.stop());
  writeFileSync(path('password'), `${PASSWORD}\n`);
  await addScramUser('mesh');
});
after(async () => {
  await ending.all();
  removeFolders();
});

/** An instance whose `state` is written as a user would write it. */
async function begin(id: string, listener: string, more: string, openMs = 30_000): Promise<Member> {
  const state = `state: { log: kafka, brokers: ['${kafka.listeners[listener]}'], directory: ${folder()}, ${more} }`;
  const { config } = loadConfig(`instance: { id: ${id} }\n${state}\n`, { file: 'test', hostname: id });
  return ending.add(await member(id, { ...kafkaOptions(config), openMs }), one => one.close());
}

const TLS = () => `tls: { ca: ${path('ca.pem')} }`;
const sasl = (mechanism: string) =>
  `sasl: { mechanism: ${mechanism}, username: mesh, passwordFile: ${path('password')} }`;

/** A token without a signature (RFC 7515 appendix A.5), as Kafka's unsecured validator takes it, into a file. */
function token(file: string, seconds: number): string {
  const now = Date.now() / 1000;
  const part = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url');
  const text = `${part({ alg: 'none' })}.${part({ sub: 'mesh', iat: now - 60, exp: now + seconds })}.`;
  writeFileSync(path(file), `${text}\n`);
  return `sasl: { mechanism: oauthbearer, passwordFile: ${path(file)} }`;
}

test('each way in: TLS, with an own certificate, SASL by four mechanisms', {
  timeout: 120_000,
}, async () => {
  const own = `tls: { ca: ${path('ca.pem')}, cert: ${path('client.pem')}, key: ${path('client.key')} }`;
  const ways: [string, string][] = [
    ['TLS', TLS()],
    ['MUTUAL', own],
    ['BOTH', `${TLS()}, ${sasl('plain')}`],
    ['BOTH', `${TLS()}, ${sasl('scram-sha-256')}`],
    ['SASL', sasl('scram-sha-512')],
    ['BOTH', `${TLS()}, ${token('token', 300)}`],
    ['SASL', token('token', 300)],
  ];
  const members: Member[] = [];
  for (const [i, [listener, more]] of ways.entries()) members.push(await begin(`lb-${i}`, listener, more));
  for (const one of members) {
    assert.equal(one.log.status().state, 'healthy', one.log.status().why);
    const { applied } = await one.registry.propose(claim(`of-${one.id}`), 'registered');
    assert.equal(applied, true);
  }
  const last = members.at(-1)?.registry.position ?? 0;
  await until('all have read all', () => members.every(one => one.registry.position >= last));
  assert.equal(new Set(members.map(one => one.registry.digest())).size, 1);
});

test('what is wrong is said, and the instance serves on', { timeout: 120_000 }, async () => {
  writeFileSync(path('mended'), 'not the password');
  const wrong = `sasl: { mechanism: scram-sha-256, username: mesh, passwordFile: ${path('mended')} }`;
  const faults: [string, string, RegExp][] = [
    ['BOTH', `${TLS()}, ${sasl('plain').replace('/password', '/mended')}`, /Invalid username.*state\.sasl/],
    ['BOTH', `${TLS()}, ${sasl('plain').replace('mesh', 'nobody')}`, /Invalid username.*state\.sasl/],
    ['TLS', `tls: { ca: ${path('other-ca.pem')} }`, /unable to verify the first certificate: state\.tls\.ca/],
    [
      'TLS',
      `tls: { ca: ${path('ca.pem')}, serverName: kafka.example }`,
      /kafka\.example.*state\.tls\.serverName/,
    ],
    ['MUTUAL', TLS(), /state\.tls\.cert/],
    ['TLS', 'topic: heapmesh.log', /requires TLS: set state\.tls/],
    ['SASL', TLS(), /speaks no TLS/],
    ['SASL', 'topic: heapmesh.log', /state\.sasl/],
    ['SASL', token('expired', -30), /does not take the token: .*invalid_token.*: look at state\.sasl/],
    ['SASL', wrong, /invalid credentials with SASL mechanism SCRAM-SHA-256: look at state\.sasl/],
  ];
  const members = await Promise.all(
    faults.map(([listener, more], i) => begin(`wrong-${i}`, listener, more, 1_000)),
  );
  for (const one of members) {
    assert.equal(one.log.status().state, 'behind');
    one.registry.propose(claim(one.id), 'registered').catch(() => {});
    assert.equal(one.registry.get(one.id)?.state, 'WARMING', 'in force here');
  }
  for (const [i, [listener, more, says]] of faults.entries()) {
    const why = () => members[i]?.log.status().why ?? '';
    await until(`${listener}, ${more}: ${says}`, () => says.test(why()));
  }
  // The file is read anew for each connection.
  const last = members.at(-1) as Member;
  writeFileSync(path('mended'), PASSWORD);
  await until('it is let in', () => last.log.status().state === 'healthy' && last.log.status().pending === 0);
});

test('a token that ends is followed by the one that its file has by then', { timeout: 60_000 }, async () => {
  const one = await begin('lb-token', 'SASL', token('short', 6));
  assert.equal(one.log.status().state, 'healthy', one.log.status().why);
  await one.registry.propose(claim('before'), 'registered');
  token('short', 300);
  const states = new Set<string>();
  const since = Date.now();
  for (let i = 0; Date.now() - since < 9_000; i++) {
    await one.registry.propose(claim(`later-${i}`), 'registered');
    states.add(one.log.status().state);
    await sleep(100);
  }
  assert.deepEqual([...states], ['healthy'], one.log.status().why);
});
