/**
 * Rendezvous hashing with bounded loads: a key goes to the server on which it hashes highest, unless
 * that one has more than `HASH_LOAD_BOUND` times its share in flight, then to the next highest.
 * Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998); Mirrokni, Thorup
 * and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018).
 */
import type { Zone } from './zone.ts';

/** What a key chooses from: a pool. */
export interface HashedMembers {
  /** By member; −1 is a number that nobody has. */
  readonly slots: Int32Array;
  readonly hashes: Uint32Array;
  isOut(member: number): boolean;
  zoneAt(member: number): Zone;
  inFlight(member: number): number;
  weightOf(member: number): number;
}

/**
 * The member on which a key hashes highest among those within their bounded load; −1 where none is.
 * Costs one hash a member.
 * @param capped take warming servers at their cap as well
 * @param only the zone to stay in; undefined: all
 */
export function chooseHashed(
  pool: HashedMembers,
  key: number,
  exclude: readonly number[],
  capped: boolean,
  only?: Zone,
): number {
  let total = 0;
  let weights = 0;
  // By member, not by slot: this is on the path of a pick, and a look-up a member is dear.
  const { slots } = pool;
  for (let member = 0; member < slots.length; member++) {
    if (pool.isOut(member) || (only !== undefined && pool.zoneAt(member) !== only)) continue;
    total += pool.inFlight(member);
    weights += pool.weightOf(member);
  }
  let best = -1;
  let rank = Number.NEGATIVE_INFINITY;
  for (let member = 0; member < slots.length; member++) {
    if (pool.isOut(member)) continue;
    const weight = pool.weightOf(member);
    const height = rendezvousRank(key, pool.hashes[member] as number, weight);
    if (height <= rank || exclude.includes(slots[member] as number)) continue;
    // One that is full is in no order and is passed over.
    const zone = pool.zoneAt(member);
    if (only !== undefined && zone !== only) continue;
    if (!zone.order.has(member) && !(capped && zone.capped.has(member))) continue;
    if (pool.inFlight(member) + 1 > boundedLoad(total, weight, weights)) continue;
    best = member;
    rank = height;
  }
  return best;
}

/** c of the bounded-loads paper. */
const HASH_LOAD_BOUND = 1.25;

/** 32-bit hash of a string: FNV-1a over its UTF-16 units, mixed at the end. */
export function hashString(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return mix(hash);
}

/** The place of a server for a key, weighted: −w / ln u is highest with probability w / Σ w. */
export function rendezvousRank(keyHash: number, serverHash: number, weight: number): number {
  const uniform = (mix(keyHash ^ Math.imul(serverHash, 0x9e3779b1)) + 0.5) / 4294967296;
  return -weight / Math.log(uniform);
}

/** Most calls in flight that a server of `weight` may have before a key's call goes to the next. */
function boundedLoad(totalInFlight: number, weight: number, totalWeight: number): number {
  return Math.ceil((HASH_LOAD_BOUND * (totalInFlight + 1) * weight) / totalWeight);
}

/** Finalizer of MurmurHash3: every input bit reaches every output bit. */
function mix(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
