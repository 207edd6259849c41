/**
 * What a connection has to write: slabs filled from front to back, taken once per turn of the event loop.
 *
 * All octets are copied into the slab, DATA too: a copy of 16 KiB takes 0.1 to 0.2 µs where one more buffer in a
 * gathered write takes more than 1 µs in Node.
 */
import { HTTP2_LIMITS } from '../core/limits.ts';

/**
 * Slabs that no connection uses now. Shared by all connections of a process; an idle connection holds none.
 *
 * A turn's output begins in a small one: hundreds of connections may have a few answers each to write in one turn.
 */
export class SlabPool {
  readonly #small: Buffer[] = [];
  readonly #large: Buffer[] = [];

  /** A slab for so many octets at least, a large one at most. */
  take(octets: number): Buffer {
    const { smallSlabBytes, slabBytes } = HTTP2_LIMITS;
    if (octets <= smallSlabBytes) return this.#small.pop() ?? Buffer.allocUnsafeSlow(smallSlabBytes);
    return this.#large.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
  }

  give(slab: Buffer): void {
    const { smallSlabBytes, smallSlabsKept, slabBytes, slabsKept } = HTTP2_LIMITS;
    if (slab.length === smallSlabBytes) {
      if (this.#small.length < smallSlabsKept) this.#small.push(slab);
    } else if (slab.length === slabBytes && this.#large.length < slabsKept) {
      this.#large.push(slab);
    }
  }
}

export class Output {
  /** Where octets go next: `buffer[position]`, after `room` was asked for. */
  buffer: Buffer = EMPTY;
  position = 0;
  /** Changes whenever what was written lies elsewhere than it did, by its offset in `buffer`. */
  generation = 0;
  readonly #pool: SlabPool;
  readonly #wake: { output(): void };
  #sealed: Buffer[] = [];
  #sealedBytes = 0;
  #slabs: Buffer[] = []; // full, with parts in #sealed
  #inFlight: Buffer[] = NOTHING; // full ones, and the last one
  #inFlightLast: Buffer = EMPTY;
  #inFlightBytes = 0;
  readonly #single: Uint8Array[] = [EMPTY]; // what is taken where it is one buffer, as it is mostly
  #announced = false;

  /** @param wake is told when there is something to take again */
  constructor(pool: SlabPool, wake: { output(): void }) {
    this.#pool = pool;
    this.#wake = wake;
  }

  /** Octets that wait, those taken and not yet written included. */
  get bytes(): number {
    return this.#sealedBytes + this.position + this.#inFlightBytes;
  }

  /** Makes room for so many octets on end, at `position`. */
  room(octets: number): void {
    if (this.position + octets > this.buffer.length) this.#nextSlab(octets, this.position);
    if (!this.#announced) {
      this.#announced = true;
      this.#wake.output();
    }
  }

  /**
   * The same within something that must stay on end.
   *
   * @param start where it begins
   * @returns where it begins now
   */
  roomWithin(octets: number, start: number): number {
    if (this.position + octets <= this.buffer.length) return start;
    return this.#nextSlab(octets, start);
  }

  /** @returns where what began at `keepFrom` begins now */
  #nextSlab(octets: number, keepFrom: number): number {
    const old = this.buffer;
    const all = this.position + octets;
    if (old.length <= HTTP2_LIMITS.smallSlabBytes && all <= HTTP2_LIMITS.slabBytes) {
      const wider = this.#pool.take(all);
      if (this.position > 0) old.copy(wider, 0, 0, this.position);
      this.#pool.give(old);
      this.buffer = wider;
      return keepFrom;
    }
    const kept = this.position - keepFrom;
    // Only a header block of several frames is longer than a slab.
    const next =
      kept + octets <= HTTP2_LIMITS.slabBytes
        ? this.#pool.take(HTTP2_LIMITS.slabBytes)
        : Buffer.allocUnsafeSlow((kept + octets) * 2);
    if (kept > 0) old.copy(next, 0, keepFrom, this.position);
    if (keepFrom > 0) {
      this.#sealed.push(old.subarray(0, keepFrom));
      this.#sealedBytes += keepFrom;
      this.#slabs.push(old);
    } else if (old.length > 0) {
      this.#pool.give(old);
    }
    this.buffer = next;
    this.generation++;
    this.position = kept;
    return 0;
  }

  /**
   * Takes all that waits, to be written in this order. The buffers are the taker's until `written`; there must be
   * one for each call that returned some before the next.
   */
  take(): Uint8Array[] {
    this.#announced = false;
    const { position, buffer } = this;
    if (this.#sealed.length > 0) return this.#takeSealed();
    if (position === 0) return NOTHING;
    this.#inFlightBytes = position;
    this.#inFlightLast = buffer;
    this.buffer = EMPTY;
    this.generation++;
    this.position = 0;
    this.#single[0] = new Uint8Array(buffer.buffer, buffer.byteOffset, position);
    return this.#single;
  }

  #takeSealed(): Uint8Array[] {
    const out = this.#sealed;
    if (this.position > 0) out.push(this.buffer.subarray(0, this.position));
    this.#inFlightBytes = this.#sealedBytes + this.position;
    this.#inFlight = this.#slabs;
    this.#inFlightLast = this.buffer;
    this.#forget();
    return out;
  }

  #forget(): void {
    this.#sealed = [];
    this.#sealedBytes = 0;
    this.#slabs = [];
    this.buffer = EMPTY;
    this.generation++;
    this.position = 0;
  }

  /** What was taken is with the kernel: its slabs are free again. */
  written(): void {
    for (let i = 0; i < this.#inFlight.length; i++) this.#pool.give(this.#inFlight[i] as Buffer);
    this.#pool.give(this.#inFlightLast);
    this.#inFlight = NOTHING;
    this.#inFlightLast = EMPTY;
    this.#single[0] = EMPTY;
    this.#inFlightBytes = 0;
  }

  /** Drops what waits. What was taken stays the taker's. */
  discard(): void {
    for (const slab of this.#slabs) this.#pool.give(slab);
    this.#pool.give(this.buffer);
    this.#forget();
  }
}

const EMPTY = Buffer.alloc(0);
const NOTHING: never[] = [];
