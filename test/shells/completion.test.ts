/** Completion in a shell that not every machine has. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { toolPath } from '../../scripts/tools/install.ts';
import { heapmesh } from '../cli/harness.ts';

test('the script for zsh is valid', async () => {
  const { stdout } = await heapmesh(['completion', 'zsh']);
  assert.match(stdout, /^#compdef heapmesh/);
  const ran = spawnSync(toolPath('zsh'), ['-n'], { input: stdout, encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
});

test('zsh says that a broken script is none', () => {
  const ran = spawnSync(toolPath('zsh'), ['-n'], { input: 'if true; then', encoding: 'utf8' });
  assert.notEqual(ran.status, 0);
});
