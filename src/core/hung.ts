/**
 * Servers that hang: their reports have fallen silent, they have calls open, and nothing comes back. A process
 * that stands still keeps its connections, so that nobody else tells. Each of the three alone says nothing: a
 * stream may have nothing to say for hours, a report may be late, and an idle server answers nobody.
 */
import { HEALTH_LIMITS } from './limits.ts';

/** What is known of a server at a moment. */
export interface HungEvidence {
  readonly reportAgeMs: number;
  readonly reportIntervalMs: number;
  /** Calls of ours that are open. */
  readonly open: number;
  /** When a call last ended, or octets of an answer came, ms. */
  readonly answeredAt: number;
}

/** Age at which a server's reports are silent, ms. */
export function silentAfterMs(reportIntervalMs: number): number {
  return Math.max(HEALTH_LIMITS.hungMs, HEALTH_LIMITS.hungIntervals * reportIntervalMs);
}

export class HungWatch {
  /** By slot, since when nothing but silence was seen, ms. */
  private readonly since = new Map<number, number>();

  /** What is seen now. True where the server has hung for long enough. */
  look(slot: number, evidence: HungEvidence, now: number): boolean {
    const silent = evidence.reportAgeMs > silentAfterMs(evidence.reportIntervalMs);
    if (!silent || evidence.open === 0) {
      this.since.delete(slot);
      return false;
    }
    const began = this.since.get(slot);
    if (began === undefined || evidence.answeredAt > began || began > now) {
      this.since.set(slot, now);
      return false;
    }
    return now - began >= HEALTH_LIMITS.hungWatchMs;
  }

  forget(slot: number): void {
    this.since.delete(slot);
  }

  /** Nobody was listened to for a while: all begins anew. */
  clear(): void {
    this.since.clear();
  }
}
