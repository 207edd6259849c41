/**
 * Turns of the event loop, shared out: all that works for readers asks here between two bits of work, so that
 * together they hold up no call for longer than a slice, however many readers there are.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ADMIN_LIMITS } from '../../core/limits.ts';

export class Turns {
  /** When the work of this turn began, ms. */
  private since = Number.NEGATIVE_INFINITY;

  /** Resolves at once, or in a turn in which there is time to work. To be asked each 50 µs of work or so. */
  next(): Promise<void> | undefined {
    return this.isOver ? this.wait() : undefined;
  }

  private get isOver(): boolean {
    return performance.now() - this.since > ADMIN_LIMITS.sliceMs;
  }

  private async wait(): Promise<void> {
    // Others wait too, and may have used up the turn.
    while (this.isOver) {
      const before = this.since;
      await nextTurn();
      // The first to come in a turn begins it.
      if (this.since === before) this.since = performance.now();
    }
  }
}
