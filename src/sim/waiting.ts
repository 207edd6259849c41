/** Calls that wait at a balancer until a server can take one; first come, first served. */
import { widened } from './queue.ts';

export class WaitingCalls {
  size = 0;
  private ring = new Int32Array(16);
  private head = 0;
  private used = 0;

  add(call: number): void {
    const length = this.ring.length;
    if (this.used === length) {
      const ordered = new Int32Array(length);
      for (let n = 0; n < length; n++) ordered[n] = this.ring[(this.head + n) & (length - 1)] as number;
      this.ring = widened(ordered, new Int32Array(length * 2));
      this.head = 0;
    }
    this.ring[(this.head + this.used) & (this.ring.length - 1)] = call;
    this.used++;
    this.size++;
  }

  /** The call that has waited longest; −1 where none waits. */
  first(): number {
    while (this.used > 0) {
      const call = this.ring[this.head] as number;
      if (call >= 0) return call;
      this.pass();
    }
    return -1;
  }

  /** Takes out what `first` told. */
  take(): void {
    this.pass();
    this.size--;
  }

  /** Takes a call out, wherever it waits; what is not here changes nothing. */
  drop(call: number): void {
    for (let n = 0; n < this.used; n++) {
      const at = (this.head + n) & (this.ring.length - 1);
      if (this.ring[at] !== call) continue;
      this.ring[at] = -1;
      this.size--;
      return;
    }
  }

  private pass(): void {
    this.head = (this.head + 1) & (this.ring.length - 1);
    this.used--;
  }
}
