/** What a browser loads: small, whole, and from the balancer alone. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ROOT } from '../../scripts/lib/project.ts';
import { ask } from '../admin/raw.ts';
import { startBoard } from './support.ts';

const FOLDER = join(ROOT, 'dist/admin/console');
const MOST_BYTES = 100_000;

const files = (): string[] => {
  assert.ok(existsSync(FOLDER), 'there is no dist/admin/console: run make build');
  return readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(name => /\.\w+$/.test(name));
};

test('it has less than 100 KB as it goes over the wire', () => {
  const sizes = files().map(
    name => [name, gzipSync(readFileSync(join(FOLDER, name)), { level: 9 }).length] as const,
  );
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`the console has ${total} bytes: ${sizes.map(([name, size]) => `${name} ${size}`).join(', ')}`);
  assert.ok(total < MOST_BYTES, `${total} bytes`);
});

test('it names no other site, and has nothing inline', () => {
  const page = readFileSync(join(FOLDER, 'index.html'), 'utf8');
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\bon\w+=|style=|https?:|\/\//i);
  for (const name of files().filter(each => each.endsWith('.css'))) {
    assert.doesNotMatch(readFileSync(join(FOLDER, name), 'utf8'), /@import|url\((?!#)/);
  }
  for (const name of files().filter(each => each.endsWith('.js'))) {
    const addresses = readFileSync(join(FOLDER, name), 'utf8').match(/https?:\/\/[\w.-]+/g) ?? [];
    // Names of XML's, which nobody loads.
    assert.deepEqual(
      addresses.filter(address => address !== 'http://www.w3.org'),
      [],
    );
  }
});

test('it is served packed to who takes that, kept by who may keep it, and not asked for twice', async t => {
  const { addresses } = await startBoard(t);
  const page = await ask(addresses.admin, 'GET /');
  assert.equal(page.status, 200);
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  const [, script = ''] = /src="\.(\/assets\/[^"]+)"/.exec(page.body) ?? [];
  const plain = await ask(addresses.admin, `GET ${script}`);
  const packed = await ask(addresses.admin, `GET ${script}`, { 'accept-encoding': 'br, gzip' });
  assert.deepEqual([plain.status, packed.status], [200, 200]);
  assert.equal(packed.headers.get('content-encoding'), 'gzip');
  assert.ok(Number(packed.headers.get('content-length')) < Number(plain.headers.get('content-length')) / 2);
  assert.match(plain.headers.get('cache-control') ?? '', /immutable/);
  const etag = page.headers.get('etag') ?? '';
  assert.equal((await ask(addresses.admin, 'GET /', { 'if-none-match': etag })).status, 304);
  assert.equal((await ask(addresses.admin, 'GET /assets/../index.html')).status, 404);
  assert.equal((await ask(addresses.admin, 'GET /assets/none.js')).status, 404);
});
