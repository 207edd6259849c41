/** Columns of counts, a row a thing that is counted: grown as rows come, cleared as they go. */
import { Latencies } from './latency.ts';

/** gRPC codes, 0 to 16; what is none counts as UNKNOWN. */
export const CODES = 17;

export class CallRows {
  /** Rows that are in use or were. */
  used = 0;
  /** Calls that ended, by row and code. */
  codes = new Float64Array(0);
  readonly latencies = new Latencies();
  inFlight = new Int32Array(0);
  /** Octets and messages to the backend and from it, of calls that ended. */
  sentBytes = new Float64Array(0);
  receivedBytes = new Float64Array(0);
  sentMessages = new Float64Array(0);
  receivedMessages = new Float64Array(0);
  /** Those of calls in flight at the last look: `OpenCalls` writes them. */
  private capacity = 0;
  private readonly free: number[] = [];

  take(): number {
    const known = this.free.pop();
    if (known !== undefined) return known;
    if (this.used === this.capacity) this.grow(Math.max(16, this.capacity * 2));
    return this.used++;
  }

  give(row: number): void {
    this.codes.fill(0, row * CODES, (row + 1) * CODES);
    this.latencies.clear(row);
    this.inFlight[row] = 0;
    this.sentBytes[row] = this.receivedBytes[row] = 0;
    this.sentMessages[row] = this.receivedMessages[row] = 0;
    this.free.push(row);
  }

  ended(row: number, code: number, ms: number): void {
    const { codes } = this;
    const at = row * CODES + (code >= 0 && code < CODES ? code : 2);
    codes[at] = (codes[at] as number) + 1;
    this.latencies.add(row, ms);
  }

  private grow(size: number): void {
    const wider = <T extends Float64Array | Int32Array>(
      make: new (length: number) => T,
      from: T,
      by = 1,
    ): T => {
      const to = new make(size * by);
      to.set(from as never);
      return to;
    };
    this.capacity = size;
    this.codes = wider(Float64Array, this.codes, CODES);
    this.latencies.grow(size);
    this.inFlight = wider(Int32Array, this.inFlight);
    this.sentBytes = wider(Float64Array, this.sentBytes);
    this.receivedBytes = wider(Float64Array, this.receivedBytes);
    this.sentMessages = wider(Float64Array, this.sentMessages);
    this.receivedMessages = wider(Float64Array, this.receivedMessages);
  }
}
