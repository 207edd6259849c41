/**
 * Servers by the octets of their ids, a row of numbers each: what a long log is folded into without an object
 * for each entry. A row has a place of `ROW_OCTETS` for what has no number:
 *
 *   place = id:64 spec:256 cause of `since`:96 cause of `seenTime`:96
 */
import type { Reader } from './bytes.ts';

export const ID_OCTETS = 64;
export const SPEC_OCTETS = 256;
export const CAUSE_OCTETS = 96;
const ROW_SHIFT = 9;
const SPEC_AT = ID_OCTETS;
const CAUSE_AT = SPEC_AT + SPEC_OCTETS;
const SEEN_CAUSE_AT = CAUSE_AT + CAUSE_OCTETS;
const FIRST_ROWS = 256;

export class ServerRows {
  /** By row. What they mean is in `quick-fold.ts`. */
  state = new Uint8Array(FIRST_ROWS);
  changed = new Uint8Array(FIRST_ROWS);
  seen = new Uint8Array(FIRST_ROWS);
  version = new Float64Array(FIRST_ROWS);
  since = new Float64Array(FIRST_ROWS);
  seenTime = new Float64Array(FIRST_ROWS);
  timeoutMs = new Float64Array(FIRST_ROWS);
  readonly ids: (string | undefined)[] = [];

  #octets = Buffer.alloc(FIRST_ROWS << ROW_SHIFT);
  #idOctets = new Uint8Array(FIRST_ROWS);
  #specOctets = new Uint16Array(FIRST_ROWS);
  #causeOctets = new Uint8Array(FIRST_ROWS);
  #seenCauseOctets = new Uint8Array(FIRST_ROWS);
  #hash = new Int32Array(FIRST_ROWS);
  /** Rows so far, and those of them that are free. */
  #rows = 0;
  readonly #free: number[] = [];
  /** Open addressing, linear: row + 1, or 0. At most half full. */
  #places = new Int32Array(FIRST_ROWS * 2);

  /** Rows that may be in use: from 0 to below this. */
  get top(): number {
    return this.#rows;
  }

  /** −1: there is none. @param hash of `hashOf` */
  find(bytes: Uint8Array, at: number, length: number, hash: number): number {
    const mask = this.#places.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const row = (this.#places[place] as number) - 1;
      if (row < 0) return -1;
      if (this.#hash[row] === hash && this.#isAt(row, bytes, at, length)) return row;
    }
  }

  #isAt(row: number, bytes: Uint8Array, at: number, length: number): boolean {
    if (this.#idOctets[row] !== length) return false;
    const octets = this.#octets;
    const base = row << ROW_SHIFT;
    for (let i = 0; i < length; i++) if (octets[base + i] !== bytes[at + i]) return false;
    return true;
  }

  add(bytes: Uint8Array, at: number, length: number, hash: number): number {
    const row = this.#free.pop() ?? this.#rows++;
    if (row >= this.state.length) this.#widen();
    copy(bytes, at, length, this.#octets, row << ROW_SHIFT);
    this.#idOctets[row] = length;
    this.#hash[row] = hash;
    this.state[row] = this.changed[row] = this.seen[row] = this.#specOctets[row] = 0;
    this.ids[row] = undefined;
    this.#put(row);
    return row;
  }

  remove(row: number): void {
    const places = this.#places;
    const mask = places.length - 1;
    let hole = (this.#hash[row] as number) & mask;
    while (places[hole] !== row + 1) hole = (hole + 1) & mask;
    // Whoever stands behind the hole and belongs at or before it moves up.
    for (let place = (hole + 1) & mask; places[place] !== 0; place = (place + 1) & mask) {
      const home = (this.#hash[(places[place] as number) - 1] as number) & mask;
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      places[hole] = places[place] as number;
      hole = place;
    }
    places[hole] = 0;
    this.state[row] = 0;
    this.ids[row] = undefined;
    this.#free.push(row);
  }

  idOf(row: number): string {
    const base = row << ROW_SHIFT;
    this.ids[row] ??= this.#octets.toString('utf8', base, base + (this.#idOctets[row] as number));
    return this.ids[row];
  }

  /** Reads the octets of its spec with this. */
  openSpec(row: number, reader: Reader): Reader {
    const base = (row << ROW_SHIFT) + SPEC_AT;
    return reader.open(this.#octets, base, base + (this.#specOctets[row] as number));
  }

  /** Whether its spec, where one is set, has another address: that one begins there, behind the id, which is the same. */
  hasOtherAddress(row: number, bytes: Uint8Array, at: number, length: number): boolean {
    if (this.#specOctets[row] === 0) return false;
    const octets = this.#octets;
    // Behind the length and the octets of the id.
    const own = (row << ROW_SHIFT) + SPEC_AT + 1 + (this.#idOctets[row] as number);
    if (octets[own] !== length) return true;
    for (let i = 0; i < length; i++) if (octets[own + 1 + i] !== bytes[at + i]) return true;
    return false;
  }

  isSpec(row: number, bytes: Uint8Array, at: number, length: number): boolean {
    if (this.#specOctets[row] !== length) return false;
    const octets = this.#octets;
    const base = (row << ROW_SHIFT) + SPEC_AT;
    // From the end: names and addresses tell apart sooner there than where all begin alike.
    for (let i = length - 1; i >= 0; i--) if (octets[base + i] !== bytes[at + i]) return false;
    return true;
  }

  setSpec(row: number, bytes: Uint8Array, at: number, length: number): void {
    copy(bytes, at, length, this.#octets, (row << ROW_SHIFT) + SPEC_AT);
    this.#specOctets[row] = length;
  }

  causeOf(row: number): string {
    const base = (row << ROW_SHIFT) + CAUSE_AT;
    return this.#octets.toString('utf8', base, base + (this.#causeOctets[row] as number));
  }

  setCause(row: number, bytes: Uint8Array, at: number, length: number): void {
    copy(bytes, at, length, this.#octets, (row << ROW_SHIFT) + CAUSE_AT);
    this.#causeOctets[row] = length;
  }

  seenCauseOf(row: number): string {
    const base = (row << ROW_SHIFT) + SEEN_CAUSE_AT;
    return this.#octets.toString('utf8', base, base + (this.#seenCauseOctets[row] as number));
  }

  setSeenCause(row: number, bytes: Uint8Array, at: number, length: number): void {
    copy(bytes, at, length, this.#octets, (row << ROW_SHIFT) + SEEN_CAUSE_AT);
    this.#seenCauseOctets[row] = length;
  }

  /** Its observation has the cause that its own change has. */
  shareCause(row: number): void {
    this.setSeenCause(row, this.#octets, (row << ROW_SHIFT) + CAUSE_AT, this.#causeOctets[row] as number);
  }

  #put(row: number): void {
    const mask = this.#places.length - 1;
    let place = (this.#hash[row] as number) & mask;
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    this.#places[place] = row + 1;
  }

  #widen(): void {
    const size = this.state.length * 2;
    this.state = widened(this.state, new Uint8Array(size));
    this.changed = widened(this.changed, new Uint8Array(size));
    this.seen = widened(this.seen, new Uint8Array(size));
    this.version = widened(this.version, new Float64Array(size));
    this.since = widened(this.since, new Float64Array(size));
    this.seenTime = widened(this.seenTime, new Float64Array(size));
    this.timeoutMs = widened(this.timeoutMs, new Float64Array(size));
    this.#octets = widened(this.#octets, Buffer.alloc(size << ROW_SHIFT));
    this.#idOctets = widened(this.#idOctets, new Uint8Array(size));
    this.#specOctets = widened(this.#specOctets, new Uint16Array(size));
    this.#causeOctets = widened(this.#causeOctets, new Uint8Array(size));
    this.#seenCauseOctets = widened(this.#seenCauseOctets, new Uint8Array(size));
    this.#hash = widened(this.#hash, new Int32Array(size));
    const before = this.#places;
    this.#places = new Int32Array(size * 2);
    for (const place of before) if (place !== 0) this.#put(place - 1);
  }
}

/** FNV-1a, two octets a step. */
export function hashOf(bytes: Uint8Array, at: number, length: number): number {
  let hash = -2_128_831_035;
  const end = at + length;
  let i = at;
  for (; i + 1 < end; i += 2) {
    hash = Math.imul(hash ^ ((bytes[i] as number) | ((bytes[i + 1] as number) << 16)), 16_777_619);
  }
  if (i < end) hash = Math.imul(hash ^ (bytes[i] as number), 16_777_619);
  return hash ^ (hash >>> 15);
}

function copy(from: Uint8Array, at: number, length: number, to: Uint8Array, place: number): void {
  // Some dozen octets: a loop is done before a call into the engine has begun.
  for (let i = 0; i < length; i++) to[place + i] = from[at + i] as number;
}

function widened<T extends Uint8Array | Uint16Array | Int32Array | Float64Array>(before: T, after: T): T {
  after.set(before);
  return after;
}
