/** Counts the calls of a grpc-js server. */
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { REPORTER_LIMITS } from '../core/limits.ts';
import type { CallTrace, CallTracer } from '../grpc/call-tracer.ts';
import { ORCA_TRAILER } from '../grpc/orca.ts';
import { Status } from '../grpc/status.ts';
import type { CallCounter, CallHandle } from './calls.ts';
import type { PerCallReports } from './per-call.ts';
import { beginTrace } from './traced.ts';

// grpc-js does not export these two by name.
type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];
type CallStatus = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

export function grpcJsInterceptor(
  calls: CallCounter,
  { ignoreMethod, tracer }: CountedMethods,
  perCall: PerCallReports | undefined,
): ServerInterceptor {
  return ({ path }, call) =>
    ignoreMethod(path)
      ? new ServerInterceptingCall(call)
      : new CountedCall(call, calls, perCall, path, tracer);
}

export interface CountedMethods {
  readonly ignoreMethod: (path: string) => boolean;
  readonly tracer: CallTracer | undefined;
}

/**
 * Begins with the request's metadata: a call that is cancelled before that never gets an end from
 * grpc-js (`BaseServerInterceptingCall.start` returns without keeping its listener). Ends with
 * `onCancel`, which grpc-js calls exactly once for every call: after the trailers were handed to the
 * transport, or when the stream is gone, or when its deadline has passed.
 */
class CountedCall extends ServerInterceptingCall {
  readonly #calls: CallCounter;
  readonly #perCall: PerCallReports | undefined;
  readonly #path: string;
  readonly #tracer: CallTracer | undefined;
  #status: number | undefined;
  #details = '';

  constructor(
    call: ServerInterceptingCallInterface,
    calls: CallCounter,
    perCall: PerCallReports | undefined,
    path: string,
    tracer: CallTracer | undefined,
  ) {
    super(call);
    this.#calls = calls;
    this.#perCall = perCall;
    this.#path = path;
    this.#tracer = tracer;
  }

  override start(listener: Listener): void {
    let handle: CallHandle | undefined;
    let trace: CallTrace | undefined;
    const tracer = this.#tracer;
    super.start({
      onReceiveMetadata: metadata => {
        handle = this.#calls.begin();
        if (tracer !== undefined) {
          const read = (name: string) => metadata.get(name)[0]?.toString() ?? '';
          trace = beginTrace(tracer, this.#path, metadata, read);
        }
        listener.onReceiveMetadata(metadata);
      },
      onReceiveMessage: message => listener.onReceiveMessage(message),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel: () => {
        const status = this.#status ?? this.#whyCancelled();
        handle?.end(status);
        trace?.end(status, this.#details);
        listener.onCancel();
      },
    });
  }

  override sendStatus(status: CallStatus): void {
    this.#status = status.code ?? Status.UNKNOWN;
    this.#details = status.details ?? '';
    if (this.#perCall === undefined) {
      super.sendStatus(status);
      return;
    }
    const metadata = status.metadata?.clone() ?? new Metadata();
    metadata.set(ORCA_TRAILER, this.#perCall.current());
    super.sendStatus({ ...status, metadata });
  }

  /** grpc-js ends a call at its deadline by itself, and callers cancel at the same moment. */
  #whyCancelled(): number {
    const deadline = this.getDeadline();
    const at = typeof deadline === 'number' ? deadline : deadline.getTime();
    return Date.now() >= at - REPORTER_LIMITS.deadlineSlackMs ? Status.DEADLINE_EXCEEDED : Status.CANCELLED;
  }
}
