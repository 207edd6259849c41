/** What has happened in the proxy since its start beyond its calls, as plain numbers that are read at scrape time. */
import type { PickFailure } from '../core/core.ts';
import { ErrorCode, type ResetCause } from '../http2/http2.ts';

/** Error codes of RFC 9113, and one for what is none of them. */
const CODES = Object.keys(ErrorCode).length + 1;

export class ProxyCounters {
  /** Connections of callers that were taken in. */
  accepted = 0;
  /** Connections to backends that were begun, that got ready, and that ended before that. */
  dialled = 0;
  connected = 0;
  unreachable = 0;
  /** Connections to backends that were lost while they had calls. */
  broken = 0;
  /** GOAWAY frames of backends. */
  goaways = 0;
  /** Requests that were no gRPC. */
  notGrpc = 0;
  /** Calls that had to wait for a stream. */
  waited = 0;
  /** Calls turned away by a limit: as many waited for that backend as may. */
  queueFull = 0;
  /** Times that one more connection to a backend would have helped, and there were as many as there may be. */
  connectionsFull = 0;
  /** Retries that the budget of their pool did not allow. */
  budgetSpent = 0;
  /** Streams reset by callers, by error code. */
  readonly callerResets = new Float64Array(CODES);
  /** Streams at backends that ended before their time, by cause and error code. */
  readonly backendResets: readonly Float64Array[] = Array.from({ length: 4 }, () => new Float64Array(CODES));
  /** Picks without a lease, by `-PickFailure`. */
  readonly noLease = new Float64Array(5);

  callerReset(code: number): void {
    add(this.callerResets, code);
  }

  backendReset(cause: ResetCause, code: number): void {
    add(this.backendResets[cause] as Float64Array, code);
  }

  pickFailed(failure: PickFailure): void {
    add(this.noLease, -failure);
  }
}

function add(counts: Float64Array, at: number): void {
  const place = at < counts.length ? at : counts.length - 1;
  counts[place] = (counts[place] as number) + 1;
}

/** How things stand with one backend. */
export interface BackendGauges {
  connections: number;
  /** Streams that are open. */
  streams: number;
  /** Connections that take no more streams, by the backend's limit. */
  full: number;
  /** Connections on which calls wait for the backend to read: its window for the connection is used up. */
  stalled: number;
  /** Calls that wait for a stream. */
  waiting: number;
}
