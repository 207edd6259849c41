/** When the next call comes: a Poisson process whose rate the warm-up, bursts and surges change, or a recorded trace. */
import type { Random } from './random.ts';
import { rateOf, type Scenario } from './scenario.ts';

/** Share of the rate that comes during the warm-up. */
const WARM_UP_RATE = 0.35;

export class Arrivals {
  private readonly scenario: Scenario;
  private readonly random: Random;
  /** Calls a ms without warm-up, bursts and surges; between bursts where there are some. */
  private readonly base: number;
  private readonly burstMs: number;
  private position = 0;

  constructor(scenario: Scenario, random: Random) {
    this.scenario = scenario;
    this.random = random;
    const { burst } = scenario.load;
    this.burstMs = burst === undefined ? 0 : burst.onMs + burst.offMs;
    const lift = burst === undefined ? 1 : (burst.factor * burst.onMs + burst.offMs) / this.burstMs;
    this.base = rateOf(scenario) / 1000 / lift;
  }

  /** Time of the next call after `now`. */
  next(now: number): number {
    const { trace } = this.scenario.load;
    if (trace !== undefined) {
      const gap = trace.gapMs[this.position % trace.gapMs.length] as number;
      this.position++;
      return now + (now < this.scenario.warmUpMs ? gap / WARM_UP_RATE : gap);
    }
    let left = this.random.exponential();
    let time = now;
    for (;;) {
      const rate = this.rateAt(time);
      const until = this.changeAfter(time);
      const units = (until - time) * rate;
      if (left <= units) return time + left / rate;
      left -= units;
      time = until;
    }
  }

  /** Recorded time to serve the call that `next` told of last, ms; NaN where none was recorded. */
  recordedMs(): number {
    const { trace } = this.scenario.load;
    if (trace?.serviceMs === undefined) return Number.NaN;
    return trace.serviceMs[(this.position - 1) % trace.serviceMs.length] as number;
  }

  private rateAt(time: number): number {
    const { scenario } = this;
    let rate = time < scenario.warmUpMs ? this.base * WARM_UP_RATE : this.base;
    const { burst } = scenario.load;
    if (burst !== undefined && time % this.burstMs < burst.onMs) rate *= burst.factor;
    for (const surge of scenario.surges) {
      if (time >= surge.atMs && time < surge.untilMs) rate *= surge.factor;
    }
    return rate;
  }

  /** The next time at which the rate may change. */
  private changeAfter(time: number): number {
    const { scenario } = this;
    let next = Number.POSITIVE_INFINITY;
    const consider = (at: number): void => {
      if (at > time && at < next) next = at;
    };
    consider(scenario.warmUpMs);
    const { burst } = scenario.load;
    if (burst !== undefined) {
      const begun = Math.floor(time / this.burstMs) * this.burstMs;
      consider(begun + burst.onMs);
      consider(begun + this.burstMs);
    }
    for (const surge of scenario.surges) {
      consider(surge.atMs);
      consider(surge.untilMs);
    }
    return next;
  }
}
