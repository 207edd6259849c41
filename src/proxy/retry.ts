/** When a call that a backend has failed is sent again: by the pool's policy, within a budget. */
import { PROXY_LIMITS } from '../core/limits.ts';
import type { Pool } from '../core/pool.ts';
import type { Status } from '../grpc/status.ts';
import type { HeaderList } from '../http2/http2.ts';
import { Field } from './fields.ts';

export interface RetryPolicy {
  /** Codes that are sent again. */
  readonly codes: ReadonlySet<Status>;
  /** Attempts in all, the first included. */
  readonly attempts: number;
  /** Most retries as a share of calls: a failing pool must not get twice the load. */
  readonly budget: number;
}

/** A pool's budget, in retries. */
interface Budget {
  have: number;
  /** When it was filled up last, ms. */
  at: number;
}

export class Retries {
  /** A delay that says: it would be sent again, had the budget not been spent. Below 0 as well. */
  static readonly SPENT = -2;
  private readonly budgets = new WeakMap<Pool, Budget>();
  private readonly policyOf: (service: string) => RetryPolicy | undefined;

  constructor(policyOf: (service: string) => RetryPolicy | undefined) {
    this.policyOf = policyOf;
  }

  /** A call came: it earns its share of a retry. */
  earn(pool: Pool): void {
    const policy = this.policyOf(pool.service);
    if (policy === undefined) return;
    const budget = this.budgets.get(pool);
    const { retriesPerSecond, retryMemoryCalls } = PROXY_LIMITS;
    const most = retriesPerSecond + policy.budget * retryMemoryCalls;
    if (budget === undefined)
      this.budgets.set(pool, { have: retriesPerSecond, at: Number.NEGATIVE_INFINITY });
    else budget.have = Math.min(most, budget.have + policy.budget);
  }

  /**
   * How long to wait before the call is sent again, ms; below 0: it is not.
   *
   * @param attempts made so far
   * @param list the answer, where there is one: its backend may ask for time, or for no retry at all
   * @param now monotonic clock, ms
   */
  delayMs(pool: Pool, status: Status, attempts: number, list: HeaderList | undefined, now: number): number {
    const policy = this.policyOf(pool.service);
    if (policy === undefined || attempts >= policy.attempts || !policy.codes.has(status)) return -1;
    const asked = list?.find(Field.PUSHBACK) ?? -1;
    let delay = 0;
    if (asked >= 0) {
      // gRFC A6: a negative or unreadable value means "do not retry".
      const text = (list as HeaderList).value(asked);
      if (!/^\d{1,9}$/.test(text)) return -1;
      delay = Number(text);
    }
    const budget = this.budgets.get(pool);
    if (budget === undefined) return -1;
    const { retriesPerSecond } = PROXY_LIMITS;
    if (now - budget.at >= 1_000) {
      budget.have = Math.max(budget.have, retriesPerSecond);
      budget.at = now;
    }
    if (budget.have < 1) return Retries.SPENT;
    budget.have--;
    return delay;
  }
}
