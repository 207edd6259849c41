/**
 * The spans of proxied calls: one of the call (server), one of each attempt (client), and, of a stream that stays
 * open, one of each segment, so that it is found before it ends.
 *
 * The decision whether a call is traced comes first. One that is not has no span and costs a look at its caller's
 * flags; the caller's context goes on as it came. The exception, errors and slow calls, is made from the call's slot
 * after its end.
 */
import type { Attributes } from '@opentelemetry/api';
import {
  ATTR_CLIENT_ADDRESS,
  ATTR_CLIENT_PORT,
  ATTR_RPC_METHOD_ORIGINAL,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
} from '@opentelemetry/semantic-conventions';
import { Outcome } from '../../core/core.ts';
import { TRACING_LIMITS } from '../../core/limits.ts';
import { viewPick } from '../../core/pick-view.ts';
import { outcomeOf, Status } from '../../grpc/status.ts';
import { formatTraceparent, parseTraceparent, sampledFlag } from '../../grpc/trace-context.ts';
import type { HeaderList } from '../../http2/http2.ts';
import {
  type Call,
  type CallObserver,
  EndedBy,
  endedByName,
  TRACEPARENT,
  TRACESTATE,
} from '../../proxy/proxy.ts';
import { TraceParents } from '../trace-parents.ts';
import type { Recorder } from './recorder.ts';
import { type RecordedSpan, SpanKind } from './span.ts';

export interface ProxiedCallsSettings {
  /** Calls that failed are recorded although they are not sampled. */
  readonly alwaysErrors: boolean;
  /** So are calls that took longer, ms; Infinity: none. */
  readonly alwaysSlowerThanMs: number;
  /** Time that a segment of a stream lasts, ms. */
  readonly segmentMs: number;
}

/** What was told of a stream so far. */
interface Segment {
  readonly span: RecordedSpan;
  readonly nth: number;
  readonly endMs: number;
  readonly counts: Counts;
}

interface Counts {
  readonly requests: number;
  readonly requestBytes: number;
  readonly responses: number;
  readonly responseBytes: number;
}

const NOTHING: Counts = { requests: 0, requestBytes: 0, responses: 0, responseBytes: 0 };

export class ProxiedCalls implements CallObserver {
  private readonly recorder: Recorder;
  private readonly idOf: (slot: number) => string;
  private settings: ProxiedCallsSettings;
  private always = false;
  /** By the call's index: the spans that are open. */
  private readonly calls: (RecordedSpan | undefined)[] = [];
  private readonly attempts: (RecordedSpan | undefined)[] = [];
  private readonly segments: (Segment | undefined)[] = [];
  private readonly parents = new TraceParents();
  private open = 0;
  /** Of the call that ended last: others are told of its end after this. */
  private endedIndex = -1;
  private endedTrace = '';

  /** @param idOf the id of the backend in a slot */
  constructor(recorder: Recorder, idOf: (slot: number) => string, settings: ProxiedCallsSettings) {
    this.recorder = recorder;
    this.idOf = idOf;
    this.settings = settings;
    this.configure(settings);
  }

  configure(settings: ProxiedCallsSettings): void {
    this.settings = settings;
    this.always = settings.alwaysErrors || settings.alwaysSlowerThanMs < Number.POSITIVE_INFINITY;
  }

  /** The trace that a call is recorded in; undefined where it is not. */
  traceOf(call: Call): string | undefined {
    const { index } = call;
    if (call.isOver && index === this.endedIndex) return this.endedTrace;
    return this.calls[index]?.traceId;
  }

  /** Tells of streams that are open; to be called each `tickMs`. */
  tick(eachCall: (visit: (call: Call) => void) => void): void {
    this.recorder.setClock();
    if (this.open === 0) return;
    const now = this.recorder.now();
    eachCall(call => {
      if (this.calls[call.index] === undefined || call.isOver) return;
      const since = this.segments[call.index]?.endMs ?? call.received;
      // A tick's half early rather than a whole tick late.
      if (now - since >= this.settings.segmentMs - TRACING_LIMITS.tickMs / 2) this.endSegment(call, now);
    });
  }

  // Of calls

  began(call: Call, list: HeaderList): void {
    const { sampling } = this.recorder;
    // The index was that call's.
    if (this.endedIndex === call.index) this.endedIndex = -1;
    const at = list.find(TRACEPARENT);
    if (sampling.wants(at < 0 ? -1 : flagOf(list, at))) this.begin(call, list, at);
    else if (this.always) this.parents.keep(call.index, list);
  }

  private begin(call: Call, list: HeaderList, at: number): void {
    const { recorder } = this;
    const parent = at < 0 ? undefined : parseTraceparent(list.value(at));
    if (parent !== undefined && !recorder.sampling.keeps(parent.traceId)) {
      if (this.always) this.parents.keep(call.index, list);
      return;
    }
    const state = parent === undefined ? -1 : list.find(TRACESTATE);
    this.calls[call.index] = recorder.start(
      methodOf(call),
      SpanKind.SERVER,
      parent,
      true,
      state < 0 ? '' : list.value(state),
      call.received,
      this.attributesOf(call),
    );
    this.open++;
  }

  attemptBegan(call: Call): void {
    const span = this.calls[call.index];
    if (span === undefined) return;
    const { recorder } = this;
    const attributes = recorder.rpc(methodOf(call));
    const { backend, pool, slot, facts } = call;
    if (backend !== undefined) {
      attributes[ATTR_SERVER_ADDRESS] = backend.host;
      attributes[ATTR_SERVER_PORT] = backend.port;
      attributes['heapmesh.backend'] = backend.id;
    }
    attributes['heapmesh.attempt'] = facts.sends;
    if (pool !== undefined) {
      attributes['heapmesh.pool'] = pool.service;
      const view = viewPick(pool, slot);
      if (view !== undefined) {
        attributes['heapmesh.score'] = view.score;
        if (view.runnerUp >= 0) {
          attributes['heapmesh.runner_up'] = this.idOf(view.runnerUp);
          attributes['heapmesh.runner_up.score'] = view.runnerUpScore;
        }
      }
    }
    const attempt = recorder.start(
      span.name,
      SpanKind.CLIENT,
      span.asParent,
      false,
      span.tracestate,
      call.sentAt,
      attributes,
    );
    this.attempts[call.index] = attempt;
    if (facts.sends > 1) {
      span.event('retry', recorder.at(call.sentAt), {
        'heapmesh.attempt': facts.sends,
        ...(backend === undefined ? {} : { 'heapmesh.backend': backend.id }),
      });
    }
    call.forwards = formatTraceparent(attempt.traceId, attempt.spanId, (span.parent?.flags ?? 0) | 1);
  }

  waited(call: Call, ms: number): void {
    this.attempts[call.index]?.set('heapmesh.queue_ms', round(ms));
  }

  attemptEnded(call: Call, status: Status, why: string): void {
    const attempt = this.attempts[call.index];
    if (attempt === undefined) return;
    this.attempts[call.index] = undefined;
    const { recorder } = this;
    const { answeredAt } = call.facts;
    if (answeredAt >= call.sentAt) attempt.event('response', recorder.at(answeredAt));
    recorder.end(attempt, recorder.now(), status, why);
  }

  draining(call: Call, what: string): void {
    const { recorder } = this;
    this.calls[call.index]?.event('drain', recorder.at(recorder.now()), { 'heapmesh.cause': what });
  }

  ended(call: Call, status: Status, message: string): void {
    const span = this.calls[call.index];
    if (span === undefined) {
      if (this.always) this.endedUnsampled(call, status, message);
      return;
    }
    this.calls[call.index] = undefined;
    this.open--;
    if (this.segments[call.index] !== undefined) {
      this.calls[call.index] = span;
      this.endSegment(call, call.facts.endedAt);
      this.calls[call.index] = undefined;
      this.segments[call.index] = undefined;
    }
    this.finish(span, call, status, message);
  }

  private endedUnsampled(call: Call, status: Status, message: string): void {
    const { recorder, settings } = this;
    const { endedAt } = call.facts;
    const isError = settings.alwaysErrors && outcomeOf(status) === Outcome.FAILURE;
    if (!isError && !(endedAt - call.received > settings.alwaysSlowerThanMs)) return;
    if (recorder.queue.isFull) {
      recorder.queue.drop();
      return;
    }
    const parent = parseTraceparent(this.parents.of(call.index));
    const attributes = this.attributesOf(call);
    attributes['heapmesh.unsampled'] = true;
    if (call.backend !== undefined) attributes['heapmesh.backend'] = call.backend.id;
    const span = recorder.start(methodOf(call), SpanKind.SERVER, parent, true, '', call.received, attributes);
    const { openedAt, answeredAt, sends } = call.facts;
    if (sends > 0) span.event('sent', recorder.at(call.sentAt));
    if (openedAt > call.sentAt) span.event('stream', recorder.at(openedAt));
    if (answeredAt >= call.sentAt) span.event('response', recorder.at(answeredAt));
    this.finish(span, call, status, message);
  }

  private finish(span: RecordedSpan, call: Call, status: Status, message: string): void {
    const { recorder } = this;
    const { facts } = call;
    const { endedBy, endedAt, waitedMs } = facts;
    this.endedIndex = call.index;
    this.endedTrace = span.traceId;
    span.set('heapmesh.attempts', facts.sends);
    if (waitedMs > 0) span.set('heapmesh.queue_ms', round(waitedMs));
    span.set('heapmesh.request.messages', facts.request.messages);
    span.set('heapmesh.request.bytes', facts.requestBytes);
    span.set('heapmesh.response.messages', facts.response.messages);
    span.set('heapmesh.response.bytes', facts.responseBytes);
    span.set('heapmesh.ended_by', endedByName(endedBy));
    if (endedBy === EndedBy.PROXY && status === Status.DEADLINE_EXCEEDED) {
      span.event('time-out', recorder.at(endedAt), { 'heapmesh.deadline_ms': call.timeoutMs });
    }
    recorder.end(span, endedAt, status, message);
  }

  /** One more segment of a stream has passed. */
  private endSegment(call: Call, endMs: number): void {
    const { recorder } = this;
    const { facts, index } = call;
    const parent = this.calls[index] as RecordedSpan;
    const before = this.segments[index];
    const counts: Counts = {
      requests: facts.request.messages,
      requestBytes: facts.requestBytes,
      responses: facts.response.messages,
      responseBytes: facts.responseBytes,
    };
    const told = before?.counts ?? NOTHING;
    const nth = (before?.nth ?? 0) + 1;
    const span = recorder.start(
      parent.name,
      SpanKind.INTERNAL,
      parent.asParent,
      false,
      parent.tracestate,
      before?.endMs ?? call.received,
      {
        ...recorder.rpc(methodOf(call)),
        'heapmesh.segment': nth,
        'heapmesh.segment.open': !call.isOver,
        'heapmesh.request.messages': counts.requests - told.requests,
        'heapmesh.request.bytes': counts.requestBytes - told.requestBytes,
        'heapmesh.response.messages': counts.responses - told.responses,
        'heapmesh.response.bytes': counts.responseBytes - told.responseBytes,
        ...(call.backend === undefined ? {} : { 'heapmesh.backend': call.backend.id }),
      },
    );
    if (before !== undefined) span.link(before.span.asParent);
    recorder.finish(span, endMs);
    this.segments[index] = { span, nth, endMs, counts };
  }

  private attributesOf(call: Call): Attributes {
    const attributes = this.recorder.rpc(methodOf(call));
    if (attributes['rpc.method'] === OTHER) {
      attributes[ATTR_RPC_METHOD_ORIGINAL] = call.path.slice(1, TRACING_LIMITS.spanText);
    }
    const peer = call.caller?.peer;
    if (peer !== undefined && peer.host !== '') {
      attributes[ATTR_CLIENT_ADDRESS] = peer.host;
      attributes[ATTR_CLIENT_PORT] = peer.port;
    }
    if (call.pool !== undefined) attributes['heapmesh.pool'] = call.pool.service;
    return attributes;
  }
}

/** The semantic conventions' word for a method that is not known here: a caller can make up any. */
const OTHER = '_OTHER';

function methodOf(call: Call): string {
  const { path, pool } = call;
  return pool === undefined && !path.startsWith('/grpc.health.v1.Health/')
    ? OTHER
    : path.slice(1, TRACING_LIMITS.spanText);
}

function flagOf(list: HeaderList, at: number): 0 | 1 | -1 {
  const { buffer, start, end } = list.field(at);
  return sampledFlag(buffer, start, end);
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
