/** The log: its lines, its level, floods, and an output that takes nothing. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { LOG_LIMITS } from '../../../src/core/limits.ts';
import { Folding } from '../../../src/telemetry/logs/folding.ts';
import { createLogger, type RootLogger } from '../../../src/telemetry/telemetry.ts';

class Reader extends Writable {
  readonly lines: Record<string, unknown>[] = [];
  isTTY = false;
  text = '';
  #waiting: (() => void) | undefined;
  /** Takes nothing until `takes` is called. */
  stops = false;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk;
    if (!this.isTTY) for (const line of String(chunk).trim().split('\n')) this.lines.push(JSON.parse(line));
    if (this.stops) this.#waiting = done;
    else done();
  }

  takes(): void {
    this.stops = false;
    this.#waiting?.();
  }
}

const loggerTo = (output: Reader, colours = false): RootLogger =>
  createLogger({ level: 'info', instance: 'lb-1', output, colours });

test('JSON lines with level, time, instance; the level changes while it runs', () => {
  const reader = new Reader();
  const log = loggerTo(reader);
  log.debug('not yet');
  log.info('one', { server: 'a', state: 'ACTIVE' });
  log.setLevel('debug');
  assert.equal(log.level, 'debug');
  log.debug('now');
  log.setLevel('error');
  log.warn('no more');
  assert.deepEqual(
    reader.lines.map(({ time, ...rest }) => ({ ...rest, isTime: /^\d{4}-.*Z$/.test(String(time)) })),
    [
      { level: 'info', isTime: true, instance: 'lb-1', server: 'a', state: 'ACTIVE', msg: 'one' },
      { level: 'debug', isTime: true, instance: 'lb-1', msg: 'now' },
    ],
  );
});

test('on a terminal: short lines, and nothing that moves its cursor', () => {
  const reader = new Reader();
  reader.isTTY = true;
  loggerTo(reader).warn('bad \x1b[2J name', { server: 'a b', n: 3 });
  assert.match(reader.text, /^\d\d:\d\d:\d\d {2}warn {3}bad \ufffd\[2J name {2}server="a b" {2}n=3\n$/);
});

test('a flood of the same fault is folded, and counted', t => {
  let now = 0;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const folding = new Folding(() => now);
  const told: [message: string, fields: unknown][] = [];
  const fault = (key: string, n = 0): boolean =>
    folding.passes(key, `fault ${key}`, { n }, (message, fields) => told.push([message, fields]));
  const passed = Array.from({ length: 100 }, (_, n) => fault('a', n)).filter(Boolean).length;
  assert.equal(passed, LOG_LIMITS.sameLines);
  assert.equal(fault('b'), true, 'another one is written');
  assert.equal(told.length, 0);
  now = LOG_LIMITS.foldMs;
  t.mock.timers.tick(LOG_LIMITS.foldMs);
  assert.deepEqual(told, [['97 more in 10 s: fault a', { n: 99, folded: 97 }]]);
  assert.equal(folding.folded, 97);
  assert.equal(fault('a'), true, 'a new window begins');
  // Faults that are all different do not fill the memory.
  for (let n = 0; n < 10 * LOG_LIMITS.faults; n++) fault(`each ${n}`);
  folding.flush();
  const [message] = told.at(-1) as [string, unknown];
  assert.match(message, /^\d+ more in 10 s: other faults$/);
});

test('a reader that stops: lines are dropped and counted, and told of when it reads again', async () => {
  const reader = new Reader();
  const log = loggerTo(reader);
  reader.stops = true;
  const line = { text: 'x'.repeat(1_000) };
  const most = LOG_LIMITS.waitingBytes / 1_000 + 100;
  for (let n = 0; n < most; n++) log.info('line', line);
  const { written, dropped } = log.counts();
  assert.equal(written + dropped, Math.ceil(most));
  assert.ok(dropped > 50 && reader.writableLength < LOG_LIMITS.waitingBytes + 2_000);
  reader.takes();
  assert.equal(await log.close(), true);
  assert.deepEqual(
    reader.lines.filter(each => each.dropped !== undefined).map(each => [each.level, each.dropped]),
    [['warn', dropped]],
  );
  reader.stops = true;
  log.info('stays');
  log.info('waits');
  assert.equal(await log.close(), false);
});

test('files: lines in order; a full disk drops them, and nothing else happens', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-log-'));
  try {
    const path = join(folder, 'log');
    const fd = openSync(path, 'w');
    const log = loggerTo(Object.assign(new Reader(), { fd }));
    for (let n = 0; n < 500; n++) log.info(`line ${n}`);
    assert.equal(await log.close(), true);
    closeSync(fd);
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    assert.deepEqual(
      lines.map(line => JSON.parse(line).msg),
      Array.from({ length: 500 }, (_, n) => `line ${n}`),
    );
    assert.equal(log.counts().written, 500);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const full = openSync('/dev/full', 'w');
  const log = loggerTo(Object.assign(new Reader(), { fd: full }));
  for (let n = 0; n < 20; n++) log.info('nobody will read this');
  await log.close();
  assert.deepEqual(log.counts(), { written: 0, dropped: 20, folded: 0 });
  closeSync(full);
});
