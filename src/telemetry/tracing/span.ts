/**
 * A span as it is recorded here: an object with fields, which becomes what the exporters of OpenTelemetry read
 * (`ReadableSpan`) as they read it. The SDK's own spans cost several times as much (docs/decisions/0013).
 */
import {
  type Attributes,
  type AttributeValue,
  type HrTime,
  type Link,
  type SpanContext,
  type SpanKind,
  type SpanStatus,
  SpanStatusCode,
} from '@opentelemetry/api';
import type { InstrumentationScope } from '@opentelemetry/core';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace-base';
import { TRACING_LIMITS } from '../../core/limits.ts';
import type { TraceParent } from '../../grpc/trace-context.ts';

export { SpanKind, SpanStatusCode } from '@opentelemetry/api';

/** What all spans of a process share. */
export interface SpanSource {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
}

const UNSET: SpanStatus = { code: SpanStatusCode.UNSET };
/** What the exporters take for none. */
const NO_PARENT: TraceParent = { traceId: '', spanId: '', flags: 0 };
const NO_LINKS: Link[] = [];
const NO_EVENTS: TimedEvent[] = [];

export class RecordedSpan implements ReadableSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  readonly parent: TraceParent | undefined;
  readonly parentIsRemote: boolean;
  readonly tracestate: string;
  /** Wall clock, ms since 1970. */
  readonly startMs: number;
  endMs = 0;
  readonly attributes: Attributes;
  status: SpanStatus = UNSET;
  links: Link[] = NO_LINKS;
  events: TimedEvent[] = NO_EVENTS;
  droppedEventsCount = 0;
  readonly droppedAttributesCount = 0;
  readonly droppedLinksCount = 0;
  private readonly source: SpanSource;
  private parentContext: SpanContext | undefined;

  constructor(
    source: SpanSource,
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
    this.source = source;
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
    if (this.events.length >= TRACING_LIMITS.spanEvents) {
      this.droppedEventsCount++;
      return;
    }
    if (this.events === NO_EVENTS) this.events = [];
    this.events.push({ name, time: hrTime(atMs), ...(attributes === undefined ? {} : { attributes }) });
  }

  link(to: TraceParent): void {
    const { traceId, spanId, flags } = to;
    this.links = [...this.links, { context: { traceId, spanId, traceFlags: flags, isRemote: true } }];
  }

  /** As a parent for others. */
  get asParent(): TraceParent {
    return { traceId: this.traceId, spanId: this.spanId, flags: 1 };
  }

  // As the exporters read it

  spanContext(): SpanContext {
    return contextOf(this.traceId, this.spanId, false, this.tracestate);
  }

  /** Kept: the serializer asks for it several times. */
  get parentSpanContext(): SpanContext {
    const { traceId, spanId } = this.parent ?? NO_PARENT;
    this.parentContext ??= contextOf(traceId, spanId, this.parentIsRemote, this.tracestate);
    return this.parentContext;
  }

  get startTime(): HrTime {
    return hrTime(this.startMs);
  }

  get endTime(): HrTime {
    return hrTime(this.endMs);
  }

  get duration(): HrTime {
    return hrTime(this.endMs - this.startMs);
  }

  get ended(): boolean {
    return this.endMs > 0;
  }

  get resource(): Resource {
    return this.source.resource;
  }

  get instrumentationScope(): InstrumentationScope {
    return this.source.scope;
  }
}

function contextOf(traceId: string, spanId: string, isRemote: boolean, tracestate: string): SpanContext {
  const context = { traceId, spanId, traceFlags: 1, isRemote };
  if (tracestate === '') return context;
  const state = {
    set: () => state,
    unset: () => state,
    get: () => undefined,
    serialize: () => tracestate,
  };
  return { ...context, traceState: state };
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6))];
}
