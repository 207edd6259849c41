/**
 * A 64-bit hash of text, for telling whether two instances hold the same. Two FNV-1a lanes of 32 bits
 * (http://www.isthe.com/chongo/tech/comp/fnv/) with different primes, each finished by the avalanche
 * steps of MurmurHash3, so that sums of hashes stay well spread. Not for keeping out anyone who means ill.
 */
export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

export function hash64(text: string): Hash64 {
  let high = 0x811c9dc5;
  let low = 0xcbf29ce4;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x85ebca6b);
  }
  return { high: finish(high), low: finish(low ^ text.length) };
}

function finish(lane: number): number {
  let h = lane;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
