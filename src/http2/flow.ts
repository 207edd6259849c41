/** Flow-control windows (RFC 9113 5.2 and 6.9). */

/** RFC 9113 6.9.1: "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets." */
export const MAX_WINDOW = 0x7fffffff;

/** The window before any setting or update (RFC 9113 6.9.2). */
export const INITIAL_WINDOW = 65_535;

/** Whether a window would go beyond its maximum. Windows may be negative, increments too (RFC 9113 6.9.2). */
export function overflows(window: number, increment: number): boolean {
  return window + increment > MAX_WINDOW;
}

/**
 * The window of one connection as its receiver sees it.
 *
 * Credit is announced in lumps of at least half of the window, so that updates are few. What streams hold (DATA
 * delivered and not yet passed on) is bounded by their own windows; so the connection's credit is given back as
 * DATA arrives, and a stalled stream does not stall its neighbours, until all streams together hold
 * `heldBytesMax`; beyond that, only as they let go.
 */
export class ReceiveWindow {
  /** What the peer may still send, octets. */
  left: number;
  /** What streams hold, octets. */
  held = 0;
  #owed = 0; // held while above the maximum: not given back yet
  #credit = 0; // given back, not announced yet
  readonly #size: number;
  readonly #heldMax: number;

  /** @param size what it is once the first update, `initialUpdate`, is sent; the protocol has none below 65,535 */
  constructor(size: number, heldBytesMax: number) {
    this.#size = Math.max(size, INITIAL_WINDOW);
    this.#heldMax = heldBytesMax;
    this.left = this.#size;
  }

  /** The increment that brings the protocol's initial window to this size. */
  initialUpdate(): number {
    return this.#size - INITIAL_WINDOW;
  }

  /** Counts a DATA frame as its header arrives. @returns false where it is more than the window */
  take(octets: number): boolean {
    if (octets > this.left) return false;
    this.left -= octets;
    return true;
  }

  /** DATA went to a stream, which holds it from now on. */
  hold(octets: number): void {
    this.held += octets;
    if (this.held <= this.#heldMax) this.#credit += octets;
    else this.#owed += octets;
  }

  /** A stream let go of what it held. */
  release(octets: number): void {
    this.held -= octets;
    const back = Math.min(this.#owed, octets);
    this.#owed -= back;
    this.#credit += back;
  }

  /** DATA or padding that nobody holds. */
  drop(octets: number): void {
    this.#credit += octets;
  }

  /** The increment to announce now, 0 for none yet. */
  update(): number {
    if (this.#credit * 2 < this.#size) return 0;
    const increment = this.#credit;
    this.left += increment;
    this.#credit = 0;
    return increment;
  }
}
