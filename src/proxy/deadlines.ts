/** Deadlines of calls: one timer for all, set for the nearest. */
import { IndexedHeap } from '../core/heap.ts';

export class Deadlines {
  private readonly heap = new IndexedHeap();
  private readonly expired: (index: number) => void;
  private readonly now: () => number;
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Number.POSITIVE_INFINITY;
  private readonly fire = (): void => {
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
    const now = this.now();
    while (this.heap.size > 0 && this.heap.peekKey() <= now) {
      const index = this.heap.peek();
      this.heap.remove(index);
      this.expired(index);
    }
    this.arm();
  };

  constructor(now: () => number, expired: (index: number) => void) {
    this.now = now;
    this.expired = expired;
  }

  /** @param at monotonic clock, ms */
  add(index: number, at: number): void {
    this.heap.insert(index, at);
    if (at < this.timerAt) this.arm();
  }

  remove(index: number): void {
    this.heap.remove(index);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timerAt = Number.POSITIVE_INFINITY;
  }

  private arm(): void {
    if (this.heap.size === 0) return;
    const at = this.heap.peekKey();
    if (at >= this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = at;
    // setTimeout fires at the whole millisecond before; a deadline must not pass early.
    this.timer = setTimeout(this.fire, Math.min(0x7fff_ffff, Math.max(1, Math.ceil(at - this.now()))));
  }
}
