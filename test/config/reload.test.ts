import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { diff } from '../../src/config/diff.ts';
import { infoOf } from '../../src/config/reference.ts';
import { watchConfig } from '../../src/config/watch.ts';

const config = (text: string) => loadConfig(text, { file: 'f', hostname: 'h' }).config;
const keys = (changes: readonly { key: string }[]) => changes.map(change => change.key).sort();

test('a reload takes what can change and names what cannot', () => {
  const old = config('servers: [{ address: h:1 }]');
  const next = config(`
instance: { id: other }
proxy: { listen: 127.0.0.1:5000 }
control: { listen: 127.0.0.1:5001, reportInterval: 2s }
servers: [{ address: h:1 }, { address: h:2 }]
pools: [{ service: a.B, zoneFactor: 3 }]
health: { interval: 1s }
telemetry: { logs: { level: debug } }
`);
  const { live, restart, config: merged } = diff(old, next);
  // The grace follows the report interval where it is not set.
  const expected = [
    'control.reportInterval',
    'health.interval',
    'health.reportGrace',
    'pools',
    'servers',
    'telemetry.logs.level',
  ];
  assert.deepEqual(keys(live), expected);
  assert.deepEqual(keys(restart), ['control.listen', 'instance.id', 'proxy.listen']);
  assert.deepEqual(merged.servers, next.servers);
  assert.equal(merged.control.reportIntervalMs, 2_000);
  assert.equal(merged.control.listen, old.control.listen);
  assert.equal(merged.instance.id, 'h');
  // What waits for a restart goes on being told.
  assert.deepEqual(keys(diff(merged, next).restart), keys(restart));
  assert.deepEqual(diff(merged, next).live, []);
});

test('nothing changed is no change', () => {
  const { live, restart, config: merged } = diff(config(''), config('{}'));
  assert.deepEqual([live, restart], [[], []]);
  assert.deepEqual(merged, config(''));
});

test('an optional key that goes away again is gone', () => {
  const set = config('instance: { advertise: { control: 10.0.0.1:1 } }');
  assert.deepEqual(keys(diff(set, config('')).restart), ['instance.advertise.control']);
});

test('every value of a configuration is known to the schema', () => {
  const visit = (value: unknown, path: string[]): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, child] of Object.entries(value)) visit(child, [...path, key]);
    } else assert.ok(infoOf(path), path.join('.'));
  };
  visit(config('instance: { id: x, advertise: { control: h:1, proxy: h:2 } }'), []);
});

test('a watched file: written in place, replaced by a rename, SIGHUP, other files, the end', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'heapmesh-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'mesh.yaml');
  await writeFile(file, 'a');
  const heard = new EventEmitter();
  const signals = new EventEmitter();
  let count = 0;
  const stop = watchConfig(
    file,
    why => {
      count++;
      heard.emit('change', why);
    },
    // On a busy machine the two steps of a write in place come some time apart.
    { settleMs: 200, signals },
  );
  context.after(stop);
  // The settling timer lets the process go; the test must not.
  const alive = setInterval(() => {}, 1_000);
  context.after(() => clearInterval(alive));

  for (let round = 0; round < 3; round++) {
    const replaced = once(heard, 'change');
    await writeFile(join(folder, 'mesh.yaml~'), `b${round}`);
    await rename(join(folder, 'mesh.yaml~'), file);
    assert.deepEqual(await replaced, ['changed']);
  }
  const written = once(heard, 'change');
  await writeFile(file, 'c');
  assert.deepEqual(await written, ['changed']);
  const hungUp = once(heard, 'change');
  signals.emit('SIGHUP');
  assert.deepEqual(await hungUp, ['SIGHUP']);

  // A watch of the other file that settles later has heard of it when this one had its time.
  const before = count;
  const other = join(folder, 'another.yaml');
  const stopOther = watchConfig(other, () => heard.emit('other'), { settleMs: 500, signals });
  context.after(stopOther);
  const heardOther = once(heard, 'other');
  await writeFile(other, 'x');
  await heardOther;
  assert.equal(count, before);
  stopOther();
  stop();
  assert.equal(signals.listenerCount('SIGHUP'), 0);
});
