/** The server span of a call, by the tracer that was handed in. */
import type { CallTrace, CallTracer } from '../grpc/call-tracer.ts';

/** What both libraries' metadata can do. */
interface MetadataLike {
  set(key: string, value: string): unknown;
}

/**
 * Begins the span of a call that has come, where it is sampled, and puts its context in the place of the caller's, for
 * calls that the handler makes.
 *
 * @param read a value of the metadata; empty where there is none
 */
export function beginTrace(
  tracer: CallTracer,
  path: string,
  metadata: MetadataLike,
  read: (name: string) => string,
): CallTrace | undefined {
  const traceparent = read('traceparent');
  const parent = traceparent === '' ? undefined : { traceparent, tracestate: read('tracestate') };
  const trace = tracer.begin({ kind: 'server', method: path.slice(1), parent });
  if (trace !== undefined) metadata.set('traceparent', trace.context.traceparent);
  return trace;
}
