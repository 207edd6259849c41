/** What becomes of a call that no backend can be picked for: the one place where that is decided. */
import { PickFailure } from '../core/core.ts';
import type { Pool } from '../core/pool.ts';
import { Status } from '../grpc/status.ts';

/** How a call ends. */
export interface Refusal {
  readonly status: Status;
  readonly message: string;
}

/**
 * It fails, at once.
 *
 * @param why what the backend that was tried last failed by; empty where none was tried
 */
export function withoutLease(pool: Pool, failure: PickFailure, why: string): Refusal {
  const tried = why === '' ? '' : `; the last one tried, backend ${why}`;
  switch (failure) {
    case PickFailure.ALL_FULL:
      return {
        status: Status.RESOURCE_EXHAUSTED,
        message: `all backends of ${pool.service} are at their max_concurrency${tried}`,
      };
    case PickFailure.EXCLUDED:
      return { status: Status.UNAVAILABLE, message: `backend ${why}` };
    case PickFailure.EMPTY:
      return { status: Status.UNAVAILABLE, message: `${pool.service} has no backend${tried}` };
    default: {
      const { standby, draining, ejected } = pool.counts();
      const counts = `${standby} standby, ${draining} draining, ${ejected} ejected`;
      return {
        status: Status.UNAVAILABLE,
        message: `no backend of ${pool.service} takes calls (${counts})${tried}`,
      };
    }
  }
}
