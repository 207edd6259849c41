/**
 * The streams of one connection: rows of numbers in two typed arrays, by a small index, the slot.
 *
 * A slot is used again once its stream is over.
 */

/** Bits of a stream's state. */
export const StreamState = {
  OPEN: 1,
  /** We have sent END_STREAM. */
  LOCAL_DONE: 2,
  /** The peer has sent END_STREAM. */
  REMOTE_DONE: 4,
  /** We have sent HEADERS. */
  HEAD_SENT: 8,
  /** The head of the peer's message has come; what comes next are trailers. */
  HEAD_RECEIVED: 16,
  /** More is to be sent than the stream's own window lets through. */
  BLOCKED: 32,
  /** More is to be sent, and the connection's window or output is what it waits for. */
  QUEUED: 64,
  /** It is being taken down: nothing done to it now has an effect. */
  OVER: 128,
} as const;

const ID = 0;
const STATE = 1;
const SEND_WINDOW = 2;
const RECEIVE_WINDOW = 3;
const HELD = 4;
const CREDIT = 5;
const NEXT = 6; // in the queue of those that wait for the connection, or in the list of free slots
const PREVIOUS = 7;
const TAG = 8;
const COLUMNS = 9;

const BORN = 0;
const EXPECTED = 1;
const WIDE_COLUMNS = 2;

const FIRST_SLOTS = 4;
const RECENT = 64;

export class StreamTable {
  /** Streams that are open or half-closed. */
  count = 0;
  #slots = 0;
  #rows = NONE;
  #wide = NO_WIDE;
  #free = -1;
  #index = NONE; // slot + 1 by identifier: open addressing
  #shift = 0; // to get as many bits as the index has
  #first = -1; // of the queue
  #last = -1;
  #queued = 0;
  /** Identifiers of the streams that were over last; negative where it was our reset that ended it. */
  #recent: Int32Array | undefined;
  #recentNext = 0;

  /** One above the highest slot in use so far. */
  get slots(): number {
    return this.#slots;
  }

  /** Takes a free slot. */
  add(id: number, sendWindow: number, receiveWindow: number, now: number): number {
    if (this.#free < 0) this.#grow();
    const slot = this.#free;
    const row = slot * COLUMNS;
    const rows = this.#rows;
    this.#free = rows[row + NEXT] as number;
    rows[row + ID] = 0;
    rows[row + STATE] = StreamState.OPEN;
    rows[row + SEND_WINDOW] = sendWindow;
    rows[row + RECEIVE_WINDOW] = receiveWindow;
    rows[row + HELD] = 0;
    rows[row + CREDIT] = 0;
    rows[row + TAG] = -1;
    this.#wide[slot * WIDE_COLUMNS + BORN] = now;
    this.#wide[slot * WIDE_COLUMNS + EXPECTED] = -1;
    this.count++;
    if (id !== 0) this.identify(slot, id);
    return slot;
  }

  /** Gives a stream its identifier. */
  identify(slot: number, id: number): void {
    this.#rows[slot * COLUMNS + ID] = id;
    const mask = this.#index.length - 1;
    let at = this.#home(id);
    while (this.#index[at] !== 0) at = (at + 1) & mask;
    this.#index[at] = slot + 1;
  }

  /** The slot of an open stream, −1 for none. */
  find(id: number): number {
    const mask = this.#index.length - 1;
    if (mask < 0) return -1;
    for (let at = this.#home(id); ; at = (at + 1) & mask) {
      const entry = this.#index[at] as number;
      if (entry === 0) return -1;
      if (this.#rows[(entry - 1) * COLUMNS + ID] === id) return entry - 1;
    }
  }

  /** Frees a slot. @param byOurReset whether frames of the peer may still be under way for it */
  remove(slot: number, byOurReset: boolean): void {
    const row = slot * COLUMNS;
    const id = this.id(slot);
    this.dequeue(slot);
    if (id !== 0) {
      this.#forget(id);
      this.remember(id, byOurReset);
    }
    this.#rows[row + ID] = 0;
    this.#rows[row + STATE] = 0;
    this.#rows[row + NEXT] = this.#free;
    this.#free = slot;
    this.count--;
  }

  /** Remembers for a while how a stream ended. */
  remember(id: number, byOurReset: boolean): void {
    this.#recent ??= new Int32Array(RECENT);
    this.#recent[this.#recentNext++ & (RECENT - 1)] = byOurReset ? -id : id;
  }

  /** Whether the peer itself ended this stream a short time ago, so that it knew better than to send on it. */
  endedByPeer(id: number): boolean {
    return this.#recent?.includes(id) ?? false;
  }

  /** Whether we reset this stream a short time ago, so that frames of it may be late. */
  endedByUs(id: number): boolean {
    return this.#recent?.includes(-id) ?? false;
  }

  id(slot: number): number {
    return this.#rows[slot * COLUMNS + ID] as number;
  }
  /** Bits of `StreamState`; 0 for a free slot. */
  state(slot: number): number {
    return this.#rows[slot * COLUMNS + STATE] as number;
  }
  mark(slot: number, bits: number): void {
    (this.#rows[slot * COLUMNS + STATE] as number) |= bits;
  }
  unmark(slot: number, bits: number): void {
    (this.#rows[slot * COLUMNS + STATE] as number) &= ~bits;
  }
  sendWindow(slot: number): number {
    return this.#rows[slot * COLUMNS + SEND_WINDOW] as number;
  }
  /** The caller makes sure that it does not overflow. */
  addSendWindow(slot: number, octets: number): void {
    (this.#rows[slot * COLUMNS + SEND_WINDOW] as number) += octets;
  }
  receiveWindow(slot: number): number {
    return this.#rows[slot * COLUMNS + RECEIVE_WINDOW] as number;
  }
  addReceiveWindow(slot: number, octets: number): void {
    (this.#rows[slot * COLUMNS + RECEIVE_WINDOW] as number) += octets;
  }
  /** DATA delivered and not credited yet, octets. */
  held(slot: number): number {
    return this.#rows[slot * COLUMNS + HELD] as number;
  }
  addHeld(slot: number, octets: number): void {
    (this.#rows[slot * COLUMNS + HELD] as number) += octets;
  }
  /** Credited and not announced yet, octets. */
  credit(slot: number): number {
    return this.#rows[slot * COLUMNS + CREDIT] as number;
  }
  setCredit(slot: number, octets: number): void {
    this.#rows[slot * COLUMNS + CREDIT] = octets;
  }
  /** A number for the user of the connection; −1 at first. */
  tag(slot: number): number {
    return this.#rows[slot * COLUMNS + TAG] as number;
  }
  setTag(slot: number, tag: number): void {
    this.#rows[slot * COLUMNS + TAG] = tag;
  }
  /** When the stream was opened. */
  born(slot: number): number {
    return this.#wide[slot * WIDE_COLUMNS + BORN] as number;
  }
  /** Octets of DATA that content-length promises still; −1 where there was none. */
  expected(slot: number): number {
    return this.#wide[slot * WIDE_COLUMNS + EXPECTED] as number;
  }
  setExpected(slot: number, octets: number): void {
    this.#wide[slot * WIDE_COLUMNS + EXPECTED] = octets;
  }

  /** Streams that wait for the connection. */
  get queued(): number {
    return this.#queued;
  }

  /** Puts a stream at the end of those that wait for the connection, where it is not there yet. */
  enqueue(slot: number): void {
    if ((this.state(slot) & StreamState.QUEUED) !== 0) return;
    this.mark(slot, StreamState.QUEUED);
    this.#rows[slot * COLUMNS + NEXT] = -1;
    this.#rows[slot * COLUMNS + PREVIOUS] = this.#last;
    if (this.#last >= 0) this.#rows[this.#last * COLUMNS + NEXT] = slot;
    else this.#first = slot;
    this.#last = slot;
    this.#queued++;
  }

  /** Takes a stream out of the queue, where it is there. */
  dequeue(slot: number): void {
    if ((this.state(slot) & StreamState.QUEUED) === 0) return;
    this.unmark(slot, StreamState.QUEUED);
    const next = this.#rows[slot * COLUMNS + NEXT] as number;
    const previous = this.#rows[slot * COLUMNS + PREVIOUS] as number;
    if (previous >= 0) this.#rows[previous * COLUMNS + NEXT] = next;
    else this.#first = next;
    if (next >= 0) this.#rows[next * COLUMNS + PREVIOUS] = previous;
    else this.#last = previous;
    this.#queued--;
  }

  /** The stream that has waited longest, −1 for none. */
  firstQueued(): number {
    return this.#first;
  }

  /**
   * Where an identifier belongs in the index. By the golden ratio (Knuth 6.4), as those of streams that are open follow
   * each other: side by side they would leave no free place between them, and each removal looks for the next one.
   */
  #home(id: number): number {
    return Math.imul(id >>> 1, 0x9e3779b1) >>> this.#shift;
  }

  #forget(id: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let hole = this.#home(id);
    while (this.id((index[hole] as number) - 1) !== id) hole = (hole + 1) & mask;
    // What was pushed on by others moves back, so that look-ups may stop at the first free place (Knuth 6.4 R).
    for (let at = (hole + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const home = this.#home(this.id((index[at] as number) - 1));
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      index[hole] = index[at] as number;
      hole = at;
    }
    index[hole] = 0;
  }

  #grow(): void {
    const from = this.#slots;
    const size = Math.max(FIRST_SLOTS, from * 2);
    const rows = new Int32Array(size * COLUMNS);
    const wide = new Float64Array(size * WIDE_COLUMNS);
    rows.set(this.#rows);
    wide.set(this.#wide);
    for (let slot = size - 1; slot >= from; slot--) {
      rows[slot * COLUMNS + NEXT] = this.#free;
      this.#free = slot;
    }
    this.#rows = rows;
    this.#wide = wide;
    this.#index = new Int32Array(size * 2);
    this.#shift = Math.clz32(size * 2) + 1;
    this.#slots = size;
    for (let slot = 0; slot < from; slot++) {
      const id = this.id(slot);
      if (id !== 0) this.identify(slot, id);
    }
  }
}

const NONE = new Int32Array(0);
const NO_WIDE = new Float64Array(0);
