/** What a call needs of the proxy that it is in. */
import type { LeaseTable } from '../core/lease.ts';
import type { LeaseKind } from '../core/load-table.ts';
import type { Status } from '../grpc/status.ts';
import type { HeaderList } from '../http2/http2.ts';
import type { Backend } from './backend.ts';
import type { Call } from './call.ts';

export interface CallHost {
  readonly RELAYED: LeaseKind;
  readonly leases: LeaseTable;
  /** Octets of a request that are kept so that it can be sent again. */
  readonly replayBytes: number;
  /** Backends that one call may be sent to. */
  readonly attempts: number;
  /** Monotonic clock, ms. */
  now(): number;
  backendOf(slot: number): Backend;
  /** The code that a `grpc-status` field says. */
  statusOf(list: HeaderList, at: number): Status;
  /** Feeds a per-call load report, where there is one. */
  orca(call: Call, list: HeaderList): void;
  /**
   * How long to wait before the call is sent again by the policy of its pool, ms; −1: it is not. Takes from
   * the budget where it is.
   */
  mayRetry(call: Call, status: Status, list: HeaderList | undefined): number;
  /** Completes the call's lease. */
  settle(call: Call, status: Status): void;
  /** Takes a call back that nobody holds any more. */
  freeIfDone(call: Call): void;
}
