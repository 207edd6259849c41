/**
 * An indexed d-ary min-heap over typed arrays. Items are small integers (slots of a table); each has
 * a key, and the order is total:
 *
 *   1. the lower key first; an item that is root by rule stands before every key;
 *   2. among equal keys the one picked longest ago, those never picked before all others;
 *   3. among those never picked the one inserted first.
 *
 * 2 and 3 are one number, the stamp: picks count 1, 2, 3 ..., insertions -2^53, -2^53 + 1 ... As
 * doubles both are exact up to 2^53, that is 28 years of ten million picks a second, so stamps are
 * never renumbered, and no two items share one.
 *
 * Keys and stamps lie by heap position, not by item: comparing the children of a node then reads
 * neighbours in memory. docs/decisions has the figures behind this and behind the arity. Sifting moves
 * a hole instead of swapping (as in mourner/flatqueue).
 *
 * No operation allocates, except where an array is full and doubles. A key handed over as an argument
 * is boxed, 16 bytes a time, wherever V8 decides not to inline the call. So the operations of the hot
 * path take the key from a cell, `key`, into which the caller writes it; those with a key among their
 * arguments do the same for callers that need not care.
 */
import { HEAP_LIMITS } from './limits.ts';

/** Base-two logarithm of the arity: a constant, since a field costs 5 to 10 % of a sift. */
const SHIFT = 2;
const ARITY = 1 << SHIFT;

const ABSENT = -1;
const FIRST_INSERTION = -(2 ** 53);

/** Cells of the stamp counters, which are doubles. */
const PICKS = 0;
const INSERTIONS = 1;

export class IndexedHeap {
  /** Children of a node; chosen by benchmark, see docs/decisions. */
  static readonly ARITY: number = ARITY;

  /** One cell: the key that rekey(), rekeyPicked(), rekeyRoot() and putBack() are to give. */
  readonly key: Float64Array;

  private count = 0;

  // By heap position.
  private keys: Float64Array;
  private stamps: Float64Array;
  private items: Int32Array;

  // By item.
  private positions: Int32Array;
  private stampsLeft: Float64Array;
  private readonly counters: Float64Array;
  /** Positions that a walk has yet to visit: a binary heap in the order of what stands there. */
  private frontier = new Int32Array(16);
  private frontierSize = 0;

  /**
   * @param capacity items that fit before the arrays double; the highest item counts, not their number
   * @param kin a heap to share the key cell and the stamp counters with: the stamps of both are one order
   */
  constructor(capacity: number = HEAP_LIMITS.initialCapacity, kin?: IndexedHeap) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > HEAP_LIMITS.maxItems) {
      throw new RangeError(
        `heap capacity must be an integer from 1 to ${HEAP_LIMITS.maxItems}, got ${capacity}`,
      );
    }
    this.key = kin?.key ?? new Float64Array(1);
    this.counters = kin?.counters ?? Float64Array.of(0, FIRST_INSERTION);
    this.keys = new Float64Array(capacity);
    this.stamps = new Float64Array(capacity);
    this.items = new Int32Array(capacity);
    this.positions = new Int32Array(capacity).fill(ABSENT);
    this.stampsLeft = new Float64Array(capacity);
  }

  get size(): number {
    return this.count;
  }

  has(item: number): boolean {
    return this.positionOf(item) >= 0;
  }

  /** The item's key; -Infinity where it is root by rule, NaN where it is absent. */
  keyOf(item: number): number {
    const position = this.positionOf(item);
    return position < 0 ? Number.NaN : (this.keys[position] as number);
  }

  /** True while the item stands before every key: after insertAsRoot(), until it is given a key. */
  isRootByRule(item: number): boolean {
    return this.keyOf(item) === Number.NEGATIVE_INFINITY;
  }

  /** The first in order, or -1 where the heap is empty. */
  peek(): number {
    return this.count === 0 ? ABSENT : (this.items[0] as number);
  }

  /** The key of the first in order; NaN where the heap is empty. */
  peekKey(): number {
    return this.count === 0 ? Number.NaN : (this.keys[0] as number);
  }

  /** True where `item`, which is here, stands before `other`, which is in `kin`. */
  precedes(item: number, kin: IndexedHeap, other: number): boolean {
    const here = this.positionOf(item);
    const there = kin.positionOf(other);
    const key = this.keys[here] as number;
    const otherKey = kin.keys[there] as number;
    return (
      key < otherKey || (key === otherKey && (this.stamps[here] as number) < (kin.stamps[there] as number))
    );
  }

  /** The item at a place of the heap's array (children of p: p·ARITY + 1 ...), or -1; for drawing. */
  itemAt(position: number): number {
    return position < this.count ? (this.items[position] ?? ABSENT) : ABSENT;
  }

  /**
   * Puts an item in, as one that was never picked.
   * @param key any number but NaN and -Infinity; negative ones and +Infinity are in order
   * @throws RangeError if the item is present or out of range, or the key is not as said
   */
  insert(item: number, key: number): void {
    if (!(key > Number.NEGATIVE_INFINITY)) throw badKey(item, key);
    const position = this.append(item);
    this.keys[position] = key;
    this.siftUp(position);
  }

  /** Puts an item in before every key. Among such items the one touched longest ago is first. */
  insertAsRoot(item: number): void {
    const position = this.append(item);
    this.keys[position] = Number.NEGATIVE_INFINITY;
    this.siftUp(position);
  }

  /**
   * Puts an item back that was removed, with the place among equal keys that it had then: for one that
   * leaves the order for a while (at its cap) and must not come back as one never picked. An item that
   * was never there is inserted. Its key is what `key` holds; errors as in insert().
   * @param from where it was removed: this heap or its kin
   */
  putBack(item: number, from: IndexedHeap = this): void {
    const key = this.key[0] as number;
    if (!(key > Number.NEGATIVE_INFINITY)) throw badKey(item, key);
    const position = this.append(item, from);
    this.keys[position] = key;
    this.siftUp(position);
  }

  /** Forgets when a removed item was picked: putBack() will insert it. */
  forget(item: number): void {
    if (item < this.stampsLeft.length) this.stampsLeft[item] = 0;
  }

  /**
   * Raises or lowers an item's key to what `key` holds; a root by rule becomes one among the others.
   * @returns false, and nothing is changed, where the item is absent
   * @throws RangeError for a key that insert() would not take
   */
  rekey(item: number): boolean {
    const position = this.positionOf(item);
    if (position < 0) return false;
    const key = this.key[0] as number;
    if (!(key > Number.NEGATIVE_INFINITY)) throw badKey(item, key);
    const lower = key < (this.keys[position] as number);
    this.keys[position] = key;
    if (lower) this.siftUp(position);
    else this.siftDown(position);
    return true;
  }

  /** rekey(), and marks the item as picked now. */
  rekeyPicked(item: number): boolean {
    const position = this.positionOf(item);
    if (position < 0) return false;
    const key = this.key[0] as number;
    if (!(key > Number.NEGATIVE_INFINITY)) throw badKey(item, key);
    this.markPicked(position);
    return this.rekey(item);
  }

  /**
   * Takes the first in order: gives it the key that `key` holds, marks it as picked now, lets it sink.
   * @returns the item, or -1 where the heap is empty
   * @throws RangeError for a key that insert() would not take
   */
  rekeyRoot(): number {
    if (this.count === 0) return ABSENT;
    const item = this.items[0] as number;
    const key = this.key[0] as number;
    if (!(key > Number.NEGATIVE_INFINITY)) throw badKey(item, key);
    this.keys[0] = key;
    this.markPicked(0);
    this.siftDown(0);
    return item;
  }

  /** rekey() with the key as an argument. */
  update(item: number, key: number): boolean {
    this.key[0] = key;
    return this.rekey(item);
  }

  /** rekeyPicked() with the key as an argument. */
  pick(item: number, key: number): boolean {
    this.key[0] = key;
    return this.rekeyPicked(item);
  }

  /** rekeyRoot() with the key as an argument. */
  pickRoot(key: number): number {
    this.key[0] = key;
    return this.rekeyRoot();
  }

  /** Marks an item as picked now and leaves its key (or its place by rule). False where it is absent. */
  touch(item: number): boolean {
    const position = this.positionOf(item);
    if (position < 0) return false;
    this.markPicked(position);
    this.siftDown(position);
    return true;
  }

  /** Takes an item out, wherever it stands. False where it is absent. */
  remove(item: number): boolean {
    const position = this.positionOf(item);
    if (position < 0) return false;
    this.stampsLeft[item] = this.stamps[position] as number;
    this.positions[item] = ABSENT;
    const last = --this.count;
    if (position === last) {
      this.frontierSize = 0;
      return true;
    }
    this.keys[position] = this.keys[last] as number;
    this.stamps[position] = this.stamps[last] as number;
    const moved = this.items[last] as number;
    this.items[position] = moved;
    this.positions[moved] = position;
    // What was last comes from another branch: it may belong above its new parent as well as below.
    this.siftUp(position);
    if (this.positions[moved] === position) this.siftDown(position);
    return true;
  }

  /** Takes all items out and forgets all picks. */
  clear(): void {
    this.count = 0;
    this.frontierSize = 0;
    this.positions.fill(ABSENT);
    this.stampsLeft.fill(0);
  }

  /**
   * Starts a walk in order that changes nothing: first(), then next() until -1. The k best cost
   * O(k · log k), whatever the size. One walk at a time: any change of the heap ends it, best() and
   * bestExcept() begin another.
   */
  first(): number {
    this.frontierSize = 0;
    if (this.count === 0) return ABSENT;
    this.frontier[0] = 0;
    this.frontierSize = 1;
    return this.next();
  }

  /** The next in order of the walk that first() began; -1 at its end. */
  next(): number {
    if (this.frontierSize === 0) return ABSENT;
    const position = this.takeFrontier();
    const firstChild = (position << SHIFT) + 1;
    const end = Math.min(firstChild + ARITY, this.count);
    for (let child = firstChild; child < end; child++) this.addFrontier(child);
    return this.items[position] as number;
  }

  /**
   * The k best in order.
   * @param out takes the items; of a typed array only as much as fits is written
   * @returns how many were written
   */
  best(k: number, out: Int32Array | number[]): number {
    const most = out instanceof Int32Array ? Math.min(k, out.length) : k;
    let count = 0;
    for (let item = count < most ? this.first() : ABSENT; item >= 0; item = this.next()) {
      out[count++] = item;
      if (count >= most) break;
    }
    return count;
  }

  /** The best that is not among those named, or -1. The cost grows with the number named that stand before it. */
  bestExcept(excluded: readonly number[] | Int32Array): number {
    let item = this.first();
    while (item >= 0 && excluded.includes(item)) item = this.next();
    return item;
  }

  /**
   * Walks the whole tree: every item stands where its position says, and no node stands before its
   * parent, ties included. Costs O(capacity).
   * @throws Error that says what is wrong and where
   */
  verify(): void {
    const size = this.count;
    for (let position = 0; position < size; position++) {
      const item = this.items[position] as number;
      const at = `heap of ${size}, position ${position}, item ${item}`;
      if (this.positionOf(item) !== position) {
        throw new Error(`${at}: the item's own position is ${this.positionOf(item)}`);
      }
      if (Number.isNaN(this.keys[position])) throw new Error(`${at}: the key is NaN`);
      const stamp = this.stamps[position] as number;
      const issued = stamp > 0 ? this.counters[PICKS] : (this.counters[INSERTIONS] as number) - 1;
      if (!(stamp <= (issued as number))) throw new Error(`${at}: stamp ${stamp} was never given out`);
      const parent = (position - 1) >> SHIFT;
      if (position > 0 && !this.before(parent, position)) {
        throw new Error(
          `${at}: ${this.describe(position)} belongs before its parent, ${this.describe(parent)}`,
        );
      }
    }
    let present = 0;
    for (const position of this.positions) if (position !== ABSENT) present++;
    if (present !== size) throw new Error(`heap of ${size}: ${present} items have a position`);
  }

  private describe(position: number): string {
    return `item ${this.items[position]} (key ${this.keys[position]}, stamp ${this.stamps[position]})`;
  }

  private positionOf(item: number): number {
    return this.positions[item] ?? ABSENT;
  }

  private markPicked(position: number): void {
    const counters = this.counters;
    const stamp = (counters[PICKS] as number) + 1;
    counters[PICKS] = stamp;
    this.stamps[position] = stamp;
  }

  /** Puts an item behind the last; its key and the sift are the caller's. May replace the arrays. */
  private append(item: number, from?: IndexedHeap): number {
    if (this.positionOf(item) >= 0) throw new RangeError(`item ${item} is in the heap already`);
    if (item >= this.positions.length || !(item >= 0) || !Number.isInteger(item)) this.grow(item);
    const position = this.count++;
    let stamp = from?.stampsLeft[item] ?? 0;
    if (stamp === 0) {
      stamp = this.counters[INSERTIONS] as number;
      this.counters[INSERTIONS] = stamp + 1;
    }
    this.stamps[position] = stamp;
    this.items[position] = item;
    this.positions[item] = position;
    return position;
  }

  private grow(item: number): void {
    if (!Number.isInteger(item) || item < 0 || item >= HEAP_LIMITS.maxItems) {
      throw new RangeError(`heap items are integers from 0 to ${HEAP_LIMITS.maxItems - 1}, got ${item}`);
    }
    let capacity = this.positions.length;
    while (capacity <= item) capacity *= 2;
    this.keys = enlarged(this.keys, new Float64Array(capacity));
    this.stamps = enlarged(this.stamps, new Float64Array(capacity));
    this.items = enlarged(this.items, new Int32Array(capacity));
    this.positions = enlarged(this.positions, new Int32Array(capacity).fill(ABSENT));
    this.stampsLeft = enlarged(this.stampsLeft, new Float64Array(capacity));
  }

  /** True if what stands at `a` goes before what stands at `b`. */
  private before(a: number, b: number): boolean {
    const keyA = this.keys[a] as number;
    const keyB = this.keys[b] as number;
    return keyA < keyB || (keyA === keyB && (this.stamps[a] as number) < (this.stamps[b] as number));
  }

  private siftUp(start: number): void {
    const keys = this.keys;
    const stamps = this.stamps;
    const items = this.items;
    const positions = this.positions;
    const item = items[start] as number;
    const key = keys[start] as number;
    const stamp = stamps[start] as number;
    let hole = start;
    while (hole > 0) {
      const parent = (hole - 1) >> SHIFT;
      const parentKey = keys[parent] as number;
      if (parentKey < key) break;
      const parentStamp = stamps[parent] as number;
      if (parentKey === key && parentStamp < stamp) break;
      const parentItem = items[parent] as number;
      keys[hole] = parentKey;
      stamps[hole] = parentStamp;
      items[hole] = parentItem;
      positions[parentItem] = hole;
      hole = parent;
    }
    keys[hole] = key;
    stamps[hole] = stamp;
    items[hole] = item;
    positions[item] = hole;
    this.frontierSize = 0;
  }

  private siftDown(start: number): void {
    const keys = this.keys;
    const stamps = this.stamps;
    const items = this.items;
    const positions = this.positions;
    const size = this.count;
    const item = items[start] as number;
    const key = keys[start] as number;
    const stamp = stamps[start] as number;
    let hole = start;
    for (let child = (hole << SHIFT) + 1; child < size; child = (hole << SHIFT) + 1) {
      const end = Math.min(child + ARITY, size);
      let least = child;
      let leastKey = keys[child] as number;
      let leastStamp = stamps[child] as number;
      for (child++; child < end; child++) {
        const childKey = keys[child] as number;
        if (childKey <= leastKey) {
          const childStamp = stamps[child] as number;
          if (childKey < leastKey || childStamp < leastStamp) {
            least = child;
            leastKey = childKey;
            leastStamp = childStamp;
          }
        }
      }
      if (key < leastKey || (key === leastKey && stamp < leastStamp)) break;
      const leastItem = items[least] as number;
      keys[hole] = leastKey;
      stamps[hole] = leastStamp;
      items[hole] = leastItem;
      positions[leastItem] = hole;
      hole = least;
    }
    keys[hole] = key;
    stamps[hole] = stamp;
    items[hole] = item;
    positions[item] = hole;
    this.frontierSize = 0;
  }

  private addFrontier(position: number): void {
    if (this.frontierSize === this.frontier.length) {
      this.frontier = enlarged(this.frontier, new Int32Array(this.frontier.length * 2));
    }
    const frontier = this.frontier;
    let hole = this.frontierSize++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = frontier[parent] as number;
      if (this.before(above, position)) break;
      frontier[hole] = above;
      hole = parent;
    }
    frontier[hole] = position;
  }

  private takeFrontier(): number {
    const frontier = this.frontier;
    const taken = frontier[0] as number;
    const size = --this.frontierSize;
    const position = frontier[size] as number;
    let hole = 0;
    for (let child = 1; child < size; child = hole * 2 + 1) {
      const right = child + 1;
      if (right < size && this.before(frontier[right] as number, frontier[child] as number)) child = right;
      if (this.before(position, frontier[child] as number)) break;
      frontier[hole] = frontier[child] as number;
      hole = child;
    }
    frontier[hole] = position;
    return taken;
  }
}

function enlarged<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

function badKey(item: number, key: number): RangeError {
  return new RangeError(
    Number.isNaN(key)
      ? `the key of item ${item} is NaN, which has no place in an order`
      : `the key of item ${item} is ${key}, which is kept for roots by rule: use insertAsRoot()`,
  );
}
