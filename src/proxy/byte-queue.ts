/**
 * Octets on their way from one end of a call to the other: those that could not be passed on yet, and,
 * as long as the call may have to be sent again, those that were.
 */
import { PROXY_LIMITS } from '../core/limits.ts';

const EMPTY = Buffer.alloc(0);

export class ByteQueue {
  buffer: Buffer = EMPTY;
  /** First octet that is still to be passed on, and the end of all. */
  at = 0;
  end = 0;
  /** Octets before `at` are kept for `rewind`. */
  keeps = false;

  /** Octets that are still to be passed on. */
  get pending(): number {
    return this.end - this.at;
  }

  push(from: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length === 0) return;
    if (this.end + length > this.buffer.length) this.makeRoom(length);
    from.copy(this.buffer, this.end, start, end);
    this.end += length;
  }

  /** So many octets were passed on. */
  advance(octets: number): void {
    this.at += octets;
    if (!this.keeps && this.at === this.end) this.at = this.end = 0;
  }

  /** All that was kept is to be passed on again. */
  rewind(): void {
    this.at = 0;
  }

  /** What was passed on is not needed any more. */
  forget(): void {
    this.keeps = false;
    if (this.at === this.end) this.at = this.end = 0;
  }

  /** Empty, for the next call. */
  clear(keeps: boolean): void {
    this.at = this.end = 0;
    this.keeps = keeps;
    if (this.buffer.length > PROXY_LIMITS.bufferBytesKept) this.buffer = EMPTY;
  }

  private makeRoom(length: number): void {
    const from = this.keeps ? 0 : this.at;
    const used = this.end - from;
    if (used + length <= this.buffer.length) {
      this.buffer.copyWithin(0, from, this.end);
    } else {
      const wider = Buffer.allocUnsafeSlow(Math.max(1024, this.buffer.length * 2, used + length));
      this.buffer.copy(wider, 0, from, this.end);
      this.buffer = wider;
    }
    this.at -= from;
    this.end = used;
  }
}
