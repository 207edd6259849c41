/**
 * The heap alone, beside published heaps that do the same work. A pair is what one call costs a heap:
 * the root is taken and gets a higher key (pick), later it gets its old key back (completion).
 *
 * What the published ones cannot do, and how they do the work here: see published-heaps.ts.
 */
import { IndexedHeap } from '../../src/core/heap.ts';
import { generator } from '../support/seed.ts';
import { type BenchCase, BenchSuite } from './harness.ts';
import {
  datastructuresPairs,
  flatqueuePairs,
  heapJsPairs,
  heapJsRemovingPairs,
  tinyqueuePairs,
} from './published-heaps.ts';

const PAIRS = 20_000;
const SIZES = [10, 1_000, 100_000];
/** Pairs a second to reach with a restore right after its pick: the calls of a pool cost three times that. */
const TARGETS: Readonly<Record<number, number>> = { 1000: 10e6, 100000: 5e6 };

const count = (size: number): string => size.toLocaleString('en');

/** 1/capacity a server. `equal`: all the same, every idle server ties. Else 8 capacities, 40 to 180 calls/s. */
function costs(size: number, equal: boolean, random: () => number): Float64Array {
  return new Float64Array(size).map(() => 1 / (equal ? 80 : 40 + 20 * Math.floor(random() * 8)));
}

/** Score of an idle server: δ / capacity, δ = 2. */
const idle = (cost: number): number => 2 * cost;

/** One call at a time: the root rises by 1/capacity and comes back at once. */
function pairs(heap: IndexedHeap, cost: Float64Array): () => number {
  for (let item = 0; item < cost.length; item++) heap.insert(item, idle(cost[item] as number));
  return () => {
    let sum = 0;
    for (let n = 0; n < PAIRS; n++) {
      const item = heap.peek();
      const key = idle(cost[item] as number);
      heap.key[0] = key + (cost[item] as number);
      heap.rekeyRoot();
      heap.key[0] = key;
      heap.rekey(item);
      sum += item;
    }
    return sum;
  };
}

/** Three calls a server in flight, each ending when that many others have begun. */
function busyPairs(heap: IndexedHeap, cost: Float64Array): () => number {
  const size = cost.length;
  const inFlight = new Int32Array(size);
  const open = new Int32Array(3 * size);
  for (let item = 0; item < size; item++) heap.insert(item, idle(cost[item] as number));
  const pick = (): number => {
    const item = heap.peek();
    const own = (inFlight[item] as number) + 1;
    inFlight[item] = own;
    heap.key[0] = (own + 2) * (cost[item] as number);
    heap.rekeyRoot();
    return item;
  };
  for (let n = 0; n < open.length; n++) open[n] = pick();
  let next = 0;
  return () => {
    for (let n = 0; n < PAIRS; n++) {
      const ended = open[next] as number;
      open[next] = pick();
      next = next + 1 === open.length ? 0 : next + 1;
      const own = (inFlight[ended] as number) - 1;
      inFlight[ended] = own;
      heap.key[0] = (own + 2) * (cost[ended] as number);
      heap.rekey(ended);
    }
    return next;
  };
}

/** Keys without any order of their own: the root gets a random key, then another. */
function randomPairs(heap: IndexedHeap, size: number, random: () => number): () => number {
  const keys = new Float64Array(1 << 16).map(() => random());
  for (let item = 0; item < size; item++) heap.insert(item, random());
  let at = 0;
  return () => {
    let sum = 0;
    for (let n = 0; n < PAIRS; n++) {
      at = (at + 1) & 0xffff;
      heap.key[0] = keys[at] as number;
      const item = heap.rekeyRoot();
      heap.key[0] = keys[at ^ 0x5555] as number;
      heap.rekey(item);
      sum += item;
    }
    return sum;
  };
}

/** A random item gets a random key, as reports do. */
function randomUpdates(heap: IndexedHeap, size: number, random: () => number): () => number {
  const keys = new Float64Array(1 << 16).map(() => random());
  const items = new Int32Array(1 << 16).map(() => Math.floor(random() * size));
  for (let item = 0; item < size; item++) heap.insert(item, random());
  let at = 0;
  return () => {
    for (let n = 0; n < PAIRS; n++) {
      at = (at + 1) & 0xffff;
      heap.key[0] = keys[at ^ 0x5555] as number;
      heap.rekey(items[at] as number);
    }
    return at;
  };
}

function best(heap: IndexedHeap, size: number, k: number, random: () => number): () => number {
  const out = new Int32Array(k);
  for (let item = 0; item < size; item++) heap.insert(item, random());
  return () => {
    let sum = 0;
    for (let n = 0; n < 1_000; n++) sum += heap.best(k, out);
    return sum;
  };
}

const suite = new BenchSuite('heap');

for (const size of SIZES) {
  const random = generator(size);
  const target = TARGETS[size];
  const pair = (name: string, run: () => unknown): BenchCase => ({
    name,
    unit: 'pair',
    operations: PAIRS,
    run,
    ...(target === undefined ? {} : { target }),
  });
  await suite.compare(`take the root and restore it, ${count(size)} servers`, [
    pair('equal capacities', pairs(new IndexedHeap(size), costs(size, true, random))),
    pair('8 capacities', pairs(new IndexedHeap(size), costs(size, false, random))),
    pair('random keys', randomPairs(new IndexedHeap(size), size, random)),
    {
      name: '8 capacities, 3 calls in flight each',
      unit: 'pair',
      operations: PAIRS,
      run: busyPairs(new IndexedHeap(size), costs(size, false, random)),
    },
  ]);
  await suite.compare(`single operations, ${count(size)} servers`, [
    {
      name: 'update, random key',
      unit: 'update',
      operations: PAIRS,
      run: randomUpdates(new IndexedHeap(size), size, random),
    },
    { name: 'best 4', unit: 'look', operations: 1_000, run: best(new IndexedHeap(size), size, 4, random) },
    { name: 'best 33', unit: 'look', operations: 1_000, run: best(new IndexedHeap(size), size, 33, random) },
  ]);
}

for (const size of SIZES) {
  const group = `beside published heaps, ${count(size)} servers of 8 capacities`;
  if (!suite.wants(group)) continue;
  const cost = costs(size, false, generator(size));
  const start = cost.map(idle);
  const pair = (name: string, run: () => unknown): BenchCase => ({
    name,
    unit: 'pair',
    operations: PAIRS,
    run,
  });
  const cases = [
    pair('heapmesh', pairs(new IndexedHeap(size), cost)),
    pair('flatqueue, no tie rule', flatqueuePairs(start, cost, PAIRS)),
    pair('tinyqueue', tinyqueuePairs(start, cost, PAIRS)),
    pair('heap-js', heapJsPairs(start, cost, PAIRS)),
    pair('@datastructures-js/heap', datastructuresPairs(start, cost, PAIRS)),
  ];
  // Its cost grows with the size: half a millisecond a pair at 100,000.
  if (size <= 1_000) {
    const run = heapJsRemovingPairs(start, cost, 1_000);
    cases.push({ name: 'heap-js, remove() by search', unit: 'pair', operations: 1_000, run });
  }
  await suite.compare(
    group,
    cases,
    'None of the others can change a key: they push a second entry and skip the outdated one when it surfaces.',
  );
}

suite.finish();
