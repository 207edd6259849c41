/** The members of a pool in one zone: those in the order of their scores, and those that wait at a warm-up cap. */
import { IndexedHeap } from './heap.ts';

export class Zone {
  readonly name: string;
  readonly order = new IndexedHeap();
  /** Warming members at their cap: taken only where nobody is in any order. */
  readonly capped = new IndexedHeap(undefined, this.order.key);
  /** Members of the pool in this zone, eligible or not. */
  members = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** In the order, by what the key cell of the order holds. */
  keep(member: number): void {
    if (this.order.rekey(member)) return;
    this.capped.remove(member);
    this.order.putBack(member);
  }

  /** At the root of the order, before every key. */
  enthrone(member: number): void {
    if (this.order.isRootByRule(member)) return;
    this.order.remove(member);
    this.capped.remove(member);
    this.order.insertAsRoot(member);
  }

  /** Out of the order, among those at their cap, there by what the key cell of the order holds. */
  cap(member: number): void {
    if (this.capped.rekey(member)) return;
    this.order.remove(member);
    this.capped.putBack(member);
  }

  /** Out of both for good: whoever has this number next was never picked. */
  forget(member: number): void {
    this.drop(member);
    this.order.forget(member);
    this.capped.forget(member);
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
