/**
 * Spans as OTLP, encoded as they end, so that nothing of a span stays but its octets.
 *
 *     ExportTraceServiceRequest = 0a len ResourceSpans
 *     ResourceSpans             = 0a len Resource   12 len ScopeSpans
 *     Resource                  = (0a len KeyValue)*
 *     ScopeSpans                = 0a len Scope      (12 len Span)*
 *     Scope                     = 0a len name       12 len version
 *     Span                      = 0a 10 trace_id    12 08 span_id    [1a len trace_state]  [22 08 parent_span_id]
 *                                 2a len name       30 kind          39 start  41 end      (4a len KeyValue)*
 *                                 (5a len Event)*   [60 dropped_events]  (6a len Link)*
 *                                 7a len Status     85 01 flags
 *     KeyValue                  = 0a len key        12 len AnyValue
 *     AnyValue                  = 0a len string  |  10 bool  |  18 int  |  21 double
 *     Event                     = 09 time           12 len name      (1a len KeyValue)*
 *     Link                      = 0a 10 trace_id    12 08 span_id    35 flags
 *     Status                    = [12 len message]  18 code
 *
 * (opentelemetry-proto `trace/v1/trace.proto`, `common/v1/common.proto`.) A length may be written with more octets than
 * it needs: a varint may have zeros at its end.
 */
import type { Attributes, AttributeValue } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import { hrTime, type RecordedSpan, SpanStatusCode } from './span.ts';

const FIRST_BYTES = 64 * 1024;
/** What a span has beside its strings: ids, times, lengths. */
const FIXED_BYTES = 256;
/** `flags`: whether the parent is remote is known; it is. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/** What is sent at once. */
export interface Batch {
  readonly bytes: Uint8Array;
  readonly spans: number;
}

export interface Scope {
  readonly name: string;
  readonly version: string;
}

export class SpanEncoder {
  /** Spans that are encoded and not taken yet. */
  spans = 0;
  private buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  private at = 0;
  /** Resource and scope, with their tags and lengths. */
  private readonly resource: Buffer;
  private readonly scope: Buffer;

  constructor(resource: Resource, scope: Scope) {
    this.resource = this.apart(() => {
      const mark = this.open(0x0a);
      for (const [key, value] of Object.entries(resource.attributes)) {
        if (value !== undefined && !(value instanceof Promise)) this.keyValue(0x0a, key, value);
      }
      this.close(mark);
    });
    this.scope = this.apart(() => {
      const mark = this.open(0x0a);
      this.text(0x0a, scope.name);
      this.text(0x12, scope.version);
      this.close(mark);
    });
  }

  add(span: RecordedSpan): void {
    this.spans++;
    this.room(FIXED_BYTES);
    const mark = this.open(0x12);
    this.hex(0x0a, span.traceId);
    this.hex(0x12, span.spanId);
    if (span.tracestate !== '') this.text(0x1a, span.tracestate);
    const { parent } = span;
    if (parent !== undefined) this.hex(0x22, parent.spanId);
    this.text(0x2a, span.name);
    const { buffer } = this;
    buffer[this.at++] = 0x30;
    // The API's kinds begin with INTERNAL, OTLP's with "unspecified".
    buffer[this.at++] = span.kind + 1;
    this.time(0x39, span.startMs);
    this.time(0x41, span.endMs);
    this.attributes(0x4a, span.attributes);
    for (const { name, atMs, attributes } of span.events) {
      const event = this.open(0x5a);
      this.time(0x09, atMs);
      this.text(0x12, name);
      if (attributes !== undefined) this.attributes(0x1a, attributes);
      this.close(event);
    }
    if (span.droppedEvents > 0) {
      this.byte(0x60);
      this.varint(span.droppedEvents);
    }
    for (const { traceId, spanId, flags } of span.links) {
      const link = this.open(0x6a);
      this.hex(0x0a, traceId);
      this.hex(0x12, spanId);
      this.fixed32(0x35, flags | HAS_IS_REMOTE | IS_REMOTE);
      this.close(link);
    }
    const status = this.open(0x7a);
    if (span.statusMessage !== '') this.text(0x12, span.statusMessage);
    this.byte(0x18);
    this.byte(span.isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET);
    this.close(status);
    this.byte(0x85);
    this.fixed32(0x01, 1 | HAS_IS_REMOTE | (parent !== undefined && span.parentIsRemote ? IS_REMOTE : 0));
    this.close(mark);
  }

  /** All that were added, as a request. */
  take(): Batch {
    const { resource, scope, at, spans } = this;
    const body = this.buffer.subarray(0, at);
    const scoped = scope.length + at;
    const inner = resource.length + 1 + varintBytes(scoped) + scoped;
    const bytes = Buffer.allocUnsafeSlow(1 + varintBytes(inner) + inner);
    let to = 0;
    bytes[to++] = 0x0a;
    to = putVarint(bytes, to, inner);
    to += resource.copy(bytes, to);
    bytes[to++] = 0x12;
    to = putVarint(bytes, to, scoped);
    to += scope.copy(bytes, to);
    body.copy(bytes, to);
    this.at = this.spans = 0;
    return { bytes, spans };
  }

  private apart(write: () => void): Buffer {
    write();
    const bytes = Buffer.from(this.buffer.subarray(0, this.at));
    this.at = 0;
    return bytes;
  }

  private attributes(tag: number, attributes: Attributes): void {
    for (const key in attributes) this.keyValue(tag, key, attributes[key] as AttributeValue);
  }

  private keyValue(tag: number, key: string, value: AttributeValue): void {
    const mark = this.open(tag);
    this.text(0x0a, key);
    const inner = this.open(0x12);
    if (typeof value === 'string') {
      this.text(0x0a, value);
    } else if (typeof value === 'boolean') {
      this.byte(0x10);
      this.byte(value ? 1 : 0);
    } else if (typeof value === 'number') {
      if (Number.isSafeInteger(value) && value >= 0) {
        this.byte(0x18);
        this.varint(value);
      } else {
        this.byte(0x21);
        this.room(8);
        this.at = this.buffer.writeDoubleLE(value, this.at);
      }
    } else {
      // Lists come in resources alone, from a variable of the environment; there they are read as text.
      this.text(0x0a, String(value));
    }
    this.close(inner);
    this.close(mark);
  }

  // Octets

  private room(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const wider = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(wider, 0, 0, this.at);
    this.buffer = wider;
  }

  private byte(value: number): void {
    this.room(1);
    this.buffer[this.at++] = value;
  }

  private varint(value: number): void {
    this.room(8);
    this.at = putVarint(this.buffer, this.at, value);
  }

  /** Begins a message whose length is not known; two octets are kept for it. Returns where it begins. */
  private open(tag: number): number {
    this.room(3);
    this.buffer[this.at] = tag;
    this.at += 3;
    return this.at;
  }

  private close(from: number): void {
    const length = this.at - from;
    const { buffer } = this;
    if (length < 1 << 14) {
      buffer[from - 2] = (length & 0x7f) | 0x80;
      buffer[from - 1] = length >> 7;
      return;
    }
    // Far larger than any of ours: only many events with long causes get there.
    const more = varintBytes(length) - 2;
    this.room(more);
    this.buffer.copyWithin(from + more, from, this.at);
    putVarint(this.buffer, from - 2, length);
    this.at += more;
  }

  private text(tag: number, text: string): void {
    const { length } = text;
    this.room(6 + 3 * length);
    const { buffer } = this;
    let at = this.at;
    buffer[at++] = tag;
    if (length < 128) {
      const from = at++;
      for (let i = 0; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) {
          this.longText(from, text);
          return;
        }
        buffer[at++] = code;
      }
      buffer[from] = length;
      this.at = at;
      return;
    }
    this.longText(at, text);
  }

  private longText(at: number, text: string): void {
    const bytes = Buffer.byteLength(text);
    const from = putVarint(this.buffer, at, bytes);
    this.at = from + this.buffer.write(text, from);
  }

  private hex(tag: number, digits: string): void {
    this.room(2 + digits.length);
    const { buffer } = this;
    let at = this.at;
    buffer[at++] = tag;
    buffer[at++] = digits.length >> 1;
    for (let i = 0; i < digits.length; i += 2) {
      buffer[at++] = (nibble(digits.charCodeAt(i)) << 4) | nibble(digits.charCodeAt(i + 1));
    }
    this.at = at;
  }

  private fixed32(tag: number, value: number): void {
    this.room(5);
    this.buffer[this.at++] = tag;
    this.at = this.buffer.writeUInt32LE(value, this.at);
  }

  /** Nanoseconds since 1970, of milliseconds, as 64 bits; a double has too few for them. */
  private time(tag: number, ms: number): void {
    this.room(9);
    const [seconds, nanos] = hrTime(ms);
    // seconds · 10⁹ + nanos, where no step goes beyond 2^53: the seconds in parts of 16 bits.
    const high = Math.floor(seconds / 0x1_0000) * 1e9;
    const low = (high % 0x1_0000) * 0x1_0000 + (seconds % 0x1_0000) * 1e9 + nanos;
    const carry = Math.floor(low / 0x1_0000_0000);
    const { buffer } = this;
    buffer[this.at++] = tag;
    this.at = buffer.writeUInt32LE(low % 0x1_0000_0000, this.at);
    this.at = buffer.writeUInt32LE(Math.floor(high / 0x1_0000) + carry, this.at);
  }
}

function nibble(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}

function putVarint(buffer: Buffer, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest >= 0x80) {
    buffer[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  buffer[at++] = rest;
  return at;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
