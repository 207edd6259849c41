/** A span as it is recorded: an object with fields, until it ends and becomes octets (`encoder.ts`). */
import { type Attributes, type AttributeValue, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { TRACING_LIMITS } from '../../core/limits.ts';
import type { TraceParent } from '../../grpc/trace-context.ts';

export { SpanKind, SpanStatusCode };

interface SpanEvent {
  readonly name: string;
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  readonly attributes: Attributes | undefined;
}

const NO_LINKS: readonly TraceParent[] = [];
const NO_EVENTS: readonly SpanEvent[] = [];

export class RecordedSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  readonly parent: TraceParent | undefined;
  readonly parentIsRemote: boolean;
  readonly tracestate: string;
  /** Wall clock, ms since 1970. */
  readonly startMs: number;
  /** 0: it has not ended. */
  endMs = 0;
  readonly attributes: Attributes;
  isError = false;
  statusMessage = '';
  links = NO_LINKS;
  events = NO_EVENTS;
  droppedEvents = 0;

  constructor(
    name: string,
    kind: SpanKind,
    traceId: string,
    spanId: string,
    parent: TraceParent | undefined,
    parentIsRemote: boolean,
    tracestate: string,
    startMs: number,
    attributes: Attributes,
  ) {
    this.name = name;
    this.kind = kind;
    this.traceId = traceId;
    this.spanId = spanId;
    this.parent = parent;
    this.parentIsRemote = parentIsRemote;
    this.tracestate = tracestate;
    this.startMs = startMs;
    this.attributes = attributes;
  }

  set(name: string, value: AttributeValue): void {
    this.attributes[name] = value;
  }

  event(name: string, atMs: number, attributes?: Attributes): void {
    if (this.events.length >= TRACING_LIMITS.spanEvents) this.droppedEvents++;
    else this.events = [...this.events, { name, atMs, attributes }];
  }

  link(to: TraceParent): void {
    this.links = [...this.links, to];
  }

  /** As a parent for others. */
  get asParent(): TraceParent {
    return { traceId: this.traceId, spanId: this.spanId, flags: 1 };
  }
}

/** Seconds and nanoseconds. */
export function hrTime(ms: number): [seconds: number, nanos: number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6))];
}
