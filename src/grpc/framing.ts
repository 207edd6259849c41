/**
 * gRPC's messages within DATA, followed without holding them.
 *
 *     Length-Prefixed-Message → Compressed-Flag Message-Length Message
 *     Compressed-Flag         → 0 / 1               ; 1 byte
 *     Message-Length          → {length of Message} ; 4 bytes, big endian
 *
 * (grpc `doc/PROTOCOL-HTTP2.md`. DATA frame boundaries have no relation to message boundaries.)
 */

/** Bytes before each message. */
export const PREFIX_BYTES = 5;

/** Counts the messages of one direction of a call as its bytes go by. One for each direction, reusable. */
export class MessageCounter {
  /** Messages that are complete. */
  messages = 0;
  /** Length of the longest message seen so far, bytes without the prefix, counted as soon as its prefix is whole. */
  longest = 0;
  /** False once a compressed flag was neither 0 nor 1: not gRPC; nothing is counted after it. */
  valid = true;
  #prefix = 0; // bytes of the prefix seen
  #length = 0; // its big-endian length so far
  #left = 0; // bytes of the message still to come

  /** True between messages: where a stream may end. */
  get atBoundary(): boolean {
    return this.#prefix === 0;
  }

  /** Forgets everything, for the next call. */
  reset(): void {
    this.messages = 0;
    this.longest = 0;
    this.valid = true;
    this.#prefix = 0;
    this.#length = 0;
    this.#left = 0;
  }

  /**
   * Follows one slice of DATA.
   *
   * @returns how many messages it completed
   */
  push(buffer: Uint8Array, start: number, end: number): number {
    const before = this.messages;
    let at = start;
    while (at < end && this.valid) {
      if (this.#prefix < PREFIX_BYTES) {
        const byte = buffer[at++] as number;
        if (this.#prefix++ === 0) {
          this.#length = 0;
          if (byte > 1) this.valid = false;
          continue;
        }
        this.#length = this.#length * 256 + byte;
        if (this.#prefix < PREFIX_BYTES) continue;
        this.#left = this.#length;
        if (this.#length > this.longest) this.longest = this.#length;
      } else {
        const taken = Math.min(this.#left, end - at);
        this.#left -= taken;
        at += taken;
      }
      if (this.#left === 0) {
        this.messages++;
        this.#prefix = 0;
      }
    }
    return this.messages - before;
  }
}
