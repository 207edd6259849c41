/** Field names that the proxy looks at, as kinds of the HTTP/2 engine, so that finding one costs nothing. */
import { ORCA_TRAILER } from '../grpc/orca.ts';
import { NameKind } from '../http2/http2.ts';

const FIRST = NameKind.FIRST_FREE;

export const Field = {
  GRPC_STATUS: FIRST,
  GRPC_MESSAGE: FIRST + 1,
  GRPC_TIMEOUT: FIRST + 2,
  ORCA: FIRST + 3,
  PUSHBACK: FIRST + 4,
  HASH_KEY: FIRST + 5,
  ZONE: FIRST + 6,
  /** Any other name with our prefix; it is stripped. */
  RESERVED: FIRST + 7,
  /** W3C Trace Context. */
  TRACEPARENT: FIRST + 8,
  TRACESTATE: FIRST + 9,
} as const;

/** For who observes calls. */
export const { TRACEPARENT, TRACESTATE } = Field;

const NAMES: ReadonlyMap<string, number> = new Map([
  ['grpc-status', Field.GRPC_STATUS],
  ['grpc-message', Field.GRPC_MESSAGE],
  ['grpc-timeout', Field.GRPC_TIMEOUT],
  [ORCA_TRAILER, Field.ORCA],
  ['grpc-retry-pushback-ms', Field.PUSHBACK],
  ['heapmesh-hash-key', Field.HASH_KEY],
  ['heapmesh-zone', Field.ZONE],
  ['traceparent', Field.TRACEPARENT],
  ['tracestate', Field.TRACESTATE],
]);

export function classifyField(name: string): number {
  return NAMES.get(name) ?? (name.startsWith('heapmesh-') ? Field.RESERVED : 0);
}

/** True for names that are for this hop alone and do not go on to a backend. */
export function isOurs(kind: number): boolean {
  return kind === Field.HASH_KEY || kind === Field.ZONE || kind === Field.RESERVED;
}
