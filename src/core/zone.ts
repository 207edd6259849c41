/** The members of a pool in one zone: those in the order of their scores, and those that wait at a warm-up cap. */
import { IndexedHeap } from './heap.ts';

export class Zone {
  readonly name: string;
  readonly order = new IndexedHeap();
  /** Warming members at their cap: taken only where nobody is in any order. */
  readonly capped = new IndexedHeap();
  /** Members of the pool in this zone, eligible or not. */
  members = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** In the order, by its key. */
  keep(member: number, key: number): void {
    if (this.order.update(member, key)) return;
    this.capped.remove(member);
    this.order.putBack(member, key);
  }

  /** At the root of the order, before every key. */
  enthrone(member: number): void {
    if (this.order.isRootByRule(member)) return;
    this.order.remove(member);
    this.capped.remove(member);
    this.order.insertAsRoot(member);
  }

  /** Out of the order, among those at their cap. */
  cap(member: number, key: number): void {
    if (this.capped.update(member, key)) return;
    this.order.remove(member);
    this.capped.putBack(member, key);
  }

  /** Out of both. */
  drop(member: number): void {
    if (!this.order.remove(member)) this.capped.remove(member);
  }

  verify(): void {
    this.order.verify();
    this.capped.verify();
  }
}
