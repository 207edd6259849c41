/**
 * HPACK's Huffman code (RFC 7541 appendix B), both ways.
 *
 * The code is canonical: codes of one length are consecutive and in the order of their symbols, and each length
 * begins where the one before ended. So the lengths are all that has to be written down.
 */

/** Length in bits of each octet's code, and of EOS at the end; `7*3` is three of 7 bits. */
const LENGTH_RUNS = `
  13 23 28*7 24 30 28*2 30 28*8 30 28*9 6 10*2 12 13 6 8 11 10*2 8 11 8 6*3 5*3 6*7 7 8 15 6 12 10 13
  6 7*22 8 7 8 13 19 13 14 6 15 5 6 5 6 5 6*3 5 7*2 6*3 5 6 7 6 5*2 6 7*5 15 11 14 13 28 20 22 20*2
  22*3 23 22 23*5 24 23 24*2 22 23 24 23*4 21 22 23 22 23*2 24 22 21 20 22*2 23*2 21 23 22*2 24 21 22
  23*2 21*2 22 21 23 22 23*2 20 22*3 23 22*2 23 26*2 20 19 22 23 22 25 26*3 27*2 26 24 25 19 21 26
  27*2 26 27 24 21*2 26*2 28 27*3 20 24 20 21 22 21*2 23 22*2 25*2 24*2 26 23 26 27 26*2 27*5 28 27*5
  26 30`;

const EOS = 256;
const SYMBOLS = 257;
const MAX_BITS = 30;

const lengths = new Uint8Array(SYMBOLS);
const codes = new Uint32Array(SYMBOLS);
/** Symbols by length, then by value. */
const ordered = new Uint16Array(SYMBOLS);
/** First code of each length, and where its symbol is in `ordered`. */
const firstCode = new Uint32Array(MAX_BITS + 2);
const firstPlace = new Uint16Array(MAX_BITS + 2);

let symbol = 0;
for (const run of LENGTH_RUNS.trim().split(/\s+/)) {
  const [bits, count = 1] = run.split('*').map(Number);
  for (let i = 0; i < count; i++) lengths[symbol++] = bits as number;
}

let place = 0;
for (let bits = 1, code = 0; bits <= MAX_BITS + 1; bits++, code *= 2) {
  firstCode[bits] = code;
  firstPlace[bits] = place;
  for (let s = 0; s < SYMBOLS; s++) {
    if (lengths[s] !== bits) continue;
    codes[s] = code++;
    ordered[place++] = s;
  }
}

/** How many bits the decoder looks up at once: two of the common codes, of 5 to 7 bits, mostly fit. */
const LOOK = 12;
const WINDOW = (1 << LOOK) - 1;
/**
 * By the next 12 bits: octets that they begin with (first, second), how many (0 where the first code is longer),
 * and the bits used. `first | second << 8 | bits << 16 | count << 24`.
 */
const table = new Uint32Array(1 << LOOK);
for (let window = 0; window < 1 << LOOK; window++) {
  const first = shortest(window, LOOK);
  if (first < 0) continue;
  const used = lengths[first] as number;
  const second = shortest(window & ((1 << (LOOK - used)) - 1), LOOK - used);
  table[window] =
    second < 0
      ? (first | (used << 16) | (1 << 24)) >>> 0
      : (first | (second << 8) | ((used + (lengths[second] as number)) << 16) | (2 << 24)) >>> 0;
}

/** The octet whose code the top bits of a window are, −1 where no code is that short. */
function shortest(window: number, width: number): number {
  for (let bits = 5; bits <= width; bits++) {
    const at = (window >>> (width - bits)) - (firstCode[bits] as number);
    const count = (firstPlace[bits + 1] as number) - (firstPlace[bits] as number);
    if (at >= 0 && at < count) return ordered[(firstPlace[bits] as number) + at] as number;
  }
  return -1;
}

/** Octets that decoding a string of this many can give at most: the shortest code has 5 bits. */
export function decodedBytesAtMost(encodedBytes: number): number {
  return Math.ceil((encodedBytes * 8) / 5) + 1;
}

/**
 * Decodes `source[start, end)` to `out` from `position` on, where `decodedBytesAtMost` have room.
 *
 * @returns the position after the last octet; `INVALID` where it is no valid encoding; `flawed` of the position where
 * NUL, LF or CR are among the octets. These have long codes, so that finding them costs nothing here.
 */
export function decodeHuffman(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  position: number,
): number {
  let at = start;
  let to = position;
  let bits = 0; // how many of `pending` are still to be decoded, the lowest ones
  let pending = 0;
  let flaw = false;
  for (;;) {
    // Whole windows of common codes.
    for (;;) {
      if (bits < LOOK) {
        if (at + 1 >= end) break;
        pending = (pending << 16) | ((source[at] as number) << 8) | (source[at + 1] as number);
        at += 2;
        bits += 16;
      }
      const entry = table[(pending >>> (bits - LOOK)) & WINDOW] as number;
      const used = (entry >>> 16) & 0xff;
      if (used === 0) break;
      out[to] = entry & 0xff;
      // Written over by the next where there is no second one: there is always room for it.
      out[to + 1] = (entry >>> 8) & 0xff;
      to += entry >>> 24;
      bits -= used;
    }
    if (bits < LOOK && at < end) {
      pending = (pending << 8) | (source[at++] as number);
      bits += 8;
      if (bits >= LOOK) continue;
    }
    // The rest, code by code: what is missing of the window is filled with zeros.
    const entry = bits < LOOK ? (table[(pending << (LOOK - bits)) & WINDOW] as number) : 0;
    const first = entry >>> 16 === 0 ? 0 : (lengths[entry & 0xff] as number);
    if (first !== 0 && first <= bits) {
      out[to++] = entry & 0xff;
      bits -= first;
      continue;
    }
    if (at === end && bits < 8 && isPadding(pending, bits)) return flaw ? flawed(to) : to;
    // A code longer than the window, of up to 30 bits: bring in what is left of it.
    const long = longCode(source, at, end, pending, bits);
    if (long < 0) return INVALID;
    if (long === 0x00 || long === 0x0a || long === 0x0d) flaw = true;
    const length = lengths[long] as number;
    out[to++] = long;
    const fresh = Math.ceil(Math.max(0, length - bits) / 8);
    for (let i = 0; i < fresh; i++) pending = (pending << 8) | (source[at++] as number);
    bits += fresh * 8 - length;
  }
}

/** What `decodeHuffman` returns where it cannot. */
export const INVALID = -1;

/** Marks a position as the end of a string with octets that no field value may have; undoes itself. */
export function flawed(position: number): number {
  return -2 - position;
}

// RFC 7541 5.2: "padding not corresponding to the most significant bits of the code for the EOS symbol MUST be
// treated as a decoding error", and so "padding strictly longer than 7 bits".
function isPadding(pending: number, bits: number): boolean {
  const mask = (1 << bits) - 1;
  return (pending & mask) === mask;
}

/** The octet that begins with the `bits` lowest bits of `pending` and goes on in the source; −1 for none. */
function longCode(source: Uint8Array, start: number, end: number, pending: number, bits: number): number {
  let at = start;
  let code = 0;
  for (let length = 1, left = bits, octet = 0, octetBits = 0; length <= MAX_BITS; length++) {
    let bit: number;
    if (left > 0) {
      bit = (pending >>> --left) & 1;
    } else {
      if (octetBits === 0) {
        if (at === end) return -1;
        octet = source[at++] as number;
        octetBits = 8;
      }
      bit = (octet >>> --octetBits) & 1;
    }
    code = code * 2 + bit;
    const offset = code - (firstCode[length] as number);
    const count = (firstPlace[length + 1] as number) - (firstPlace[length] as number);
    if (offset >= 0 && offset < count) {
      const found = ordered[(firstPlace[length] as number) + offset] as number;
      // RFC 7541 5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a
      // decoding error."
      return found === EOS ? -1 : found;
    }
  }
  return -1;
}

/** How many octets the Huffman code of `source[start, end)` takes. */
export function huffmanBytes(source: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let i = start; i < end; i++) bits += lengths[source[i] as number] as number;
  return (bits + 7) >>> 3;
}

/** Encodes `source[start, end)` to `out` from `position` on. @returns the position after it */
export function encodeHuffman(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  position: number,
): number {
  let to = position;
  let bits = 0;
  let pending = 0; // below 2^38: at most 7 bits left and a code of 30
  for (let i = start; i < end; i++) {
    const byte = source[i] as number;
    const length = lengths[byte] as number;
    pending = pending * 2 ** length + (codes[byte] as number);
    bits += length;
    while (bits >= 8) {
      bits -= 8;
      const unit = 2 ** bits;
      const octet = Math.floor(pending / unit);
      out[to++] = octet;
      pending -= octet * unit;
    }
  }
  // RFC 7541 5.2: the last octet is filled with the most significant bits of EOS, which are ones.
  if (bits > 0) out[to++] = (pending << (8 - bits)) | (0xff >>> bits);
  return to;
}
