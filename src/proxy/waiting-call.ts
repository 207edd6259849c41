/** A call in the queue of its pool. */
import type { Pool } from '../core/pool.ts';
import type { Waiter } from '../core/wait-queue.ts';
import type { Status } from '../grpc/status.ts';
import type { HeaderList } from '../http2/http2.ts';
import type { Call } from './call.ts';

/** How a call ended at a backend, for when it cannot be sent again after all. */
export interface Ending {
  readonly status: Status;
  /** What the backend did, to follow its name. */
  readonly why: string;
  /** Its answer, where it gave one: trailers-only. */
  readonly answer: HeaderList | undefined;
}

/** What a call is placed with. */
export interface Attempt {
  /** What the backend before failed by, to follow its name; empty where there was none. */
  readonly why: string;
  /** Whether one that was tried before may be taken where there is no other. */
  readonly mayReturn: boolean;
  /** What the call ends with where it cannot go anywhere. */
  readonly ending: Ending | undefined;
}

export class WaitingCall implements Waiter {
  readonly call: Call;
  readonly pool: Pool;
  readonly attempt: Attempt;
  readonly since: number;
  ticket = -1;

  constructor(call: Call, pool: Pool, attempt: Attempt, now: number) {
    this.call = call;
    this.pool = pool;
    this.attempt = attempt;
    this.since = now;
  }

  turn(now: number): boolean | 'left' {
    return this.call.turn(this, now);
  }

  tooLate(now: number): void {
    this.call.waitedInVain(this, now);
  }

  poolEnded(): void {
    this.call.poolEnded(this);
  }
}
