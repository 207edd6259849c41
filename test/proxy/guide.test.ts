/** The guide of the proxy says what is so: limits, keys and their defaults. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/lib/project.ts';
import { loadConfig } from '../../src/config/config.ts';
import { keysAt } from '../../src/config/reference.ts';
import { HTTP2_LIMITS, PROXY_LIMITS, TRANSPORT } from '../../src/core/limits.ts';

const guide = readFileSync(join(ROOT, 'docs/guides/transparent-proxy.md'), 'utf8');

/** The rows of the tables of a section, by their first cell. */
function rows(title: string): Map<string, string> {
  const section = guide.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
  const cells = section
    .split('\n')
    .filter(line => line.startsWith('| '))
    .map(line => line.split('|').map(cell => cell.trim().replaceAll('`', '')));
  return new Map(cells.map(([, first = '', second = '']) => [first, second]));
}

const count = (value: number): string => value.toLocaleString('en');
const size = (bytes: number): string =>
  bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
const rate = ({ burst, perSecond }: { burst: number; perSecond: number }): string =>
  `${count(burst)} at once, ${count(perSecond)} a second`;
const seconds = (ms: number): string => `${ms / 1_000} s`;

test('limits', () => {
  const { idleMs, upstreamIdleMs } = PROXY_LIMITS;
  const { prefaceMs, settingsAckMs } = TRANSPORT;
  assert.deepEqual(Object.fromEntries([...rows('Limits')].slice(2)), {
    'connections of callers': count(PROXY_LIMITS.connections),
    'window of a stream: what a stalled one holds': size(HTTP2_LIMITS.streamWindowBytes),
    'window of a connection': size(HTTP2_LIMITS.connectionWindowBytes),
    'a request that is kept to be sent again': size(PROXY_LIMITS.replayBytes),
    'header list, decoded': `${size(HTTP2_LIMITS.headerListBytes)}, ${HTTP2_LIMITS.headerFields} fields`,
    'CONTINUATION frames of a header block': count(HTTP2_LIMITS.continuationFrames),
    'output that waits for one reader': size(HTTP2_LIMITS.outputBytes),
    'a reader that takes nothing is cut off after': seconds(TRANSPORT.stalledWriteMs),
    'preface and first SETTINGS; acknowledgement of ours': `${seconds(prefaceMs)}; ${seconds(settingsAckMs)}`,
    "a caller's connection without a call": `${idleMs / 3_600_000} h`,
    "a backend's connection without a call": `${upstreamIdleMs / 60_000} min`,
    connect: seconds(PROXY_LIMITS.connectMs),
    'connections to one backend': count(PROXY_LIMITS.connectionsPerBackend),
    'calls that wait for a stream of one backend': count(PROXY_LIMITS.waitingPerBackend),
    'streams reset right after they were opened': rate(HTTP2_LIMITS.rapidResets),
    'resets that a peer makes the proxy send': rate(HTTP2_LIMITS.faults),
    'PING; SETTINGS': `${rate(HTTP2_LIMITS.pings)}; ${rate(HTTP2_LIMITS.settings)}`,
    'health request': size(PROXY_LIMITS.localRequestBytes),
  });
});

test('what the text says in passing', () => {
  for (const said of [
    `at most ${PROXY_LIMITS.transparentAttempts} times`,
    `after ${PROXY_LIMITS.firstRetryMs} ms, then ever longer, at most ${seconds(PROXY_LIMITS.maxRetryMs)}`,
    `after ${seconds(PROXY_LIMITS.silenceMs)}, or after 3 times its p99`,
    `after ${seconds(PROXY_LIMITS.silenceEndMs)}`,
    `${PROXY_LIMITS.retriesPerSecond} a second are always allowed`,
  ]) {
    assert.ok(guide.replaceAll('\n', ' ').includes(said), said);
  }
});

test('every key of the proxy and of retries, with its default', () => {
  const told = rows('Keys');
  const mine = [
    ...keysAt(['proxy']).map(key => `proxy.${key}`),
    ...keysAt(['pools', 'retry']).map(key => `pools[].retry.${key}`),
    'pools[].maxStreamAge',
  ].filter(key => key !== 'proxy.tls');
  assert.deepEqual([...told.keys()].slice(2).toSorted(), mine.toSorted());
  const { proxy } = loadConfig('', { file: '', hostname: 'h' }).config;
  assert.deepEqual(
    [
      told.get('proxy.listen'),
      told.get('proxy.maxConcurrentStreams'),
      told.get('proxy.drainTimeout'),
      told.get('proxy.maxConnectionAgeGrace'),
      told.get('proxy.keepLoadReports'),
      told.get('proxy.reusePort'),
      told.get('proxy.rememberHeaders'),
    ],
    [
      proxy.listen,
      String(proxy.maxConcurrentStreams),
      `${proxy.drainTimeoutMs / 1_000}s`,
      `${proxy.maxConnectionAgeGraceMs / 60_000}m`,
      String(proxy.keepLoadReports),
      String(proxy.reusePort),
      String(proxy.rememberHeaders),
    ],
  );
});
