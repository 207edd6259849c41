/** Work on many things, done a little at a time: calls are served in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

export class Slices {
  private readonly sliceMs: number;
  private since: number;

  /** @param sliceMs how long the event loop may be held up at a time */
  constructor(sliceMs: number) {
    this.sliceMs = sliceMs;
    this.since = performance.now();
  }

  /** Whether it is time to `pause`. Looks at the clock: to be asked every 50 µs of work or so. */
  get isOver(): boolean {
    return performance.now() - this.since > this.sliceMs;
  }

  async pause(): Promise<void> {
    await nextTurn();
    this.since = performance.now();
  }
}
