/**
 * The last calls that failed, and the last that were slow, as far as a person can read them. What is slow
 * follows from the calls themselves: a threshold that rises while more than a few a second are above it.
 */
import type { CallInfo } from '../wire.ts';
import type { CallsPort } from './sources.ts';

export interface CallRingOptions {
  /** Calls kept, of each kind. */
  readonly size: number;
  /** Calls a second that are noted, of each kind: more could not be read, and would cost time. */
  readonly perSecond: number;
  /** Nothing below is slow, ms. */
  readonly floorMs: number;
}

/** The threshold rises and falls by this factor a second. */
const FACTOR = 1.5;

export class CallRing implements CallsPort {
  /** A call that took longer is slow, ms: to be compared before anything is made. */
  slowMs: number;
  private readonly options: CallRingOptions;
  private readonly kept: Record<CallInfo['why'], CallInfo[]> = { failed: [], slow: [] };
  private readonly noted: Record<CallInfo['why'], number> = { failed: 0, slow: 0 };
  private second = Number.NEGATIVE_INFINITY;
  private n = 0;

  constructor(options: CallRingOptions) {
    this.options = options;
    this.slowMs = options.floorMs;
  }

  /**
   * Whether one more of a kind is to be noted; then `note` follows.
   *
   * @param now monotonic clock, ms
   */
  wants(why: CallInfo['why'], now: number): boolean {
    if (now - this.second >= 1_000) this.turn(now);
    return this.noted[why]++ < this.options.perSecond;
  }

  note(call: Omit<CallInfo, 'n'>): void {
    const kept = this.kept[call.why];
    kept.push({ n: ++this.n, ...call });
    if (kept.length > this.options.size) kept.shift();
  }

  after(n: number): readonly CallInfo[] {
    if (n >= this.n) return [];
    const { failed, slow } = this.kept;
    return [...failed, ...slow].filter(call => call.n > n).sort((a, b) => a.n - b.n);
  }

  private turn(now: number): void {
    const seconds = Math.max(1, Math.min(60, (now - this.second) / 1_000));
    const { perSecond, floorMs } = this.options;
    if (this.noted.slow > perSecond) this.slowMs *= FACTOR;
    else this.slowMs = Math.max(floorMs, this.slowMs / FACTOR ** seconds);
    this.noted.failed = this.noted.slow = 0;
    this.second = now;
  }
}
