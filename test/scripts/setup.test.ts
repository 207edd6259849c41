/** The set-up finds what is missing, and has nothing to do a second time. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { ROOT } from '../../scripts/lib/project.ts';

const NODE = process.versions.node;
const PACKAGES = {
  '': { name: 'a-project' },
  'node_modules/a': { version: '1.0.0' },
  'node_modules/for-another-system': { version: '1.0.0', optional: true },
  'node_modules/node': { version: NODE },
};

const folder = mkdtempSync(join(tmpdir(), 'heapmesh-setup-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text, { mode });
}

function install(packages: Record<string, object>, node = `v${NODE}`): void {
  for (const path of Object.keys(packages)) mkdirSync(join(folder, path), { recursive: true });
  write('node_modules/.package-lock.json', JSON.stringify({ packages }));
  write('node_modules/.bin/node', `#!/bin/sh\necho ${node}\n`, 0o755);
}

function missing(): string {
  const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/setup.mjs'), '--check'], {
    encoding: 'utf8',
  });
  return (stdout + stderr).trim();
}

beforeEach(() => {
  rmSync(join(folder, 'node_modules'), { recursive: true, force: true });
  mkdirSync(join(folder, 'scripts'), { recursive: true });
  cpSync(join(ROOT, 'scripts/setup.mjs'), join(folder, 'scripts/setup.mjs'));
  write('package-lock.json', JSON.stringify({ packages: PACKAGES }));
});

const { 'node_modules/for-another-system': _, '': __, ...here } = PACKAGES;

test('a fresh clone, or an installation that was cut off, is installed', () => {
  assert.equal(missing(), 'nothing is installed yet');
});

test('where all is there, nothing is done; packages for other systems need not be there', () => {
  install(here);
  assert.equal(missing(), 'all is there');
});

test('another version, a missing package and a deleted folder are found', () => {
  install({ ...here, 'node_modules/a': { version: '0.9.0' } });
  assert.equal(missing(), 'node_modules/a is 0.9.0, the lock file says 1.0.0');
  install({ 'node_modules/node': { version: NODE } });
  assert.equal(missing(), 'node_modules/a is missing');
  install(here);
  rmSync(join(folder, 'node_modules/a'), { recursive: true });
  assert.equal(missing(), 'node_modules/a is missing');
});

test('a pinned Node that does not run, or is another, is found', () => {
  install(here, 'v1.2.3');
  assert.equal(missing(), `the pinned Node is v${NODE}, here is v1.2.3`);
  rmSync(join(folder, 'node_modules/.bin/node'));
  assert.equal(missing(), `the pinned Node is v${NODE}, here is none`);
});
