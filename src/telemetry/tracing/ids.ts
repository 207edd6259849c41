/** Ids of traces and spans: random, drawn many at a time. */
import { randomFillSync } from 'node:crypto';

/** One system call for 512 spans. */
const POOL_BYTES = 4096;

export class Ids {
  private readonly pool = Buffer.alloc(POOL_BYTES);
  private at = POOL_BYTES;

  trace(): string {
    return this.draw(16);
  }

  span(): string {
    return this.draw(8);
  }

  /** Hexadecimal. An id of zeros is invalid (W3C Trace Context 3.2.2), and as likely as no other. */
  private draw(bytes: number): string {
    if (this.at + bytes > POOL_BYTES) {
      randomFillSync(this.pool);
      this.at = 0;
    }
    const from = this.at;
    this.at += bytes;
    if (this.pool[from] === 0) this.pool[from] = 1;
    return this.pool.toString('hex', from, this.at);
  }
}
