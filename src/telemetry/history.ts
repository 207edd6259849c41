/**
 * The last 15 minutes of what matters, a row a pool, a backend and the instance itself: what the console draws
 * and findings are made of. Bounded: points are folded as they age, and rows beyond a limit have none.
 */
import { HISTORY_LIMITS } from '../core/limits.ts';
import { type HistoryWindow, Ring, Timeline } from './history/ring.ts';
import {
  BACKEND_SERIES,
  type BackendSeries,
  INSTANCE_SERIES,
  type InstanceSeries,
  POOL_SERIES,
  type PoolSeries,
  type Scope,
} from './history/series.ts';

export type { HistoryWindow } from './history/ring.ts';
export { type Scope, SERIES } from './history/series.ts';

/** What others see of the history. */
export interface HistoryReader {
  /** Time between two points of the near past, ms: no sooner is there anything new. */
  readonly stepMs: number;
  /** Grows by one a step. */
  readonly steps: number;
  /** What has a history now: ids of backends, services of pools, one empty key of the instance. */
  keys(scope: Scope): string[];
  /** The last point of a series; NaN where there is none. */
  last(scope: Scope, key: string, name: string): number;
  /**
   * The points of the last `spanMs`: 2 s apart up to three minutes, 10 s apart up to fifteen. Undefined where the key
   * has no history (yet, or because there are too many).
   *
   * @param names of series (`SERIES[scope]`); all of them where left out
   */
  read(scope: Scope, key: string, spanMs: number, names?: readonly string[]): HistoryWindow | undefined;
}

export class History implements HistoryReader {
  readonly stepMs = HISTORY_LIMITS.stepMs;
  private readonly timeline = new Timeline();
  readonly instance = new Ring<InstanceSeries>(INSTANCE_SERIES, this.timeline, 1);
  readonly pool = new Ring<PoolSeries>(POOL_SERIES, this.timeline, HISTORY_LIMITS.pools);
  readonly backend = new Ring<BackendSeries>(BACKEND_SERIES, this.timeline, HISTORY_LIMITS.backends);

  get steps(): number {
    return this.timeline.steps;
  }

  /** The points of a step are written: they can be read now. */
  commit(wall: number): void {
    this.timeline.commit(wall);
  }

  /** The time that the last points of the near past cover, s. */
  secondsOf(points: number): number {
    return this.timeline.spanMs(points) / 1000;
  }

  keys(scope: Scope): string[] {
    return [...this[scope].keys()];
  }

  last(scope: Scope, key: string, name: string): number {
    return (this[scope] as Ring<string>).last(key, name);
  }

  read(scope: Scope, key: string, spanMs: number, names?: readonly string[]): HistoryWindow | undefined {
    return (this[scope] as Ring<string>).read(key, spanMs, names);
  }
}
