/**
 * Header blocks remembered by their octets: a block that comes again is not decoded again.
 *
 * A block means the same fields again if it does not change the dynamic table, and either does not refer to it
 * or the table is as it was (`DynamicTable.epoch`). Callers that repeat themselves reach that state with their
 * second call, when all that repeats is in the table.
 */
import { HTTP2_LIMITS } from '../../core/limits.ts';
import type { HeaderList, ListMemory } from '../header-list.ts';
import type { HpackDecoder } from './decoder.ts';
import { hashOf } from './names.ts';

const SLOTS = HTTP2_LIMITS.blocksRemembered;

/** Stands for "whatever the table is". */
const ANY_EPOCH = -1;

interface Remembered {
  readonly block: Buffer;
  readonly epoch: number;
  readonly list: HeaderList;
}

export class BlockMemory {
  readonly #lists: ListMemory;
  /** Direct-mapped; made with the first block that comes twice. */
  #slots: (Remembered | undefined)[] | undefined;
  /** Hash of the first block: a connection with one stream that stays sees no other. */
  #first = 0;
  /** Hash of the block that was seen last, by slot: only what comes twice is kept. Made with the second block. */
  #seen: Int32Array | undefined;
  #misses = 0;
  #resting = 0;
  #hash = 0;

  /** Blocks that were found, and blocks that were looked for. */
  hits = 0;
  looks = 0;

  constructor(lists: ListMemory) {
    this.#lists = lists;
  }

  /** The list of a block that is remembered. */
  find(block: Buffer, start: number, end: number, epoch: number): HeaderList | undefined {
    this.#hash = 0;
    const length = end - start;
    if (length > HTTP2_LIMITS.blockBytesRemembered) return undefined;
    if (this.#resting > 0) {
      this.#resting--;
      return undefined;
    }
    this.looks++;
    this.#hash = sampleHash(block, start, end);
    const known = this.#slots?.[this.#hash & (SLOTS - 1)];
    if (
      known !== undefined &&
      known.block.length === length &&
      (known.epoch === epoch || known.epoch === ANY_EPOCH) &&
      sameBytes(known.block, block, start)
    ) {
      this.hits++;
      this.#misses = 0;
      return known.list;
    }
    // A peer whose blocks never repeat (a trace context in each) is not worth the looks.
    if (++this.#misses >= HTTP2_LIMITS.blockMisses) {
      this.#misses = 0;
      this.#resting = HTTP2_LIMITS.blockRest;
    }
    return undefined;
  }

  /**
   * Takes note of a block that was not found and has been decoded and found valid.
   *
   * @returns the list to go on with: the remembered one if it is one now, else the same
   */
  keep(block: Buffer, start: number, end: number, decoder: HpackDecoder, list: HeaderList): HeaderList {
    if (this.#hash === 0 || decoder.changedTable || list.bytes > HTTP2_LIMITS.listBytesRemembered)
      return list;
    if (this.#first === 0) {
      this.#first = this.#hash;
      return list;
    }
    if (this.#seen === undefined) {
      this.#seen = new Int32Array(SLOTS);
      this.#seen[this.#first & (SLOTS - 1)] = this.#first;
    }
    const slot = this.#hash & (SLOTS - 1);
    if (this.#seen[slot] !== this.#hash) {
      this.#seen[slot] = this.#hash;
      return list;
    }
    const remembered: Remembered = {
      block: Buffer.from(block.subarray(start, end)),
      epoch: decoder.usedTable ? decoder.table.epoch : ANY_EPOCH,
      list: this.#lists.of(list),
    };
    this.#slots ??= new Array(SLOTS).fill(undefined);
    this.#slots[slot] = remembered;
    return remembered.list;
  }
}

/** A hash of at most 32 of the octets: hits are compared in full. */
function sampleHash(block: Buffer, start: number, end: number): number {
  if (end - start <= 32) return hashOf(block, start, end, 0);
  // The end of a block is where what a caller adds to each call mostly is.
  return hashOf(block, end - 24, end, hashOf(block, start, start + 8, end - start));
}

function sameBytes(known: Buffer, block: Buffer, start: number): boolean {
  const length = known.length;
  if (length > 64) return known.compare(block, start, start + length) === 0;
  for (let i = 0; i < length; i++) if (known[i] !== block[start + i]) return false;
  return true;
}
