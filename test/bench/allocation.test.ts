import assert from 'node:assert/strict';
import { it } from 'node:test';
import { measureAllocation } from './allocation.ts';

it('counts what a run allocates, collections or not', () => {
  const kept: unknown[] = new Array(64);
  let at = 0;
  const run = (): void => {
    for (let n = 0; n < 1_000; n++) {
      kept[at] = new Array(100).fill(n);
      at = (at + 1) & 63;
    }
  };
  // 100 elements of 8 bytes, the header of the elements and the array itself.
  const { bytesPerOperation, collectionsPerMillion } = measureAllocation(run, 1_000, 100);
  assert.ok(bytesPerOperation >= 800 && bytesPerOperation < 2_000, `${bytesPerOperation} bytes`);
  assert.ok(collectionsPerMillion > 0);
});

it('counts next to nothing where nothing is allocated', () => {
  const cells = new Float64Array(1024);
  const run = (): void => {
    for (let n = 0; n < 100_000; n++) cells[n & 1023] = (cells[(n * 7) & 1023] as number) + 0.5;
  };
  const { bytesPerOperation } = measureAllocation(run, 100_000, 100);
  // One boxed number an operation would be 16.
  assert.ok(bytesPerOperation < 1, `${bytesPerOperation} bytes`);
});
