/** What a gRPC client takes the end of a stream for. */
import type { Outcome } from './peer.ts';

export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** gRPC's PROTOCOL-HTTP2.md, "Errors": by the code of RST_STREAM, 0 to 13. */
const BY_RESET = [13, 13, 13, 13, 13, 13, 13, 14, 1, 13, 13, 8, 7, 13];

/** Its status, else what its reset means, else UNAVAILABLE for a lost connection and UNKNOWN for no status at all. */
export function statusOf({ grpcStatus, reset, lost }: Outcome): number {
  if (grpcStatus !== undefined) return grpcStatus;
  if (reset !== undefined) return BY_RESET[reset] ?? Status.UNKNOWN;
  return lost ? Status.UNAVAILABLE : Status.UNKNOWN;
}
