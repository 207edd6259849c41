/** When a call that a backend has failed is sent again: by the pool's policy, within a budget. */
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

/** Retries that a pool may always make, so that a quiet one can retry at all. */
const FLOOR = 3;
/** Calls over which the budget is counted: it holds this many calls' worth at most. */
const MEMORY_CALLS = 1000;

export class Retries {
  private readonly tokens = new Map<string, number>();
  private readonly policyOf: (service: string) => RetryPolicy | undefined;

  constructor(policyOf: (service: string) => RetryPolicy | undefined) {
    this.policyOf = policyOf;
  }

  /** Whether calls of a pool may ever be sent again by policy. */
  has(pool: Pool): boolean {
    return this.policyOf(pool.service) !== undefined;
  }

  /** A call came: it earns its share of a retry. */
  earn(pool: Pool): void {
    const policy = this.policyOf(pool.service);
    if (policy === undefined) return;
    const have = this.tokens.get(pool.service) ?? FLOOR;
    this.tokens.set(pool.service, Math.min(FLOOR + policy.budget * MEMORY_CALLS, have + policy.budget));
  }

  /**
   * How long to wait before the call is sent again, ms; −1: it is not.
   * @param attempts made so far
   * @param list the answer, where there is one: its backend may ask for time, or for no retry at all
   */
  delayMs(pool: Pool, status: Status, attempts: number, list: HeaderList | undefined): number {
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
    const have = this.tokens.get(pool.service) ?? FLOOR;
    if (have < 1) return -1;
    this.tokens.set(pool.service, have - 1);
    return delay;
  }
}
