/** The port for trace context, on recorded spans. */
import type { Attributes } from '@opentelemetry/api';
import type { CallTrace, CallTracer, TraceContext, TracedCall } from '../../grpc/call-tracer.ts';
import { formatTraceparent, parseTraceparent } from '../../grpc/trace-context.ts';
import type { Recorder } from './recorder.ts';
import { type RecordedSpan, SpanKind } from './span.ts';

const KINDS = { client: SpanKind.CLIENT, server: SpanKind.SERVER, internal: SpanKind.INTERNAL } as const;

export class Tracer implements CallTracer {
  private readonly recorder: Recorder;

  constructor(recorder: Recorder) {
    this.recorder = recorder;
  }

  /** This process carries no context from call to call: what a call brings is handed in as its parent. */
  current(): TraceContext | undefined {
    return undefined;
  }

  begin(call: TracedCall): CallTrace | undefined {
    const { recorder } = this;
    const { sampling } = recorder;
    const parent = parseTraceparent(call.parent?.traceparent ?? '');
    if (!sampling.wants(parent === undefined ? -1 : ((parent.flags & 1) as 0 | 1))) return undefined;
    if (parent !== undefined && !sampling.keeps(parent.traceId)) return undefined;
    const isCall = call.kind !== 'internal';
    const attributes: Attributes = { ...(isCall ? recorder.rpc(call.method) : {}), ...call.attributes };
    const state = parent === undefined ? '' : (call.parent?.tracestate ?? '');
    const span = recorder.start(
      call.method,
      KINDS[call.kind],
      parent,
      isCall,
      state,
      recorder.now(),
      attributes,
    );
    const link = parseTraceparent(call.link?.traceparent ?? '');
    if (link !== undefined) span.link(link);
    return new Trace(recorder, span);
  }
}

class Trace implements CallTrace {
  private readonly recorder: Recorder;
  private readonly span: RecordedSpan;

  constructor(recorder: Recorder, span: RecordedSpan) {
    this.recorder = recorder;
    this.span = span;
  }

  get context(): TraceContext {
    const { traceId, spanId, tracestate, parent } = this.span;
    return { traceparent: formatTraceparent(traceId, spanId, (parent?.flags ?? 0) | 1), tracestate };
  }

  set(attribute: string, value: string | number | boolean): void {
    this.span.set(attribute, value);
  }

  end(status: number, message = ''): void {
    if (this.span.endMs === 0) this.recorder.end(this.span, this.recorder.now(), status, message);
  }
}
