/**
 * gRPC status codes, and what other layers' endings mean as one.
 *
 * Sources: grpc `doc/statuscodes.md`, `doc/http-grpc-status-mapping.md`, `doc/PROTOCOL-HTTP2.md`.
 */
import { Outcome } from '../core/core.ts';

/** The seventeen codes of gRPC. */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** Names by code. */
export const STATUS_NAMES = Object.keys(Status) as readonly (keyof typeof Status)[];

/** The name of a code, `CODE(42)` for one that gRPC does not know. */
export function statusName(code: number): string {
  return STATUS_NAMES[code] ?? `CODE(${code})`;
}

/**
 * Reads the value of a `grpc-status` field.
 *
 * @returns the code; `UNKNOWN` for text that is not a code, as grpc's clients read it.
 */
export function parseStatus(buffer: Uint8Array, start: number, end: number): Status {
  const length = end - start;
  const first = (buffer[start] ?? 0) - 0x30;
  if (length === 1 && first >= 0 && first <= 9) return first as Status;
  if (length === 2 && first === 1) {
    const second = (buffer[start + 1] ?? 0) - 0x30;
    if (second >= 0 && second <= 6) return (10 + second) as Status;
  }
  return Status.UNKNOWN;
}

const OUTCOMES: readonly Outcome[] = STATUS_NAMES.map(name => {
  switch (name) {
    case 'UNKNOWN':
    case 'DEADLINE_EXCEEDED':
    case 'RESOURCE_EXHAUSTED':
    case 'UNIMPLEMENTED':
    case 'INTERNAL':
    case 'UNAVAILABLE':
    case 'DATA_LOSS':
      return Outcome.FAILURE;
    case 'CANCELLED':
      return Outcome.NEUTRAL;
    default:
      // The rest say that the caller erred or that the application refused: the backend did its work.
      return Outcome.SUCCESS;
  }
});

/** What a call's status says of the backend that gave it. A code that gRPC does not know counts as UNKNOWN. */
export function outcomeOf(status: number): Outcome {
  return OUTCOMES[status] ?? Outcome.FAILURE;
}

/** The status of a response without `grpc-status`, by its HTTP status (`http-grpc-status-mapping.md`). */
export function statusOfHttp(httpStatus: number): Status {
  switch (httpStatus) {
    // 431 is not in grpc's table. It is the peer's 400 for a header list that is too long.
    case 400:
    case 431:
      return Status.INTERNAL;
    case 401:
      return Status.UNAUTHENTICATED;
    case 403:
      return Status.PERMISSION_DENIED;
    case 404:
      return Status.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status.UNAVAILABLE;
    default:
      return Status.UNKNOWN;
  }
}

/**
 * The status of a call that its peer ended by RST_STREAM, by the HTTP/2 error code (`PROTOCOL-HTTP2.md`,
 * "Errors"). STREAM_CLOSED has no mapping there and is a fault of the transport like its neighbours; codes
 * beyond RFC 9113's are UNKNOWN.
 */
export function statusOfReset(errorCode: number): Status {
  switch (errorCode) {
    case 0x7: // REFUSED_STREAM: not processed, safe to retry
      return Status.UNAVAILABLE;
    case 0x8: // CANCEL
      return Status.CANCELLED;
    case 0xb: // ENHANCE_YOUR_CALM
      return Status.RESOURCE_EXHAUSTED;
    case 0xc: // INADEQUATE_SECURITY
      return Status.PERMISSION_DENIED;
    default:
      return errorCode >= 0 && errorCode <= 0xa ? Status.INTERNAL : Status.UNKNOWN;
  }
}
