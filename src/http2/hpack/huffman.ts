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

let symbol = 0;
for (const run of LENGTH_RUNS.trim().split(/\s+/)) {
  const [bits, count = 1] = run.split('*').map(Number);
  for (let i = 0; i < count; i++) lengths[symbol++] = bits as number;
}
for (let bits = 1, code = 0; bits <= MAX_BITS; bits++, code *= 2) {
  for (let s = 0; s < SYMBOLS; s++) if (lengths[s] === bits) codes[s] = code++;
}

/**
 * The decoder is an automaton that takes an octet at a time. Its 256 states are the beginnings of codes, the empty one
 * is 0. By `state << 8 | octet`, what the octet leads to: the symbols that it completes, of which there may be two as
 * the shortest code has 5 bits, how many they are, flags, and the next state in the highest octet.
 */
const transitions = new Int32Array(1 << 16);
const COUNT = 16;
/** NUL, LF or CR is among the symbols. */
const FLAW = 1 << 18;
/** EOS is. */
const FAILED = 1 << 19;
const STATE = 24;
/** Whether a string may end in a state. */
const mayEnd = new Uint8Array(1 << 8);

// By `state * 2 + bit`: the next state, or ~symbol; 0 for none yet, as no bit leads to the beginning.
const steps = new Int16Array(1 << 9);
let states = 1;
for (let s = 0; s < SYMBOLS; s++) {
  const length = lengths[s] as number;
  let state = 0;
  for (let left = length - 1; left > 0; left--) {
    const step = state * 2 + (((codes[s] as number) >>> left) & 1);
    if (steps[step] === 0) steps[step] = states++;
    state = steps[step] as number;
  }
  steps[state * 2 + ((codes[s] as number) & 1)] = ~s;
}

/** Fills in the transitions of a state for all octets that begin with the bits of `prefix`, which led to `now`. */
function fill(state: number, now: number, prefix: number, left: number, found: number): void {
  if (left === 0) {
    transitions[(state << 8) | prefix] = found | (now << STATE);
    return;
  }
  for (let bit = 0; bit < 2; bit++) {
    const next = steps[now * 2 + bit] as number;
    const octet = prefix * 2 + bit;
    if (next >= 0) fill(state, next, octet, left - 1, found);
    else fill(state, 0, octet, left - 1, withSymbol(found, ~next));
  }
}

function withSymbol(found: number, s: number): number {
  if (s === EOS) return found | FAILED;
  const flaw = s === 0x00 || s === 0x0a || s === 0x0d ? FLAW : 0;
  return (found | flaw | (s << (((found >>> COUNT) & 3) * 8))) + (1 << COUNT);
}

for (let state = 0; state < states; state++) fill(state, state, 0, 8, 0);

// RFC 7541 5.2: "padding not corresponding to the most significant bits of the code for the EOS symbol MUST be
// treated as a decoding error", and so "padding strictly longer than 7 bits". That code is all ones.
for (let bits = 0, state = 0; bits < 8; bits++) {
  mayEnd[state] = 1;
  state = steps[state * 2 + 1] as number;
}

/** Octets that decoding a string of this many can give at most: the shortest code has 5 bits. */
export function decodedBytesAtMost(encodedBytes: number): number {
  return Math.ceil((encodedBytes * 8) / 5) + 1;
}

/**
 * Decodes `source[start, end)` to `out` from `position` on, where `decodedBytesAtMost` have room.
 *
 * @returns the position after the last octet; `INVALID` where it is no valid encoding; `flawed` of the position where
 * NUL, LF or CR are among the octets, which is found at no cost here.
 */
export function decodeHuffman(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  position: number,
): number {
  let to = position;
  let entry = 0;
  let seen = 0;
  for (let at = start; at < end; at++) {
    entry = transitions[((entry >>> (STATE - 8)) & 0xff00) | (source[at] as number)] as number;
    out[to] = entry;
    // Written over by the next where there is no second one: there is always room for it.
    out[to + 1] = entry >>> 8;
    to += (entry >>> COUNT) & 3;
    seen |= entry;
  }
  // RFC 7541 5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding error."
  if ((seen & FAILED) !== 0 || mayEnd[entry >>> STATE] === 0) return INVALID;
  return (seen & FLAW) !== 0 ? flawed(to) : to;
}

/** What `decodeHuffman` returns where it cannot. */
export const INVALID = -1;

/** Marks a position as the end of a string with octets that no field value may have; undoes itself. */
export function flawed(position: number): number {
  return -2 - position;
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
