/** What a call needs of the proxy that it is in. */
import type { PickWant } from '../core/pick.ts';
import type { Pool } from '../core/pool.ts';
import type { Status } from '../grpc/status.ts';
import type { HeaderList, KeptList } from '../http2/http2.ts';
import type { Backend } from './backend.ts';
import type { Call } from './call.ts';
import type { NoLease } from './no-lease.ts';
import type { CallObserver } from './observer.ts';

export interface CallHost {
  /** Who is told of calls; undefined where nobody is. */
  readonly observer: CallObserver | undefined;
  /** Monotonic clock, ms. */
  now(): number;
  poolOf(service: string): Pool | undefined;
  /** Picks: a lease, or a `PickFailure` below 0. */
  pick(pool: Pool, now: number, want: PickWant | undefined, call: Call): number;
  /** What becomes of a call without a lease. */
  readonly noLease: NoLease;
  /** Slot of the backend that a lease is on. */
  slotOf(lease: number): number;
  backendOf(slot: number): Backend;
  /** Completes a lease; `latencyMs` is how long the backend had the call. @param now monotonic clock, ms */
  complete(lease: number, status: Status, now: number, latencyMs: number): void;
  /** A call carries nothing any more, or does so again. */
  rest(lease: number, rests: boolean, now: number): void;
  /** Feeds a per-call load report, where there is one. */
  reported(call: Call, list: HeaderList): void;
  /**
   * How long to wait before the call is sent again by the policy of its pool, ms; −1: it is not. Takes from
   * the budget where it is.
   */
  retryAfter(call: Call, status: Status, list: HeaderList | undefined): number;
  /** The head of a request that is kept, until the next one is asked for. */
  headOf(kept: KeptList): HeaderList;
  /** Takes the head of a request back. */
  dropHead(kept: KeptList): void;
  /** Takes a call back that neither end holds any more. */
  freeIfDone(call: Call): void;
}
