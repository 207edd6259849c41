import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { heapmesh } from './harness.ts';

const skip = spawnSync('bash', ['-c', ':']).status === 0 ? false : 'there is no bash on this machine';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heapmesh-'));
  // Stands for the command that the scripts ask for ids and services.
  const fake =
    '#!/bin/sh\ncase "$2" in ids) echo 10.0.0.1:50051; echo 10.0.0.1:50052; echo spare;; *) echo echo.v1.EchoService;; esac\n';
  writeFileSync(join(folder, 'heapmesh'), fake);
  chmodSync(join(folder, 'heapmesh'), 0o755);
});
after(() => rm(folder, { recursive: true }));

/** What bash offers for a line with the cursor at its end. */
async function bash(line: string): Promise<string[]> {
  const { stdout } = await heapmesh(['completion', 'bash']);
  const script = `${stdout}
COMP_WORDBREAKS=$' \\t\\n"><=;|&(:'
COMP_LINE=${JSON.stringify(line)}
COMP_POINT=\${#COMP_LINE}
_heapmesh
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  const ran = spawnSync('bash', ['-c', script], { encoding: 'utf8', env });
  assert.equal(ran.stderr, '');
  return ran.stdout.trim().split('\n').filter(Boolean);
}

test('bash completes commands, options, values, ids and services', { skip }, async () => {
  assert.deepEqual(await bash('heapmesh se'), ['serve', 'servers']);
  assert.deepEqual(await bash('heapmesh servers we'), ['weight']);
  assert.deepEqual(await bash('heapmesh top -o '), ['table', 'json']);
  assert.deepEqual(await bash('heapmesh top --int'), ['--interval']);
  assert.deepEqual(await bash('heapmesh completion '), ['bash', 'zsh']);
  assert.deepEqual(await bash('heapmesh drain sp'), ['spare']);
  assert.deepEqual(await bash('heapmesh heap echo.'), ['echo.v1.EchoService']);
  assert.deepEqual(await bash('heapmesh pick echo.v1.EchoService --exclude s'), ['spare']);
  // Readline replaces only what is behind the colon.
  assert.deepEqual(await bash('heapmesh drain 10.0.0.1:5'), ['50051', '50052']);
  assert.deepEqual(await bash('heapmesh servers weight spare --control '), []);
});

test('the script for bash is valid by itself', { skip }, async () => {
  const { stdout, code } = await heapmesh(['completion', 'bash']);
  assert.equal(code, 0);
  assert.equal(spawnSync('bash', ['-n'], { input: stdout }).status, 0);
});

test('both scripts name every command, and none that is hidden', async () => {
  const help = (await heapmesh(['--help'])).stdout;
  const commands = [...help.matchAll(/^ {2}([a-z]+) /gm)].map(match => match[1] ?? '');
  assert.ok(commands.length >= 10, help);
  for (const shell of ['bash', 'zsh']) {
    const { stdout } = await heapmesh(['completion', shell]);
    for (const command of commands) assert.match(stdout, new RegExp(`\\b${command}\\b`));
    assert.doesNotMatch(stdout, /'heapmesh __complete'/);
  }
  const wrong = await heapmesh(['completion', 'fish']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /Allowed choices are bash, zsh/);
});
