/** The calls: when they come, to which balancer, and how much work each is. The same for every policy. */
import { Arrivals } from './arrivals.ts';
import { Random } from './random.ts';
import type { Method, Scenario } from './scenario.ts';

// Streams of random numbers; those of the world are in `world.ts`.
const ARRIVALS = 0;
const WORK = 1;
const CALLERS = 2;

export class Workload {
  private readonly scenario: Scenario;
  private readonly arrivals: Arrivals;
  private readonly work: Random;
  private readonly callers: Random;

  constructor(scenario: Scenario, seed: number) {
    this.scenario = scenario;
    this.arrivals = new Arrivals(scenario, new Random(seed, ARRIVALS));
    this.work = new Random(seed, WORK);
    this.callers = new Random(seed, CALLERS);
  }

  /** Time of the call after `now`. */
  next(now: number): number {
    return this.arrivals.next(now);
  }

  /** Work of the call that `next` told of last: ms at speed 1. */
  drawWork(): number {
    const recorded = this.arrivals.recordedMs();
    if (!Number.isNaN(recorded)) return recorded;
    const { law, meanMs } = this.drawMethod();
    switch (law.kind) {
      case 'fixed':
        return meanMs;
      case 'lognormal':
        return meanMs * this.work.logNormal(law.sigma);
      case 'pareto':
        return meanMs * this.work.boundedPareto(law.alpha, law.range);
      default:
        return meanMs * this.work.exponential();
    }
  }

  /** The balancer that the call comes to, of so many. */
  drawBalancer(balancers: number): number {
    const { skew } = this.scenario.load;
    const drawn = this.callers.next();
    if (balancers === 1) return 0;
    if (skew === 0) return Math.floor(drawn * balancers);
    if (drawn < skew) return 0;
    return 1 + Math.floor(((drawn - skew) / (1 - skew)) * (balancers - 1));
  }

  private drawMethod(): Method {
    const { methods } = this.scenario;
    const first = methods[0] as Method;
    if (methods.length === 1) return first;
    const sum = methods.reduce((shares, method) => shares + method.share, 0);
    let left = this.work.next() * sum;
    for (const method of methods) {
      left -= method.share;
      if (left < 0) return method;
    }
    return first;
  }
}
