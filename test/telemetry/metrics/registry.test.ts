/** How a scrape is put together: in slices, one after the other, and not too many at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METRIC_LIMITS } from '../../../src/core/limits.ts';
import { POOLS } from '../../../src/telemetry/metrics/catalog/balancing.ts';
import { CALLS } from '../../../src/telemetry/metrics/catalog/calls.ts';
import { each } from '../../../src/telemetry/metrics/each.ts';
import { counter } from '../../../src/telemetry/metrics/family.ts';
import { labels } from '../../../src/telemetry/metrics/labels.ts';
import { Registry } from '../../../src/telemetry/metrics/registry.ts';

const ROWS = 2_000;

/** Spins for that long, ms. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

function slow(): Registry {
  const registry = new Registry();
  registry.add(POOLS.heap, out =>
    each(Array(ROWS).keys(), n => {
      work(0.05);
      out.sample(labels({ pool: `p${n}` }), n);
    }),
  );
  return registry;
}

const textOf = (parts: readonly Uint8Array[] = []): string => Buffer.concat(parts).toString();

test('the event loop has turns while a long scrape is put together', async () => {
  const registry = slow();
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const parts = await registry.render('prometheus');
  counting = false;
  assert.ok(registry.lastMs >= 100, `${registry.lastMs} ms`);
  // Some 30 slices on a quick machine, fewer and longer ones on one that is busy.
  assert.ok(turns >= 10, `${turns} turns in ${registry.lastMs} ms`);
  const lines = textOf(parts).trimEnd().split('\n');
  assert.equal(lines.length, ROWS + 2);
  assert.equal(lines[2 + 1_234], 'heapmesh_pool_heap_size{pool="p1234"} 1234');
});

test('scrapes at once are whole, each; more than may be are turned away, and later ones are not', async () => {
  const registry = slow();
  const all = Array.from({ length: METRIC_LIMITS.scrapes + 2 }, () => registry.render('openmetrics'));
  const texts = await Promise.all(all.map(async one => one && textOf(await one)));
  const [first] = texts;
  assert.ok(first?.endsWith('# EOF\n'));
  assert.deepEqual(
    texts.map(text => text === first),
    all.map((_, n) => n < METRIC_LIMITS.scrapes),
  );
  assert.ok((await registry.render('openmetrics')) !== undefined);
});

test('what a family throws ends that scrape alone', async () => {
  const registry = new Registry();
  let broken = true;
  registry.add(CALLS.poolless, out => {
    if (broken) throw new Error('broken');
    out.add(1);
  });
  await assert.rejects(registry.render('prometheus') ?? Promise.resolve(), /broken/);
  broken = false;
  assert.match(textOf(await registry.render('prometheus')), /calls_without_pool_total 1\n$/);
});

test('a family is told of once, and only where the catalogue has it', () => {
  const registry = new Registry();
  registry.add(CALLS.poolless, () => {});
  assert.throws(() => registry.add(CALLS.poolless, () => {}), /told of already/);
  assert.throws(() => registry.add(counter('own_total', 'x'), () => {}), /not in the catalogue/);
  assert.ok(registry.missing().length > 50);
});

test('labels and values are escaped and written as the format wants', async () => {
  const registry = new Registry();
  registry.add(CALLS.calls, out => {
    out.add(1, 'a"b\\c\nd', 'm', 'OK');
    out.add(Number.POSITIVE_INFINITY, 's', 'm', 'OK');
    out.add(Number.NaN, 'left out', 'm', 'OK');
  });
  const text = textOf(await registry.render('prometheus'));
  assert.deepEqual(text.trimEnd().split('\n').slice(2), [
    'heapmesh_calls_total{service="a\\"b\\\\c\\nd",method="m",code="OK"} 1',
    'heapmesh_calls_total{service="s",method="m",code="OK"} +Inf',
  ]);
});
