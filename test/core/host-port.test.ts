import assert from 'node:assert/strict';
import { test } from 'node:test';
import { harmless } from '../../src/core/harmless.ts';
import { formatHostPort, isHostName, splitHostPort } from '../../src/core/host-port.ts';

test('host:port and [v6]:port are split at the port, and put together again', () => {
  for (const text of ['a.example:1', '127.0.0.1:65535', '[::1]:4700', '[fe80::1]:1']) {
    const parts = splitHostPort(text);
    assert.ok(parts !== undefined, text);
    assert.equal(formatHostPort(parts.host, parts.port), text);
    assert.equal(parts.bracketed, text.startsWith('['));
  }
  assert.deepEqual(splitHostPort(':80'), { host: '', port: '80', bracketed: false });
  for (const text of ['a', '::1:80', '[::1]', '[::1:80', 'a:b', 'a:1:2', 'a:-1', '']) {
    assert.equal(splitHostPort(text), undefined, text);
  }
});

test('a name of a host: labels of at most 63, 253 in all, and not digits and dots alone', () => {
  const label = 'a'.repeat(63);
  for (const name of ['a', 'a_b-c.d', 'a.', label, `${label}.${label}`, '3com.example']) {
    assert.ok(isHostName(name), name);
  }
  const long = Array(4).fill(label).join('.');
  for (const name of ['', '-a', 'a..b', `${label}a`, long, '1.2.3', 'a b', 'a:1', '::1']) {
    assert.ok(!isHostName(name), name);
  }
});

test('what could move a cursor or turn the order of text is made visible', () => {
  assert.equal(harmless('a\u001b[2Jb\u0007\u009bc\u202ed\n'), 'a\ufffd[2Jb\ufffd\ufffdc\ufffdd\ufffd');
  assert.equal(harmless('Größe, 大きさ'), 'Größe, 大きさ');
});
