/** Whole messages out of slices of DATA. See `framing.ts` for the grammar. */
import { PREFIX_BYTES } from './framing.ts';

/** Who takes the messages. */
export interface MessageTaker {
  /** One message. The octets are the reader's again when it returns. */
  message(octets: Buffer, compressed: boolean): void;
  /** True once no more is wanted; asked after each message. */
  readonly over: boolean;
}

/** Why a slice cannot be read on; what follows it is of no meaning. */
export type ReadFault = 'flag' | 'length' | undefined;

/** First octets that are put by for a message that has not come whole. */
const FIRST_BYTES = 512;

/** One for each direction of a call. Messages that come whole in a slice are not copied. */
export class MessageReader {
  /** Longest message that is taken, octets without the prefix. */
  readonly most: number;
  /** What of a message has come in slices before. */
  #partial: Buffer | undefined;
  #filled = 0;

  constructor(most: number) {
    this.most = most;
  }

  /** Octets that are held for a message that has not come whole. */
  get held(): number {
    return this.#partial?.length ?? 0;
  }

  /** True between messages: where a stream may end. */
  get atBoundary(): boolean {
    return this.#filled === 0;
  }

  /** Lets go of what is held. */
  drop(): void {
    this.#partial = undefined;
    this.#filled = 0;
  }

  read(buffer: Buffer, start: number, end: number, taker: MessageTaker): ReadFault {
    let at = start;
    while (at < end && !taker.over) {
      if (this.#filled > 0 || end - at < PREFIX_BYTES) {
        at = this.#gather(buffer, at, end);
        const partial = this.#partial as Buffer;
        if (this.#filled < PREFIX_BYTES) continue;
        const fault = this.#fault(partial, 0);
        if (fault !== undefined) return fault;
        const whole = PREFIX_BYTES + partial.readUInt32BE(1);
        if (this.#filled < whole) continue;
        this.drop();
        taker.message(partial.subarray(PREFIX_BYTES, whole), partial[0] === 1);
        continue;
      }
      const fault = this.#fault(buffer, at);
      if (fault !== undefined) return fault;
      const stop = at + PREFIX_BYTES + buffer.readUInt32BE(at + 1);
      if (stop > end) {
        at = this.#gather(buffer, at, end);
        continue;
      }
      const from = at + PREFIX_BYTES;
      at = stop;
      taker.message(buffer.subarray(from, stop), buffer[from - PREFIX_BYTES] === 1);
    }
    return undefined;
  }

  #fault(buffer: Buffer, at: number): ReadFault {
    if ((buffer[at] as number) > 1) return 'flag';
    return buffer.readUInt32BE(at + 1) > this.most ? 'length' : undefined;
  }

  /** Puts by what belongs to the message that is coming in. @returns where the rest begins */
  #gather(buffer: Buffer, start: number, end: number): number {
    const partial = this.#partial;
    const whole =
      partial !== undefined && this.#filled >= PREFIX_BYTES
        ? PREFIX_BYTES + partial.readUInt32BE(1)
        : end - start >= PREFIX_BYTES && this.#filled === 0
          ? PREFIX_BYTES + buffer.readUInt32BE(start + 1)
          : PREFIX_BYTES;
    const stop = Math.min(end, start + whole - this.#filled);
    this.#room(this.#filled + stop - start, whole);
    buffer.copy(this.#partial as Buffer, this.#filled, start, stop);
    this.#filled += stop - start;
    return stop;
  }

  /** Memory grows by what has come, not by what a prefix says. */
  #room(octets: number, whole: number): void {
    const before = this.#partial;
    if (before !== undefined && before.length >= octets) return;
    const size = Math.max(octets, Math.min(whole, Math.max(FIRST_BYTES, (before?.length ?? 0) * 2)));
    const wider = Buffer.allocUnsafeSlow(size);
    before?.copy(wider, 0, 0, this.#filled);
    this.#partial = wider;
  }
}
