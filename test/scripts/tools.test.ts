/** Tools are installed once a machine, whole or not at all, and by one run at a time. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GRPC_REQUESTS } from '../../scripts/tools/h2spec-grpc.ts';
import { goCommand, goProgram, onPath, pythonPackage, ToolchainMissing } from '../../scripts/tools/kinds.ts';
import { withLock } from '../../scripts/tools/lock.ts';

let folder: string;
const path = process.env.PATH;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'heapmesh-tools-'));
});
after(() => {
  process.env.PATH = path;
  rmSync(folder, { recursive: true, force: true });
});

/** A program named go that counts its runs and does `then` where its result belongs. */
function pretendGo(then: string): void {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'go'), `#!/bin/sh\necho "$@" >> '${folder}/runs'\n${then}\n`);
  chmodSync(join(bin, 'go'), 0o755);
  process.env.PATH = `${bin}:${path}`;
}

test('a Go command is built at its version, under its own name, and found again', () => {
  pretendGo('echo built > "$GOBIN/server"');
  const home = join(folder, 'home');
  const recipe = goCommand('example.org/module/server', '1.2.3');
  assert.equal(recipe.locate(home, 'a-server', '1.2.3'), undefined);
  recipe.install(home, 'a-server', '1.2.3');
  assert.equal(recipe.locate(home, 'a-server', '1.2.3'), join(home, 'a-server-1.2.3/a-server'));
  assert.equal(readFileSync(join(folder, 'runs'), 'utf8'), 'install example.org/module/server@v1.2.3\n');
  assert.deepEqual(readdirSync(home), ['a-server-1.2.3']);
});

test('a build that fails says why and leaves nothing', () => {
  pretendGo('echo "no such module" >&2; exit 1');
  const home = join(folder, 'failing');
  const recipe = goCommand('example.org/module/server', '1.2.3');
  assert.throws(() => recipe.install(home, 'a-server', '1.2.3'), /no such module/);
  assert.deepEqual(readdirSync(home), []);
});

test('a machine without Go gets told so', () => {
  process.env.PATH = join(folder, 'empty');
  assert.throws(() => goCommand('example.org/x', '1').install(folder, 'x', '1'), ToolchainMissing);
  assert.equal(onPath('go'), undefined);
});

test('two runs at once take turns', async () => {
  const home = join(folder, 'locked');
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const first = withLock(home, async () => {
    seen.push('first in');
    entered.resolve();
    await gate.promise;
    seen.push('first out');
  });
  await entered.promise;
  const second = withLock(home, () => seen.push('second'));
  gate.resolve();
  await Promise.all([first, second]);
  assert.deepEqual(seen, ['first in', 'first out', 'second']);
  assert.equal(existsSync(join(home, '.lock')), false);
});

test('a lock of a process that is gone is taken over', async () => {
  const home = join(folder, 'stale');
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  mkdirSync(home);
  writeFileSync(join(home, '.lock'), String(child.pid));
  assert.equal(await withLock(home, () => 'done'), 'done');
});

test('work that throws gives the lock back', async () => {
  const home = join(folder, 'throwing');
  await assert.rejects(
    withLock(home, () => Promise.reject(new Error('broken'))),
    /broken/,
  );
  assert.equal(existsSync(join(home, '.lock')), false);
});

test('a Go program with pinned dependencies is built from edited sources, which do not stay', () => {
  // "go -C SCRATCH mod vendor" brings the source, "go -C SCRATCH build ... -o PROGRAM ..." keeps what it was.
  pretendGo(`case "$3" in
    mod) mkdir -p "$2/vendor/example.org/p" && echo 'ask: GET' > "$2/vendor/example.org/p/a.go" ;;
    build) cp "$2/vendor/example.org/p/a.go" "$6" ;;
  esac`);
  const home = join(folder, 'edited');
  const edit = (source: string): string => source.replace('GET', 'POST');
  const recipe = goProgram('h2spec', 'example.org/p/cmd', [{ file: 'example.org/p/a.go', edit }]);
  recipe.install(home, 'tool', '1');
  assert.equal(readFileSync(recipe.locate(home, 'tool', '1') ?? '', 'utf8'), 'ask: POST\n');
  assert.deepEqual(readdirSync(join(home, 'tool-1')).sort(), ['go.mod', 'go.sum', 'tool']);
});

test('an edit of a source that is another one than expected fails', () => {
  assert.throws(() => GRPC_REQUESTS.edit('package spec\n'), /has not one/);
});

test('a machine without Python gets told so', () => {
  process.env.PATH = join(folder, 'empty');
  assert.throws(() => pythonPackage('x', '1', 'x/bin').install(folder, 'x', '1'), ToolchainMissing);
});
