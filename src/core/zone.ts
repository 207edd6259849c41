/** The members of a pool in one zone: those in the order of their scores, and those that wait at a warm-up cap. */
import { IndexedHeap } from './heap.ts';

export class Zone {
  readonly name: string;
  readonly order: IndexedHeap;
  /** Warming members at their cap: taken only where nobody is in any order. */
  readonly capped: IndexedHeap;
  /** Members of the pool in this zone, eligible or not. */
  members = 0;

  /** @param kin another zone of the pool: ties between zones go to the one picked longest ago, too */
  constructor(name: string, kin?: Zone) {
    this.name = name;
    this.order = new IndexedHeap(undefined, kin?.order);
    this.capped = new IndexedHeap(undefined, this.order);
  }

  /** The heap of those at their cap, or the order. */
  heap(capped: boolean): IndexedHeap {
    return capped ? this.capped : this.order;
  }

  /** True where this zone's root stands before that of another; neither order is empty. */
  leads(other: Zone): boolean {
    return this.order.precedes(this.order.peek(), other.order, other.order.peek());
  }

  /** In the order, by what the key cell of the order holds. */
  keep(member: number): void {
    if (this.order.rekey(member)) return;
    this.order.putBack(member, this.capped.remove(member) ? this.capped : this.order);
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
    this.capped.putBack(member, this.order.remove(member) ? this.order : this.capped);
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
