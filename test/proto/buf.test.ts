/** The public API keeps its style and its promises: `buf lint`, and `buf breaking` against the baseline. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pinnedEnv, ROOT } from '../../scripts/lib/project.ts';

const BASELINE = join(ROOT, 'test/proto/baseline.json');

function buf(cwd: string, ...args: string[]): { code: number | null; said: string } {
  const { status, stdout, stderr, error } = spawnSync('buf', args, {
    cwd,
    env: pinnedEnv(),
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  return { code: status, said: stdout + stderr };
}

/** A copy of the protos with one place changed; says what buf says of it. */
function changed(
  file: string,
  from: RegExp,
  to: string,
  ...args: string[]
): { code: number | null; said: string } {
  const copy = mkdtempSync(join(tmpdir(), 'heapmesh-proto-'));
  try {
    cpSync(join(ROOT, 'proto'), join(copy, 'proto'), { recursive: true });
    cpSync(join(ROOT, 'buf.yaml'), join(copy, 'buf.yaml'));
    const path = join(copy, 'proto', file);
    const text = readFileSync(path, 'utf8');
    assert.match(text, from, `${file} has nothing to change`);
    writeFileSync(path, text.replace(from, to));
    return buf(copy, ...args);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

test('the protos keep the STANDARD lint rules', () => {
  assert.deepEqual(buf(ROOT, 'lint'), { code: 0, said: '' });
});

test('the protos break nothing that the baseline has', () => {
  assert.deepEqual(buf(ROOT, 'breaking', '--against', BASELINE), { code: 0, said: '' });
});

const lookaside = 'heapmesh/v1/lookaside.proto';
const breaking = ['breaking', '--against', BASELINE];

test('a name against the rules is caught', () => {
  const { code, said } = changed(
    lookaside,
    /message PickServerRequest \{/,
    'message pick_request {} $&',
    'lint',
  );
  assert.notEqual(code, 0);
  assert.match(said, /pick_request/);
});

test('a field that is removed is caught', () => {
  const { code, said } = changed(lookaside, /^ +repeated string exclude_ids = \d+;$/m, '', ...breaking);
  assert.notEqual(code, 0);
  assert.match(said, /exclude_ids/);
});

test('a field that is renumbered is caught', () => {
  const { code, said } = changed(lookaside, /(string hash_key) = \d+;/, '$1 = 99;', ...breaking);
  assert.notEqual(code, 0);
  assert.match(said, /hash_key/);
});

test('a field that is added is fine', () => {
  const added = 'message PickServerRequest { string added_later = 500;';
  assert.deepEqual(changed(lookaside, /message PickServerRequest \{/, added, ...breaking), {
    code: 0,
    said: '',
  });
});
