import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { buildProgram, everyCommand, pathOf } from '../../src/cli/program.ts';
import { heapmesh } from './harness.ts';

const NOBODY = ['--control', '127.0.0.1:1'];

test('every command explains itself, with an example where it takes arguments', async () => {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  const program = buildProgram({ stdin: Readable.from([]), stdout: sink, stderr: sink, env: {} });
  for (const command of everyCommand(program)) {
    const path = pathOf(command);
    if (path === 'heapmesh' || path.includes('__')) continue;
    const { code, stdout } = await heapmesh([...path.split(' ').slice(1), '--help']);
    assert.equal(code, 0, path);
    assert.ok(stdout.startsWith(`Usage: ${path} `) || stdout.startsWith(`Usage: ${path}\n`), stdout);
    assert.ok(command.description().endsWith('.'), path);
    assert.ok(command.summary() !== '', path);
    if (command.registeredArguments.length > 0)
      assert.match(stdout, /Examples?:\n {2}(source <\()?heapmesh /, path);
  }
});

test('nothing, an unknown command, an unknown option, a missing argument: exit 2 and a hint', async () => {
  const cases: [string[], RegExp][] = [
    [[], /^Usage: heapmesh/],
    [['tpo'], /unknown command 'tpo'\n\(Did you mean top\?\)\n\(see `heapmesh --help`\)/],
    [['top', '--intervall', '1s'], /unknown option '--intervall'\n\(Did you mean --interval\?\)/],
    [['drain'], /missing required argument 'id'\n\(see `heapmesh drain --help`\)/],
    [['servers', 'wieght', ...NOBODY], /unknown command 'wieght'; did you mean 'heapmesh servers weight'\?/],
    [['servers', 'weight', 'a', '-1', ...NOBODY], /error/],
    [['servers', 'weight', 'a', 'x', ...NOBODY], /Expected a number of 0 or more/],
    [['servers', 'list', '--state', 'x'], /Expected one of standby, warming, active, draining, ejected/],
    [['servers', 'add', '=h:1'], /Expected SERVICE=ADDR/],
    [['servers', 'add', 'a.B=h'], /the port is missing; expected host:port/],
    [['pick', 's', '-n', '0'], /Expected a whole number from 1 to 10000/],
    [['top', '--interval', '1ms'], /Expected 100ms or more/],
    [['top', '--timeout', '5'], /Expected a duration such as/],
    [['top', '-o', 'yaml'], /Allowed choices are table, json/],
    [['top', '--control', 'nowhere'], /the port is missing/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await heapmesh(args);
    assert.equal(code, 2, `${args}: ${stderr}`);
    assert.equal(stdout, '', String(args));
    assert.match(stderr, message);
  }
});

test('no balancer: exit 1, one line that says what to do', async () => {
  for (const args of [
    ['top'],
    ['heap'],
    ['pick', 'a.B'],
    ['servers'],
    ['drain', 'a'],
    ['call', 'a.B/C'],
    ['servers', 'undrain', 'a'],
  ]) {
    const { code, stdout, stderr } = await heapmesh([...args, ...NOBODY]);
    assert.equal(code, 1, String(args));
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      'error: no balancer answers at 127.0.0.1:1: start one with `heapmesh serve`, or name it with --control\n',
    );
  }
});

test('the environment names the balancer, and the flag goes before it', async context => {
  // Commander reads the environment of the process.
  process.env.HEAPMESH_CONTROL = '127.0.0.1:2';
  context.after(() => delete process.env.HEAPMESH_CONTROL);
  assert.match((await heapmesh(['servers'])).stderr, /at 127\.0\.0\.1:2:/);
  assert.match((await heapmesh(['servers', ...NOBODY])).stderr, /at 127\.0\.0\.1:1:/);
});

test('version', async () => {
  assert.match((await heapmesh(['version'])).stdout, /^heapmesh \d+\.\d+\.\d+ \(Node\.js \d+/);
  assert.match((await heapmesh(['--version'])).stdout, /^heapmesh \d+\.\d+\.\d+\n$/);
  assert.match(JSON.parse((await heapmesh(['version', '-o', 'json'])).stdout).version, /^\d+\.\d+\.\d+/);
});

test('check: fine, warned, wrong, not there', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'heapmesh-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'mesh.yaml');
  const check = (text: string, ...more: string[]) => {
    writeFileSync(file, text);
    return heapmesh(['check', file, ...more]);
  };
  assert.deepEqual(await check('servers: [{ address: h:1 }]'), {
    code: 0,
    stdout: `${file} is fine\n`,
    stderr: '',
  });

  const warned = await check('scaling: { command: [start-one] }');
  assert.equal(warned.code, 0);
  assert.match(warned.stderr, /^warning: .*mesh\.yaml:1:\d+: scaling\.command has no effect: /);

  const wrong = await check('proxy: { listen: 3 }\nservers: 1\n');
  assert.equal(wrong.code, 2);
  assert.equal(wrong.stdout, '');
  assert.match(
    wrong.stderr,
    /^error: .*mesh\.yaml:1:18: proxy\.listen is 3; expected host:port.*\nerror: .*mesh\.yaml:2:10: servers is 1; expected a list\n$/,
  );

  const json = await check('proxy: { listen: 3 }\n', '-o', 'json');
  assert.equal(json.code, 2);
  assert.equal(json.stderr, '');
  const { ok, errors } = JSON.parse(json.stdout);
  assert.equal(ok, false);
  assert.deepEqual([errors[0].line, errors[0].column, errors[0].path], [1, 18, 'proxy.listen']);

  const exposed = await check('control: { listen: 0.0.0.0:4701 }');
  assert.equal(exposed.code, 2);
  assert.equal((await check('control: { listen: 0.0.0.0:4701 }', '--insecure')).code, 0);

  const missing = await heapmesh(['check', join(folder, 'nowhere.yaml')]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /cannot read .*nowhere\.yaml: there is no such file/);
  assert.equal((await heapmesh(['check', folder])).code, 2);
});
