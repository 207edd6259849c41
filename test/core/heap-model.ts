/** What an IndexedHeap should do, as a plain sorted list. Slow, and meant to be obviously right. */
interface Place {
  readonly item: number;
  readonly key: number;
  /** 0: never picked since it came. */
  readonly picked: number;
  readonly inserted: number;
}

export class SortedModel {
  readonly #order: Place[] = [];
  readonly #left = new Map<number, Place>();
  #picks = 0;
  #insertions = 0;

  get size(): number {
    return this.#order.length;
  }

  order(): number[] {
    return this.#order.map(place => place.item);
  }

  at(rank: number): number {
    return this.#order[rank]?.item ?? -1;
  }

  keyAt(rank: number): number {
    return this.#order[rank]?.key ?? Number.NaN;
  }

  has(item: number): boolean {
    return this.#order.some(place => place.item === item);
  }

  keyOf(item: number): number {
    return this.#order.find(place => place.item === item)?.key ?? Number.NaN;
  }

  insert(item: number, key: number): void {
    this.#enter({ item, key, picked: 0, inserted: ++this.#insertions });
  }

  putBack(item: number, key: number): void {
    const left = this.#left.get(item);
    if (left === undefined) this.insert(item, key);
    else this.#enter({ ...left, key });
  }

  forget(item: number): void {
    this.#left.delete(item);
  }

  update(item: number, key: number): boolean {
    const place = this.#take(item);
    if (place !== undefined) this.#enter({ ...place, key });
    return place !== undefined;
  }

  pick(item: number, key: number): boolean {
    const place = this.#take(item);
    if (place !== undefined) this.#enter({ ...place, key, picked: ++this.#picks });
    return place !== undefined;
  }

  touch(item: number): boolean {
    const place = this.#take(item);
    if (place !== undefined) this.#enter({ ...place, picked: ++this.#picks });
    return place !== undefined;
  }

  remove(item: number): boolean {
    const place = this.#take(item);
    if (place !== undefined) this.#left.set(item, place);
    return place !== undefined;
  }

  #take(item: number): Place | undefined {
    const rank = this.#order.findIndex(place => place.item === item);
    return rank < 0 ? undefined : this.#order.splice(rank, 1)[0];
  }

  #enter(place: Place): void {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (precedes(this.#order[middle] as Place, place)) low = middle + 1;
      else high = middle;
    }
    this.#order.splice(low, 0, place);
  }
}

function precedes(a: Place, b: Place): boolean {
  if (a.key !== b.key) return a.key < b.key;
  if (a.picked !== b.picked) return a.picked < b.picked;
  return a.inserted < b.inserted;
}
