/**
 * Counts the calls of a nice-grpc server, by its middleware. The types are those parts of nice-grpc's
 * own that are used here, so that this SDK needs it neither at run time nor to be compiled.
 */
import { ORCA_TRAILER } from '../grpc/orca.ts';
import { Status } from '../grpc/status.ts';
import type { CallCounter } from './calls.ts';
import type { CountedMethods } from './grpc-js.ts';
import type { PerCallReports } from './per-call.ts';
import { beginTrace } from './traced.ts';

interface NiceGrpcContext {
  readonly metadata: {
    get(key: string): string | Uint8Array | undefined;
    set(key: string, value: string): unknown;
  };
  readonly trailer: { set(key: string, value: Uint8Array): unknown };
  readonly signal: AbortSignal;
}

type NiceGrpcRequest<Request> =
  | { readonly requestStream: false; readonly request: Request }
  | { readonly requestStream: true; readonly request: AsyncIterable<Request> };

type NiceGrpcResponse<Request, Response> =
  | {
      readonly responseStream: false;
      next(
        request: Request | AsyncIterable<Request>,
        context: NiceGrpcContext,
      ): AsyncGenerator<never, Response, undefined>;
    }
  | {
      readonly responseStream: true;
      next(
        request: Request | AsyncIterable<Request>,
        context: NiceGrpcContext,
      ): AsyncGenerator<Response, void, undefined>;
    };

/** Fits `ServerMiddleware` of nice-grpc. */
export type NiceGrpcMiddleware = <Request, Response>(
  call: { readonly method: { readonly path: string } } & NiceGrpcRequest<Request> &
    NiceGrpcResponse<Request, Response>,
  context: NiceGrpcContext,
  // biome-ignore lint/suspicious/noConfusingVoidType: what nice-grpc's own type says
) => AsyncGenerator<Response, Response | void, undefined>;

export function niceGrpcMiddleware(
  calls: CallCounter,
  { ignoreMethod, tracer }: CountedMethods,
  perCall: PerCallReports | undefined,
): NiceGrpcMiddleware {
  return async function* countCall(call, context) {
    const { path } = call.method;
    if (ignoreMethod(path)) return yield* call.next(call.request, context);
    const handle = calls.begin();
    const { metadata } = context;
    const trace = tracer && beginTrace(tracer, path, metadata, name => String(metadata.get(name) ?? ''));
    // A handler may go on after its call was cancelled; the call itself is over.
    const cancelled = () => {
      handle.end(Status.CANCELLED);
      trace?.end(Status.CANCELLED);
    };
    context.signal.addEventListener('abort', cancelled, { once: true });
    // Stays so where nice-grpc closes the generator of a cancelled stream.
    let status: number = Status.CANCELLED;
    let details = '';
    try {
      const result = yield* call.next(call.request, context);
      status = Status.OK;
      return result;
    } catch (error) {
      status = statusOf(error);
      details = error instanceof Error ? error.message : '';
      throw error;
    } finally {
      context.signal.removeEventListener('abort', cancelled);
      if (perCall !== undefined) context.trailer.set(ORCA_TRAILER, perCall.current());
      handle.end(status);
      trace?.end(status, details);
    }
  };
}

/** The status that nice-grpc makes of what a handler throws. */
function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null) return Status.UNKNOWN;
  const { name, code } = error as { name?: unknown; code?: unknown };
  if (name === 'AbortError') return Status.CANCELLED;
  return name === 'ServerError' && typeof code === 'number' ? code : Status.UNKNOWN;
}
