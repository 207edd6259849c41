/**
 * The calls of one pool that wait for a server, earliest deadline first. A call is let in only where it can
 * be expected to make its deadline:
 *
 *     now + (n + 2 √n) / rate + S <= deadline      n = ahead + 1
 *
 * ahead: calls with an earlier deadline; the time that n departures take varies by √n / rate where they come
 * by chance, and two of that are kept for it. rate: calls that left the queue for a server, over the time in
 * which there was one, forgotten in 2 s; as long as little is known, the pool's limits over its residence
 * time (Little's law). S: mean service time and three times its mean deviation (in the manner of RFC 6298),
 * which 96 % of exponential ones keep, so that few of those that get a server too late take its time from those that could still make
 * it. For the same reason one that has less than S left is sent away at the head, where others wait.
 *
 * Without this, earliest deadline first fails under overload: each call is begun just before its deadline,
 * and all are late (Buttazzo, Hard Real-Time Computing Systems, "domino effect").
 */
import { IndexedHeap } from './heap.ts';
import { QUEUE_LIMITS } from './limits.ts';

/** A call that waits. */
export interface Waiter {
  /**
   * It is the next: takes what the pool has. True: it has a server. False: there is nothing, and it keeps its
   * place. `left`: it goes without, as nothing is there to wait for.
   */
  turn(now: number): boolean | 'left';
  /** It cannot be served in time any more, and has left the queue. */
  tooLate(now: number): void;
  /** Its pool has ended, and with it the queue, which it has left. */
  poolEnded(now: number): void;
}

export const WaitFailure = {
  /** As many wait as may. */
  OVERFULL: -1,
  /** It could not make its deadline. */
  TOO_LATE: -2,
} as const;
export type WaitFailure = (typeof WaitFailure)[keyof typeof WaitFailure];

/** What the pool knows of itself, for when the queue has measured nothing yet. */
export interface Expectation {
  /** Calls that its servers take at once. */
  readonly slots: number;
  /** How long a call takes, ms. */
  readonly residenceMs: number;
}

export class WaitQueue {
  /** Most calls that wait; 0: nobody may. */
  limit: number = QUEUE_LIMITS.size;
  /** Longest wait of a call whose own deadline is later or none, ms. */
  maxWaitMs: number = QUEUE_LIMITS.maxWaitMs;
  /** Whether calls wait for a server to come while none takes any. */
  waitsWhenDown = false;
  /** True while calls are given their turn. */
  serving = false;
  /** How long who was refused last should stay away, ms; see `pushback`. */
  pushbackMs = 0;
  /** Calls refused at once, calls sent away at the head, calls that got their turn. */
  refused = 0;
  dropped = 0;
  served = 0;

  private readonly heap = new IndexedHeap();
  private readonly waiters: (Waiter | undefined)[] = [];
  private readonly free: number[] = [];
  /** Of all that have come since it was empty. */
  private latest = Number.NEGATIVE_INFINITY;

  /** Calls that left for a server, and the time that it took, ms; both forgotten. */
  private taken = 0;
  private takenMs = 0;
  /** Since when the time counts, ms; NaN where no server is there to wait for. */
  private since = Number.NaN;
  /** Service time and its mean deviation, ms; NaN: not known yet. */
  private mean = Number.NaN;
  private deviation = 0;
  private expected: Expectation = { slots: 1, residenceMs: 0 };

  get size(): number {
    return this.heap.size;
  }

  /** Calls a second that get a server, as it is believed to be now. */
  rate(now: number): number {
    const { slots, residenceMs } = this.expected;
    const busyMs = this.takenMs + (Number.isNaN(this.since) ? 0 : Math.max(0, now - this.since));
    // What is expected counts as one residence time that was seen.
    return ((this.taken + slots) * 1_000) / (busyMs + Math.max(1, residenceMs));
  }

  /**
   * A call comes to wait.
   * @param deadline the latest time at which it is of use, ms
   * @param expected absent where no server is there: it waits for one to come, and how long is not known
   * @returns its ticket (>= 0), or why it may not (< 0)
   */
  enter(waiter: Waiter, deadline: number, now: number, expected: Expectation | undefined): number {
    if (expected !== undefined) this.expected = expected;
    if (this.heap.size >= this.limit) {
      this.refused++;
      this.pushbackMs = (this.limit * QUEUE_LIMITS.retryShare * 1_000) / this.rate(now);
      return WaitFailure.OVERFULL;
    }
    const needsMs = expected === undefined ? 0 : this.waitMs(deadline, now) + this.serviceMs();
    if (now + needsMs > deadline) {
      this.refused++;
      this.pushbackMs = now + needsMs - deadline;
      return WaitFailure.TOO_LATE;
    }
    if (this.heap.size === 0) {
      this.latest = Number.NEGATIVE_INFINITY;
      this.since = Number.NaN;
    }
    if (expected === undefined) this.pause(now);
    else if (Number.isNaN(this.since)) this.since = now;
    this.latest = Math.max(this.latest, deadline);
    const ticket = this.free.pop() ?? this.waiters.length;
    this.waiters[ticket] = waiter;
    this.heap.insert(ticket, deadline);
    return ticket;
  }

  /**
   * What to tell who was refused last, whole ms: spread over as much again, so that those who are refused
   * together do not come back together.
   * @param draw uniform in [0, 1)
   */
  pushback(draw: number): number {
    const { leastPushbackMs, mostPushbackMs } = QUEUE_LIMITS;
    const spread = this.pushbackMs * (1 + draw);
    return Math.ceil(Math.min(mostPushbackMs, Math.max(leastPushbackMs * (1 + draw), spread)));
  }

  /** A call goes before its turn: it was cancelled, or its own deadline has passed. */
  leave(ticket: number): void {
    if (this.heap.remove(ticket)) this.release(ticket);
  }

  /** There may be room: those that wait get their turn, in their order, until one finds nothing. */
  serve(now: number): void {
    if (this.serving) return;
    this.serving = true;
    try {
      for (;;) {
        this.dropLate(now);
        const ticket = this.heap.peek();
        if (ticket < 0) break;
        const deadline = this.heap.peekKey();
        // Out of the order meanwhile, so that it may come to wait anew.
        this.heap.remove(ticket);
        const went = (this.waiters[ticket] as Waiter).turn(now);
        if (went === false) {
          this.heap.key[0] = deadline;
          this.heap.putBack(ticket);
          break;
        }
        this.release(ticket);
        if (went === true) this.tookOne(now);
      }
    } finally {
      this.serving = false;
    }
  }

  /** Sends away those that cannot be served in time any more. */
  dropLate(now: number): void {
    const mean = Number.isNaN(this.mean) ? 0 : this.mean;
    while (this.heap.size > 0) {
      // Where nobody else waits a fair chance is worth a server; where others do, theirs are better.
      const needsMs = this.heap.size === 1 || mean === 0 ? mean : this.serviceMs();
      if (this.heap.peekKey() > now + needsMs) return;
      const ticket = this.heap.peek();
      const waiter = this.waiters[ticket] as Waiter;
      this.leave(ticket);
      this.dropped++;
      waiter.tooLate(now);
    }
  }

  /** The pool has ended: everybody leaves. */
  end(now: number): void {
    while (this.heap.size > 0) {
      const ticket = this.heap.peek();
      const waiter = this.waiters[ticket] as Waiter;
      this.leave(ticket);
      waiter.poolEnded(now);
    }
  }

  /** Learns how long calls take, while some wait. */
  learn(latencyMs: number): void {
    if (!(latencyMs >= 0)) return;
    if (Number.isNaN(this.mean)) {
      this.mean = latencyMs;
      this.deviation = latencyMs / 2;
      return;
    }
    const error = latencyMs - this.mean;
    this.mean += error / 32;
    this.deviation += (Math.abs(error) - this.deviation) / 32;
  }

  /** How long a call with this deadline would wait at most, but for bad luck, ms. */
  waitMs(deadline: number, now: number): number {
    const calls = this.ahead(deadline) + 1;
    return ((calls + 2 * Math.sqrt(calls)) * 1_000) / this.rate(now);
  }

  /** S, ms: what a call is reckoned to take once it has its server. */
  serviceMs(): number {
    if (Number.isNaN(this.mean)) return 2 * this.expected.residenceMs;
    return this.mean + 3 * this.deviation;
  }

  /** Checks that everybody who waits is there once; throws with what is wrong. For tests. */
  verify(): void {
    this.heap.verify();
    let waiting = 0;
    this.waiters.forEach((waiter, ticket) => {
      if ((waiter !== undefined) !== this.heap.has(ticket)) throw new Error(`ticket ${ticket} is half there`);
      if (waiter !== undefined) waiting++;
    });
    if (waiting !== this.heap.size) throw new Error(`${waiting} wait, and the order has ${this.heap.size}`);
  }

  /** Calls whose turn is before a deadline. */
  private ahead(deadline: number): number {
    if (deadline >= this.latest) return this.heap.size;
    let count = 0;
    const { heap } = this;
    const look = [0];
    for (let at = look.pop(); at !== undefined; at = look.pop()) {
      const item = heap.itemAt(at);
      // Below one that is later all are later.
      if (item < 0 || heap.keyOf(item) > deadline) continue;
      count++;
      for (let child = 1; child <= IndexedHeap.ARITY; child++) look.push(at * IndexedHeap.ARITY + child);
    }
    return count;
  }

  private tookOne(now: number): void {
    this.served++;
    // The first ones after a time without a server find it empty: they say nothing of the rate.
    if (!Number.isNaN(this.since)) {
      const lastedMs = Math.max(0, now - this.since);
      const kept = Math.exp(-lastedMs / QUEUE_LIMITS.rateMemoryMs);
      this.taken = this.taken * kept + 1;
      this.takenMs = this.takenMs * kept + lastedMs;
    }
    this.since = now;
  }

  /** No server is there: time that passes now says nothing of the rate. */
  private pause(now: number): void {
    if (!Number.isNaN(this.since)) this.takenMs += Math.max(0, now - this.since);
    this.since = Number.NaN;
  }

  private release(ticket: number): void {
    this.waiters[ticket] = undefined;
    this.free.push(ticket);
    // A number that another has next must not bring its place among equals along.
    this.heap.forget(ticket);
  }
}
