/**
 * What becomes of a call that no backend can be picked for: the one place where that is decided. It fails at
 * once, or it waits in the queue of its pool.
 */
import { PickFailure } from '../core/core.ts';
import type { Pool } from '../core/pool.ts';
import { WaitFailure } from '../core/wait-queue.ts';
import { Status } from '../grpc/status.ts';
import type { Call } from './call.ts';
import { type Attempt, WaitingCall } from './waiting-call.ts';

/** How a call ends. */
export interface Refusal {
  readonly status: Status;
  readonly message: string;
  /** How long the caller should wait before it tries again (`grpc-retry-pushback-ms`), ms; 0: not said. */
  readonly pushbackMs: number;
}

export class NoLease {
  /** Uniform in [0, 1). */
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  /** Lets the call wait, or says how it ends. */
  decide(call: Call, pool: Pool, failed: PickFailure, attempt: Attempt, now: number): Refusal | undefined {
    // Others wait already: what for, the pool knows.
    const failure = failed === PickFailure.ALL_FULL && pool.isDown ? PickFailure.NONE_HEALTHY : failed;
    if (!pool.mayWait(failure)) return this.refusal(pool, failure, attempt.why);
    const { queue } = pool;
    const waiter = new WaitingCall(call, pool, attempt, now);
    const deadline = Math.min(now + queue.maxWaitMs, call.deadline);
    const ticket = queue.enter(waiter, deadline, now, pool.expectation());
    if (ticket >= 0) {
      waiter.ticket = ticket;
      call.wait = waiter;
      return undefined;
    }
    const pushbackMs = queue.pushback(this.random());
    const full = `all ${pool.eligible} backends of ${pool.service} are at their max_concurrency`;
    const crowd = `${queue.size} calls wait`;
    const message =
      ticket === WaitFailure.OVERFULL
        ? `${full} and ${crowd}, as many as may`
        : `${full}: it could not be served within ${Math.round(deadline - now)} ms (${crowd}, ${queue.rate(now).toFixed(1)} a second get one)`;
    return { status: Status.RESOURCE_EXHAUSTED, message: `${message}${tried(attempt.why)}`, pushbackMs };
  }

  /** How one ends that has waited in vain. */
  late(pool: Pool, why: string, waitedMs: number, now: number): Refusal {
    const waited = `waited ${Math.round(waitedMs)} ms in vain`;
    if (pool.isDown) {
      const refusal = this.refusal(pool, PickFailure.NONE_HEALTHY, why);
      return { ...refusal, message: `${waited}: ${refusal.message}` };
    }
    const { queue } = pool;
    queue.pushbackMs = (queue.size * 1_000) / queue.rate(now);
    const message = `${waited} for one of ${pool.eligible} backends of ${pool.service}, which are at their max_concurrency${tried(why)}`;
    return { status: Status.RESOURCE_EXHAUSTED, message, pushbackMs: queue.pushback(this.random()) };
  }

  /** @param why what the backend that was tried last failed by; empty where none was tried */
  refusal(pool: Pool, failure: PickFailure, why: string): Refusal {
    const refuse = (status: Status, message: string): Refusal => ({ status, message, pushbackMs: 0 });
    switch (failure) {
      case PickFailure.ALL_FULL:
        return refuse(
          Status.RESOURCE_EXHAUSTED,
          `all backends of ${pool.service} are at their max_concurrency${tried(why)}`,
        );
      case PickFailure.EXCLUDED:
        return refuse(Status.UNAVAILABLE, `backend ${why}`);
      case PickFailure.EMPTY:
        return refuse(Status.UNAVAILABLE, `${pool.service} has no backend${tried(why)}`);
      default: {
        const { standby, draining, ejected } = pool.counts();
        const counts = `${standby} standby, ${draining} draining, ${ejected} ejected`;
        const message = `no backend of ${pool.service} takes calls (${counts})${tried(why)}`;
        return refuse(Status.UNAVAILABLE, message);
      }
    }
  }
}

function tried(why: string): string {
  return why === '' ? '' : `; the last one tried, backend ${why}`;
}
