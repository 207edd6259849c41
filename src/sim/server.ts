/**
 * A server as it is: slots, a queue, a speed. Work is kept in virtual time, which runs at the speed of
 * one call: a call that begins at virtual time v with work w ends at v + w, whatever happens to the speed
 * in between.
 */
import type { CallTable } from './calls.ts';
import { widened } from './queue.ts';

export class Server {
  readonly index: number;
  readonly slots: number;
  /** Speed when nothing is wrong. */
  readonly nominal: number;
  readonly zone: string;
  /** All are served at once, each at slots/n of the speed where they are more than the slots. */
  readonly shared: boolean;

  /** Calls that are here, served and waiting. */
  inFlight = 0;
  /** Sums since the beginning, for reports. */
  completed = 0;
  failed = 0;
  private busy = 0;

  /** 0 while it hangs. */
  speed: number;
  up = true;
  hung = false;
  silent = false;
  present = true;
  /** Drawn for each call that comes. */
  failShare = 0;
  failAfterMs = 0;

  /** Calls being served and the virtual times at which they end. */
  private served = new Int32Array(16);
  private ends = new Float64Array(16);
  private serving = 0;
  /** Waiting calls, as a ring. */
  private waiting = new Int32Array(64);
  private head = 0;
  private queued = 0;

  private virtual = 0;
  private at = 0;
  /** Grows whenever the next end may be another: what was foretold before is void. */
  forecast = 0;

  private readonly calls: CallTable;

  constructor(
    index: number,
    calls: CallTable,
    group: { slots: number; speed: number; zone: string },
    shared: boolean,
  ) {
    this.index = index;
    this.calls = calls;
    this.slots = group.slots;
    this.nominal = group.speed;
    this.speed = group.speed;
    this.zone = group.zone;
    this.shared = shared;
  }

  /** A call comes. True where the next end may have changed. */
  arrive(call: number, now: number): boolean {
    this.advance(now);
    this.inFlight++;
    if (!this.shared && this.serving >= this.slots) {
      this.enqueue(call);
      return false;
    }
    this.serve(call);
    return true;
  }

  /** Work is done up to now. */
  advance(now: number): void {
    const elapsed = now - this.at;
    if (elapsed <= 0) return;
    this.at = now;
    this.busy += Math.min(this.serving, this.slots) * elapsed;
    this.virtual += elapsed * this.rate();
  }

  /** Slot-ms in use since the beginning. */
  busyAt(now: number): number {
    this.advance(now);
    return this.busy;
  }

  /** When the next call ends, if nothing changes; +Infinity where none does. */
  nextEnd(): number {
    if (this.serving === 0) return Number.POSITIVE_INFINITY;
    const rate = this.rate();
    if (rate <= 0) return Number.POSITIVE_INFINITY;
    const left = (this.ends[this.first()] as number) - this.virtual;
    return this.at + Math.max(0, left) / rate;
  }

  /** Ends the call that is due and begins those that waited for its slot. Returns the call. */
  finish(now: number): number {
    this.advance(now);
    const at = this.first();
    const call = this.served[at] as number;
    this.drop(at);
    this.inFlight--;
    this.completed++;
    this.fill();
    return call;
  }

  /** Takes out a call that its caller gave up. True where the next end may have changed. */
  cancel(call: number, now: number): boolean {
    this.advance(now);
    for (let at = 0; at < this.serving; at++) {
      if (this.served[at] !== call) continue;
      this.drop(at);
      this.inFlight--;
      this.fill();
      return true;
    }
    const mask = this.waiting.length - 1;
    for (let n = 0; n < this.queued; n++) {
      const at = (this.head + n) & mask;
      if (this.waiting[at] !== call) continue;
      // The hole is passed over when its turn comes.
      this.waiting[at] = -1;
      this.inFlight--;
      return false;
    }
    return false;
  }

  /** Takes any call out, served ones first; −1 where there is none. For a server that ends. */
  expel(now: number): number {
    this.advance(now);
    while (this.serving > 0) {
      const call = this.served[0] as number;
      this.drop(0);
      this.inFlight--;
      return call;
    }
    while (this.queued > 0) {
      const call = this.dequeue();
      if (call < 0) continue;
      this.inFlight--;
      return call;
    }
    return -1;
  }

  private rate(): number {
    if (!this.shared || this.serving <= this.slots) return this.speed;
    return (this.speed * this.slots) / this.serving;
  }

  private fill(): void {
    while (this.serving < this.slots && this.queued > 0) {
      const call = this.dequeue();
      if (call >= 0) this.serve(call);
    }
  }

  private serve(call: number): void {
    if (this.serving === this.served.length) {
      this.served = widened(this.served, new Int32Array(this.serving * 2));
      this.ends = widened(this.ends, new Float64Array(this.serving * 2));
    }
    this.served[this.serving] = call;
    this.ends[this.serving] = this.virtual + (this.calls.work[call] as number);
    this.serving++;
  }

  private first(): number {
    let least = 0;
    for (let at = 1; at < this.serving; at++) {
      if ((this.ends[at] as number) < (this.ends[least] as number)) least = at;
    }
    return least;
  }

  private drop(at: number): void {
    const last = --this.serving;
    this.served[at] = this.served[last] as number;
    this.ends[at] = this.ends[last] as number;
  }

  private enqueue(call: number): void {
    const size = this.waiting.length;
    if (this.queued === size) {
      const wider = new Int32Array(size * 2);
      for (let n = 0; n < size; n++) wider[n] = this.waiting[(this.head + n) & (size - 1)] as number;
      this.waiting = wider;
      this.head = 0;
    }
    this.waiting[(this.head + this.queued) & (this.waiting.length - 1)] = call;
    this.queued++;
  }

  private dequeue(): number {
    const call = this.waiting[this.head] as number;
    this.head = (this.head + 1) & (this.waiting.length - 1);
    this.queued--;
    return call;
  }
}
