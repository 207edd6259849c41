/** Whether a request is one of gRPC. */
import type { HeaderList } from '../http2/http2.ts';

/** `application/grpc`, alone or with `+proto`, `+json` ... or parameters (grpc PROTOCOL-HTTP2.md, "Requests"). */
export function isGrpc(list: HeaderList, type: number): boolean {
  const base = 'application/grpc';
  if (!list.valueStartsWith(type, base)) return false;
  if (list.valueBytes(type) === base.length) return true;
  const next = list.octet(type, base.length);
  return next === 0x2b || next === 0x3b;
}
