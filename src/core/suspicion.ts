/**
 * Whether this instance should doubt itself. Who loses most of its backends at once has more likely lost
 * its network than they their lives: what it sees then is no advice to others and activates nothing, while
 * its own picks still avoid what it cannot reach.
 *
 *   suspects itself  once more than half of its backends, and at least 4, were lost within a window
 *   until            one of the lost answers again, or all of them are gone for another reason
 */
import { HEALTH_LIMITS } from './limits.ts';

export class Suspicion {
  /** True while this instance suspects itself. */
  active = false;
  /** When each was lost, ms, oldest first. */
  private readonly lostAt = new Map<string, number>();
  private windowMs: number;

  /** @param windowMs how far apart losses may be and still count together */
  constructor(windowMs: number) {
    this.windowMs = windowMs;
  }

  configure(windowMs: number): void {
    this.windowMs = windowMs;
  }

  /** Backends that were lost and have not answered since, those that count. */
  get losses(): Iterable<string> {
    return this.lostAt.keys();
  }

  /**
   * A backend that took calls is found to be unreachable or failing.
   * @param others backends that still take calls
   * @returns true where the suspicion begins with it
   */
  lost(id: string, others: number, now: number): boolean {
    this.age(now);
    this.lostAt.delete(id);
    this.lostAt.set(id, now);
    if (this.active) return false;
    const losses = this.lostAt.size;
    this.active = losses >= HEALTH_LIMITS.suspectLosses && losses > others;
    return this.active;
  }

  /** A backend that was lost answers. @returns true where the suspicion ends with it */
  answered(id: string): boolean {
    return this.lostAt.delete(id) && this.end();
  }

  /** A backend is gone, or has been drained: its loss tells nothing any more. @returns true where the suspicion ends */
  gone(id: string): boolean {
    return this.lostAt.delete(id) && this.lostAt.size === 0 && this.end();
  }

  private end(): boolean {
    if (!this.active) return false;
    this.active = false;
    this.lostAt.clear();
    return true;
  }

  /** Losses too old to count together; while it suspects itself all of them stay. */
  private age(now: number): void {
    if (this.active) return;
    for (const [id, time] of this.lostAt) {
      // A clock that fell back makes no loss younger than it is.
      if (time <= now && now - time <= this.windowMs) break;
      this.lostAt.delete(id);
    }
  }
}
