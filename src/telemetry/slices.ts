/** Work on many things, done a little at a time: calls are served in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

export class Slices {
  /** What the work took without the pauses, ms, and the longest that it went on without one. */
  tookMs = 0;
  longestMs = 0;
  private readonly sliceMs: number;
  private since = 0;

  /** @param sliceMs how long the event loop may be held up at a time */
  constructor(sliceMs: number) {
    this.sliceMs = sliceMs;
    this.begin();
  }

  begin(): void {
    this.tookMs = this.longestMs = 0;
    this.since = performance.now();
  }

  /** Whether it is time to `pause`. Looks at the clock: to be asked every 50 µs of work or so. */
  get isOver(): boolean {
    return performance.now() - this.since > this.sliceMs;
  }

  async pause(): Promise<void> {
    this.end();
    await nextTurn();
    this.since = performance.now();
  }

  /** The work is done, for now. */
  end(): void {
    const ms = performance.now() - this.since;
    this.tookMs += ms;
    if (ms > this.longestMs) this.longestMs = ms;
  }
}
