import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { heapmesh } from './harness.ts';
import { KINDS_PROTO, type KindsServer, PROTO_FOLDER, startKinds } from './kinds-server.ts';
import { command } from './process.ts';

let v1: KindsServer;
let v1alpha: KindsServer;
let mute: KindsServer;
before(async () => {
  [v1, v1alpha, mute] = await Promise.all([startKinds('v1'), startKinds('v1alpha'), startKinds('none')]);
});
after(() => {
  for (const server of [v1, v1alpha, mute]) server.close();
});

const SERVICE = 'kinds.v1.KindsService';
/** Answers printed one behind the other. */
const answersOf = (stdout: string) => JSON.parse(`[${stdout.trim().replaceAll(/\n}\n{/g, '\n},\n{')}]`);

const WHOLE_ITEM = {
  text: 'hello',
  largeNumber: '9007199254740993',
  raw: 'AAEC/w==',
  colour: 'COLOUR_RED',
  counts: { a: 1, b: -2 },
  wait: '1.500s',
  time: '2026-01-02T03:04:05Z',
  anyJson: { nested: [1, 'two', null, { three: true }] },
  maybe: 0,
  items: [{ text: 'inner' }],
  right: 7,
};

test('a unary call, with every kind of field, by reflection v1, v1alpha and from files', async () => {
  const data = JSON.stringify(WHOLE_ITEM);
  const ways: [KindsServer, string[]][] = [
    [v1, []],
    [v1alpha, []],
    [mute, ['--proto', KINDS_PROTO, '-I', PROTO_FOLDER]],
  ];
  for (const [server, more] of ways) {
    const ran = await heapmesh([
      'call',
      `${SERVICE}/Unary`,
      '--address',
      server.address,
      '-d',
      data,
      ...more,
    ]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.deepEqual(answersOf(ran.stdout), [{ ...WHOLE_ITEM, text: 'hello!' }]);
    assert.match(ran.stderr, /it was given with --address/);
    assert.match(ran.stderr, /OK in [\d.]+ ms/);
  }
});

test('the four kinds of methods', async () => {
  const call = (method: string, ...data: string[]) =>
    heapmesh([
      'call',
      `${SERVICE}/${method}`,
      '--address',
      v1.address,
      ...data.flatMap(each => ['-d', each]),
    ]);

  assert.deepEqual(answersOf((await call('Unary')).stdout), [{ text: '!' }]);
  const spread = await call('Spread', '{"text": "s"}');
  assert.deepEqual(answersOf(spread.stdout), [{ text: 's0' }, { text: 's1' }, { text: 's2' }]);
  const gathered = await call('Gather', '{"text": "a"} {"text": "}\\"{"}', '{"text": "c"}');
  assert.deepEqual(answersOf(gathered.stdout), [
    { text: '3', items: [{ text: 'a' }, { text: '}"{' }, { text: 'c' }] },
  ]);
  assert.deepEqual(answersOf((await call('Gather')).stdout), [{ text: '0' }]);
  const chat = await call('Chat', '{"text": "a"}{"text": "b"}');
  assert.deepEqual(answersOf(chat.stdout), [{ text: 're: a' }, { text: 're: b' }]);
});

test('messages from standard input and from a file', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'heapmesh-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'request.json');
  writeFileSync(file, '{"text": "file"}\n');
  const args = ['call', `${SERVICE}/Chat`, '--address', v1.address, '-d', `@${file}`, '-d', '-'];
  const ran = await heapmesh(args, { stdin: '{"text": "in 1"}\n{"text": "in 2"}\n' });
  assert.deepEqual(answersOf(ran.stdout), [{ text: 're: file' }, { text: 're: in 1' }, { text: 're: in 2' }]);
  const missing = await heapmesh(['call', `${SERVICE}/Chat`, '--address', v1.address, '-d', `@${folder}/no`]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /cannot read .*ENOENT/);
});

test('-o json holds the answers, the backend, the status, header and trailer', async () => {
  const ran = await heapmesh([
    'call',
    `${SERVICE}/Unary`,
    '--address',
    v1.address,
    '-d',
    '{"text":"x"}',
    '-o',
    'json',
  ]);
  assert.equal(ran.stderr, '');
  const { latencyMs, header, ...rest } = JSON.parse(ran.stdout);
  assert.ok(latencyMs > 0);
  assert.deepEqual(header['content-type'], ['application/grpc+proto']);
  assert.deepEqual(rest, {
    service: SERVICE,
    method: 'Unary',
    backend: { id: '', address: v1.address, why: 'it was given with --address' },
    status: { code: 0, name: 'OK', message: 'OK', violations: [] },
    answers: [{ text: 'x!' }],
    trailer: { 'x-served': ['yes'] },
  });
});

test('metadata is sent, binary values as bytes; --verbose shows what comes', async () => {
  const given = ['--metadata', 'tenant=a=b', '--metadata', 'tenant=c', '--metadata', 'X-Key-bin=AP8='];
  const ran = await heapmesh(['call', `${SERVICE}/Unary`, '--address', v1.address, '-v', ...given]);
  assert.equal(ran.code, 0, ran.stderr);
  const metadata = v1.seen.at(-1);
  assert.deepEqual(metadata?.get('tenant'), ['a=b, c']);
  assert.deepEqual(metadata?.get('x-key-bin'), [Buffer.from([0, 255])]);
  assert.match(ran.stderr, /^trailer x-served: yes$/m);
  const bad = await heapmesh(['call', `${SERVICE}/Unary`, '--address', v1.address, '--metadata', 'a b=c']);
  assert.equal(bad.code, 2);
});

test('a status other than OK is exit 1, and its message cannot move the cursor', async () => {
  const ran = await heapmesh(['call', `${SERVICE}/Fail`, '--address', v1.address]);
  assert.equal(ran.code, 1);
  assert.equal(ran.stdout, '');
  assert.match(ran.stderr, /^FAILED_PRECONDITION in [\d.]+ ms: not\ufffd\[2J today$/m);
});

test('a deadline ends a call', async () => {
  const ran = await heapmesh(['call', `${SERVICE}/Hang`, '--address', v1.address, '--timeout', '100ms']);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /^DEADLINE_EXCEEDED/m);
});

test('mistakes of the command line are exit 2 and say what is wrong', async () => {
  const cases: [string[], RegExp][] = [
    [['Unary', '-d', '{"txt": 1}'], /message 1 is no kinds\.v1\.Item: .*key "txt" is unknown/],
    [['Unary', '-d', '{"text": 1}'], /message 1 is no kinds\.v1\.Item/],
    [['Unary', '-d', '{}{}'], /Unary takes one message; -d gives more/],
    [['Unary', '-d', ''], /Unary takes one message; -d gives none/],
    [['Unary', '-d', '{"text": '], /-d: the last message is not complete/],
    [['Unary', '-d', '[1]'], /-d: a message begins with '\['; expected a JSON object/],
    [['Unari'], /has no method Unari; did you mean Unary\?/],
    [['Unary', '--hash-key', 'k'], /--hash-key and --zone are for picks/],
    [['Unary', '--proto', 'nowhere.proto'], /cannot read nowhere\.proto/],
  ];
  for (const [[method, ...more], message] of cases) {
    const ran = await heapmesh(['call', `${SERVICE}/${method}`, '--address', v1.address, ...more]);
    assert.equal(ran.code, 2, `${method} ${more}: ${ran.stderr}`);
    assert.match(ran.stderr, message);
  }
  // Before a balancer is asked: a pick for a slip of the pen would count.
  for (const [data, message] of [
    ['{"text": ', /^error: -d: the last message is not complete/],
    ['@/nowhere', /^error: cannot read \/nowhere: /],
  ] as const) {
    const ran = await heapmesh(['call', `${SERVICE}/Unary`, '--control', '127.0.0.1:1', '-d', data]);
    assert.equal(ran.code, 2, ran.stderr);
    assert.match(ran.stderr, message);
  }
  const bare = await heapmesh(['call', 'kinds.v1.KindsService', '--address', v1.address]);
  assert.equal(bare.code, 2);
  assert.match(bare.stderr, /Expected SERVICE\/METHOD/);
});

test('a server without reflection, without the service, without anything', async context => {
  const mutely = await heapmesh(['call', `${SERVICE}/Unary`, '--address', mute.address]);
  assert.equal(mutely.code, 2);
  assert.match(mutely.stderr, /has no server reflection: give the definitions with --proto/);
  const unknown = await heapmesh(['call', 'other.Service/Unary', '--address', v1.address]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /the reflection of .* does not know the service other\.Service/);
  const nowhere = await heapmesh(['call', `${SERVICE}/Unary`, '--address', '127.0.0.1:1']);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /cannot ask 127\.0\.0\.1:1 for its types: .*UNAVAILABLE/);

  // Something listens, but speaks no HTTP/2.
  const server = createServer(socket => socket.end('SSH-2.0-x\r\n'));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port } = server.address() as { port: number };
  const stranger = await heapmesh(['call', `${SERVICE}/Unary`, '--address', `127.0.0.1:${port}`]);
  assert.equal(stranger.code, 1);
});

test('types from a file by a relative path: nothing but the answer, and of a lost address what is known', async () => {
  const file = relative(process.cwd(), KINDS_PROTO);
  // A process of its own: warnings of Node and of libraries go past the command's streams.
  const proto = ['--proto', file, '-I', PROTO_FOLDER];
  const ran = await command(['call', `${SERVICE}/Unary`, '--address', mute.address, '-d', '{}', ...proto]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /^127\.0\.0\.1:\d+: it was given with --address\nOK in [\d.]+ ms\n$/);
  const lost = await command(['call', `${SERVICE}/Unary`, '--address', '127.0.0.1:1', ...proto]);
  assert.equal(lost.code, 1);
  assert.match(lost.stderr, /\nUNAVAILABLE in [\d.]+ ms: .*connect ECONNREFUSED 127\.0\.0\.1:1\.?\n$/);
});
