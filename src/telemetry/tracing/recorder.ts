/** Makes spans and hands them on: what the spans of calls and of picks have in common. */
import type { Attributes } from '@opentelemetry/api';
import { ATTR_ERROR_TYPE, ATTR_RPC_METHOD, ATTR_RPC_SYSTEM_NAME } from '@opentelemetry/semantic-conventions';
import { ATTR_RPC_RESPONSE_STATUS_CODE } from '@opentelemetry/semantic-conventions/incubating';
import { TRACING_LIMITS } from '../../core/limits.ts';
import { statusName } from '../../grpc/status.ts';
import type { TraceParent } from '../../grpc/trace-context.ts';
import type { ExportQueue } from './export-queue.ts';
import { Ids } from './ids.ts';
import type { Sampling } from './sampling.ts';
import { RecordedSpan, SpanKind } from './span.ts';

export interface RecorderOptions {
  readonly queue: ExportQueue;
  readonly sampling: Sampling;
  /** Monotonic clock and wall clock, ms. */
  readonly now: () => number;
  readonly wall: () => number;
}

/** Codes that are the server's fault (semantic conventions for gRPC, "Server" span status). */
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

export class Recorder {
  readonly queue: ExportQueue;
  readonly sampling: Sampling;
  readonly now: () => number;
  private readonly wall: () => number;
  private readonly ids = new Ids();
  private offsetMs = 0;

  constructor(options: RecorderOptions) {
    this.queue = options.queue;
    this.sampling = options.sampling;
    this.now = options.now;
    this.wall = options.wall;
    this.setClock();
  }

  /** Follows the wall clock, which may have been set; to be called now and then. */
  setClock(): void {
    this.offsetMs = this.wall() - this.now();
  }

  /** @param startMs monotonic clock @param parent undefined begins a trace */
  start(
    name: string,
    kind: SpanKind,
    parent: TraceParent | undefined,
    parentIsRemote: boolean,
    tracestate: string,
    startMs: number,
    attributes: Attributes,
  ): RecordedSpan {
    const { ids } = this;
    const traceId = parent === undefined ? ids.trace() : parent.traceId;
    const at = startMs + this.offsetMs;
    return new RecordedSpan(
      name,
      kind,
      traceId,
      ids.span(),
      parent,
      parentIsRemote,
      tracestate,
      at,
      attributes,
    );
  }

  /** Attributes that every span of a call begins with. */
  rpc(method: string): Attributes {
    return { [ATTR_RPC_SYSTEM_NAME]: 'grpc', [ATTR_RPC_METHOD]: method };
  }

  /** Wall clock for a time of the monotonic clock, ms. */
  at(ms: number): number {
    return ms + this.offsetMs;
  }

  /** Ends a span of a call. @param endMs monotonic clock @param message why, where it is not OK */
  end(span: RecordedSpan, endMs: number, status: number, message: string): void {
    const name = statusName(status);
    span.set(ATTR_RPC_RESPONSE_STATUS_CODE, name);
    const isError = span.kind === SpanKind.SERVER ? SERVER_ERRORS.has(name) : status !== 0;
    if (isError) {
      span.set(ATTR_ERROR_TYPE, name);
      span.isError = true;
      span.statusMessage = message.slice(0, TRACING_LIMITS.spanText);
    }
    this.finish(span, endMs);
  }

  /** Ends a span that is no call's. */
  finish(span: RecordedSpan, endMs: number): void {
    // Not before its start, where the wall clock was set meanwhile.
    span.endMs = Math.max(span.startMs, this.at(endMs));
    this.queue.add(span);
  }
}
