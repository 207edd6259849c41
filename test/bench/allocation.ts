/** How many bytes of the JavaScript heap an operation allocates, by V8's own statistics. */
import { GCProfiler, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Allocation {
  readonly bytesPerOperation: number;
  readonly collectionsPerMillion: number;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Least runs before and while counting, however slow they are: the optimizer goes by runs, not by time. */
const LEAST_RUNS = 16;

/**
 * Runs `run` for about `milliseconds` and counts what it allocated. Collections in between do not hide
 * anything: what was allocated is the growth up to each collection, summed. The caller warms up: code
 * that is not yet optimised boxes numbers.
 */
export function measureAllocation(run: () => unknown, operations: number, milliseconds = 300): Allocation {
  const warmUp = performance.now();
  for (let n = 0; n < LEAST_RUNS || performance.now() - warmUp < milliseconds / 2; n++) run();
  collect();
  const profiler = new GCProfiler();
  profiler.start();
  const before = getHeapStatistics().used_heap_size;
  let runs = 0;
  // The clock is read seldom, since its result is a boxed number itself.
  const start = performance.now();
  do {
    for (let n = 0; n < LEAST_RUNS; n++) run();
    runs += LEAST_RUNS;
  } while (performance.now() - start < milliseconds);
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
