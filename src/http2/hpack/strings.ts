/**
 * HPACK's primitives: integers and string literals, written.
 *
 *     Integer (N-bit prefix): value < 2^N - 1 in the prefix, else 2^N - 1 there and
 *                             the rest in groups of 7 bits, lowest first, high bit = more    (RFC 7541 5.1)
 *     String:                 H (1 bit) | length (7-bit prefix) | octets                     (RFC 7541 5.2)
 *
 * Reading them is in `decoder.ts`, where the position lives; here is only what is known to be valid.
 */

/** Most octets that an integer of ours can take: a prefix and five groups hold 2^32. */
export const MAX_INTEGER_BYTES = 6;

/**
 * Writes an integer.
 *
 * @param pattern the bits of the first octet above the prefix
 * @param prefixMax 2^N - 1
 * @returns the position after it
 */
export function writeInteger(
  out: Uint8Array,
  position: number,
  pattern: number,
  prefixMax: number,
  value: number,
): number {
  let at = position;
  if (value < prefixMax) {
    out[at++] = pattern | value;
    return at;
  }
  out[at++] = pattern | prefixMax;
  let rest = value - prefixMax;
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** The length in the head of a string literal that has been found valid before. */
export function readLength(literal: Uint8Array, start: number): number {
  let at = start;
  let value = (literal[at++] as number) & 0x7f;
  if (value < 0x7f) return value;
  for (let shift = 0; ; shift += 7) {
    const octet = literal[at++] as number;
    value += (octet & 0x7f) << shift;
    if (octet < 0x80) return value;
  }
}

/** Up to here a loop is faster than a call of `Buffer.copy`, octets. */
const LOOPED = 64;

/**
 * Copies `source[start, end)`, which is mostly short.
 *
 * @returns the position after the copy
 */
export function copyOctets(
  source: Buffer,
  start: number,
  end: number,
  out: Buffer,
  position: number,
): number {
  if (end - start > LOOPED) return position + source.copy(out, position, start, end);
  let at = position;
  for (let i = start; i < end; i++) out[at++] = source[i] as number;
  return at;
}

/** The string literal of these octets, not Huffman coded. */
export function literalOf(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(MAX_INTEGER_BYTES + bytes.length);
  const at = writeInteger(out, 0, 0, 0x7f, bytes.length);
  bytes.copy(out, at);
  return Buffer.from(out.subarray(0, at + bytes.length));
}
