/** How many bytes of the JavaScript heap an operation allocates, by V8's own statistics. */
import { GCProfiler, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Allocation {
  readonly bytesPerOperation: number;
  readonly collectionsPerMillion: number;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * Runs `run` for about `milliseconds` and counts what it allocated. Collections in between do not hide
 * anything: what was allocated is the growth up to each collection, summed. The caller warms up: code
 * that is not yet optimised boxes numbers.
 */
export function measureAllocation(run: () => unknown, operations: number, milliseconds = 300): Allocation {
  for (let start = performance.now(); performance.now() - start < milliseconds / 2; ) run();
  collect();
  const profiler = new GCProfiler();
  profiler.start();
  const before = getHeapStatistics().used_heap_size;
  let runs = 0;
  // The clock is read seldom, since its result is a boxed number itself.
  for (const start = performance.now(); performance.now() - start < milliseconds; ) {
    for (let i = 0; i < 8; i++) run();
    runs += 8;
  }
  const after = getHeapStatistics().used_heap_size;
  const collections = profiler.stop().statistics;
  let bytes = 0;
  let base = before;
  for (const { beforeGC, afterGC } of collections) {
    bytes += beforeGC.heapStatistics.usedHeapSize - base;
    base = afterGC.heapStatistics.usedHeapSize;
  }
  bytes += after - base;
  return {
    bytesPerOperation: Math.max(0, bytes) / (runs * operations),
    collectionsPerMillion: (collections.length * 1e6) / (runs * operations),
  };
}
