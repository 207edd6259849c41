/**
 * The heap benchmark's pair of operations, take the root and restore it, on heaps from npm.
 *
 * None of them can change the key of an item that is not the root. The usual way out is a second entry:
 * the item is pushed again with its new key, and the outdated entry is skipped when it comes to the
 * root. Outdated entries with high keys never come there, so the queue is built anew from the present
 * ones when it is twice as long as it should be; its share of that is in the figures.
 *
 * flatqueue orders by one number and promises no order among equals: here it gives the same server again
 * and again, which comes back to the root at once, so it does less work than was asked for. The others
 * take a comparison, which gives them the whole order: key, then least recently picked.
 */
import { Heap as DatastructuresHeap } from '@datastructures-js/heap';
import FlatQueue from 'flatqueue';
import { Heap as HeapJs } from 'heap-js';
import TinyQueue from 'tinyqueue';

interface Entry {
  readonly item: number;
  key: number;
  stamp: number;
}

const inOrder = (a: Entry, b: Entry): number => a.key - b.key || a.stamp - b.stamp;

const entriesOf = (keys: Float64Array): Entry[] =>
  Array.from(keys, (key, item) => ({ item, key, stamp: item - keys.length }));

/** An entry is outdated where its value is not the item's present key. Typed arrays of fixed length. */
export function flatqueuePairs(keys: Float64Array, cost: Float64Array, pairs: number): () => number {
  const most = 2 * keys.length + 2;
  const queue = new FlatQueue<number>(most + 2);
  const present = Float64Array.from(keys);
  const rebuild = (): void => {
    queue.clear();
    for (let item = 0; item < present.length; item++) queue.push(item, present[item] as number);
  };
  rebuild();
  return () => {
    let sum = 0;
    for (let n = 0; n < pairs; n++) {
      let key = queue.peekValue() as number;
      let item = queue.pop() as number;
      while (present[item] !== key) {
        key = queue.peekValue() as number;
        item = queue.pop() as number;
      }
      const higher = key + (cost[item] as number);
      present[item] = higher;
      queue.push(item, higher);
      present[item] = key;
      queue.push(item, key);
      if (queue.length > most) rebuild();
      sum += item;
    }
    return sum;
  };
}

/** An entry is outdated where it is not the item's present one. */
export function tinyqueuePairs(keys: Float64Array, cost: Float64Array, pairs: number): () => number {
  const present = entriesOf(keys);
  let queue = new TinyQueue(present.slice(), inOrder);
  let stamp = 0;
  return () => {
    let sum = 0;
    for (let n = 0; n < pairs; n++) {
      let top = queue.pop() as Entry;
      while (present[top.item] !== top) top = queue.pop() as Entry;
      const { item, key } = top;
      stamp++;
      const picked = { item, key: key + (cost[item] as number), stamp };
      present[item] = picked;
      queue.push(picked);
      const restored = { item, key, stamp };
      present[item] = restored;
      queue.push(restored);
      if (queue.length > 2 * present.length) queue = new TinyQueue(present.slice(), inOrder);
      sum += item;
    }
    return sum;
  };
}

/** An entry is outdated where it is not the item's present one. */
export function heapJsPairs(keys: Float64Array, cost: Float64Array, pairs: number): () => number {
  const present = entriesOf(keys);
  const heap = new HeapJs<Entry>(inOrder);
  heap.init(present.slice());
  let stamp = 0;
  return () => {
    let sum = 0;
    for (let n = 0; n < pairs; n++) {
      let top = heap.pop() as Entry;
      while (present[top.item] !== top) top = heap.pop() as Entry;
      const { item, key } = top;
      stamp++;
      const picked = { item, key: key + (cost[item] as number), stamp };
      present[item] = picked;
      heap.push(picked);
      const restored = { item, key, stamp };
      present[item] = restored;
      heap.push(restored);
      if (heap.length > 2 * present.length) heap.init(present.slice());
      sum += item;
    }
    return sum;
  };
}

/** The other way out: `remove()`, which looks through the whole array. Nothing is ever outdated. */
export function heapJsRemovingPairs(keys: Float64Array, cost: Float64Array, pairs: number): () => number {
  const heap = new HeapJs<Entry>(inOrder);
  heap.init(entriesOf(keys));
  let stamp = 0;
  return () => {
    let sum = 0;
    for (let n = 0; n < pairs; n++) {
      const entry = heap.pop() as Entry;
      const { key } = entry;
      entry.key = key + (cost[entry.item] as number);
      entry.stamp = ++stamp;
      heap.push(entry);
      heap.remove(entry);
      entry.key = key;
      heap.push(entry);
      sum += entry.item;
    }
    return sum;
  };
}

/** An entry is outdated where it is not the item's present one. */
export function datastructuresPairs(keys: Float64Array, cost: Float64Array, pairs: number): () => number {
  const present = entriesOf(keys);
  let heap = DatastructuresHeap.heapify(present.slice(), inOrder);
  let stamp = 0;
  return () => {
    let sum = 0;
    for (let n = 0; n < pairs; n++) {
      let top = heap.pop() as Entry;
      while (present[top.item] !== top) top = heap.pop() as Entry;
      const { item, key } = top;
      stamp++;
      const picked = { item, key: key + (cost[item] as number), stamp };
      present[item] = picked;
      heap.push(picked);
      const restored = { item, key, stamp };
      present[item] = restored;
      heap.push(restored);
      if (heap.size() > 2 * present.length) heap = DatastructuresHeap.heapify(present.slice(), inOrder);
      sum += item;
    }
    return sum;
  };
}
