/**
 * The port for trace context: the caller's context in, the context to forward or nothing out. What implements it
 * may be built on OpenTelemetry; what uses it, the two SDKs among them, knows this file alone.
 */
import type { TraceContext } from './trace-context.ts';

export type { TraceContext } from './trace-context.ts';

/** A call about to begin, or come in. */
export interface TracedCall {
  readonly kind: 'client' | 'server' | 'internal';
  /** `package.Service/Method`; what is done, where it is no call. */
  readonly method: string;
  /** What it belongs to; undefined: what the code that makes the call is in, as far as the tracer knows that. */
  readonly parent?: TraceContext | undefined;
  /** What led to it without being what it belongs to, such as the pick of its server. */
  readonly link?: TraceContext | undefined;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

export interface CallTracer {
  /** The context that the code which asks is in; undefined where there is none. It goes with a pick. */
  current(): TraceContext | undefined;
  /** Undefined: the call is not sampled, and the caller's context goes on as it is. */
  begin(call: TracedCall): CallTrace | undefined;
}

/** A call that is recorded. */
export interface CallTrace {
  /** To go with the call, in the place of the caller's. */
  readonly context: TraceContext;
  set(attribute: string, value: string | number | boolean): void;
  /** The call is over. @param status gRPC code @param message why, where it is not OK */
  end(status: number, message?: string): void;
}
