import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cidrFault,
  formatAddress,
  isLoopback,
  isServiceName,
  parseAddress,
} from '../../src/config/address.ts';
import { formatDuration, parseDuration } from '../../src/config/units.ts';

test('durations', () => {
  const cases: [string, number | undefined][] = [
    ['1s', 1_000],
    ['250ms', 250],
    ['5m', 300_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['0s', 0],
    ['5', undefined],
    ['', undefined],
    ['-1s', undefined],
    ['1 s', undefined],
    ['1d', undefined],
    ['s', undefined],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

test('a formatted duration reads back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 86_400_000 }), ms => {
      const back = parseDuration(formatDuration(ms)) ?? Number.NaN;
      // Hours are written to a thousandth of a minute.
      assert.ok(Math.abs(back - ms) <= (ms < 3_600_000 ? 0.001 : 60), `${ms} ${formatDuration(ms)} ${back}`);
    }),
  );
  assert.equal(formatDuration(90_000), '1m30s');
  assert.equal(formatDuration(1_500), '1.5s');
});

test('addresses', () => {
  for (const text of [
    'h:1',
    '127.0.0.1:65535',
    '[::1]:80',
    'a-b.c_d.example:80',
    'xn--bcher-kva.example:80',
  ]) {
    const parsed = parseAddress(text);
    assert.ok(typeof parsed === 'object', `${text}: ${parsed}`);
    assert.equal(formatAddress(parsed), text);
  }
  const faults: [string, RegExp][] = [
    ['h', /port is missing/],
    ['h:', /not an address/],
    ['h:0', /not within 1 to 65535/],
    ['h:65536', /not within/],
    [':80', /host is missing/],
    ['::1:80', /needs brackets/],
    ['::1', /needs brackets/],
    ['[::g]:80', /no IPv6/],
    ['300.0.0.1:80', /neither a host name nor/],
    ['-a:80', /neither/],
    ['a b:80', /neither/],
    ['http://h:80', /URL/],
  ];
  for (const [text, fault] of faults) assert.match(String(parseAddress(text)), fault, text);
  assert.ok(typeof parseAddress('h:0', { anyPort: true }) === 'object');
});

test('loopback, CIDR blocks, service names', () => {
  assert.ok(isLoopback('::FFFF:127.0.0.1'));
  assert.ok(!isLoopback('127.example'));
  assert.equal(cidrFault('10.0.0.0/8'), undefined);
  assert.equal(cidrFault('fd00::/128'), undefined);
  assert.match(cidrFault('10.0.0.0/33') ?? '', /above 32/);
  assert.match(cidrFault('10.0.0.0') ?? '', /prefix length is missing/);
  assert.match(cidrFault('ten/8') ?? '', /no IP address/);
  assert.ok(isServiceName('grpc.health.v1.Health') && isServiceName('Echo'));
  for (const text of ['', '.a', 'a.', 'a..b', 'a/b', '1a', '*']) assert.ok(!isServiceName(text), text);
});
