/** Spans as OTLP: the same message as OpenTelemetry's serializer makes of the same span. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attributes, type SpanContext, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import fc from 'fast-check';
import { SpanEncoder } from '../../../src/telemetry/tracing/encoder.ts';
import { hrTime, RecordedSpan } from '../../../src/telemetry/tracing/span.ts';
import { seeded } from '../../support/seed.ts';

const RESOURCE = resourceFromAttributes({
  'service.name': 'mesh',
  'process.pid': 70_000,
  'heapmesh.zone': 'zöne',
});
const SCOPE = { name: 'heapmesh', version: '1.2.3' };

/** What is within which field, so that messages can be told from octets. */
type Shape = { readonly [field: number]: Shape | 'leaf' };
const VALUE: Shape = { 1: 'leaf' };
const KEY_VALUE: Shape = { 1: 'leaf', 2: VALUE };
const SPAN: Shape = {
  9: KEY_VALUE,
  11: { 3: KEY_VALUE },
  13: { 4: KEY_VALUE },
  15: { 2: 'leaf' },
};
const REQUEST: Shape = { 1: { 1: { 1: KEY_VALUE }, 2: { 1: { 1: 'leaf' }, 2: SPAN } } };

/** A message as fields in order; fields that say nothing but zero are left out, lengths and paddings as well. */
function parsed(bytes: Uint8Array, shape: Shape | 'leaf' = REQUEST): unknown {
  const buffer = Buffer.from(bytes);
  if (shape === 'leaf') return buffer.toString('hex');
  const fields: [number, unknown][] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = buffer[at++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < buffer.length) {
    const tag = Number(varint());
    const field = tag >> 3;
    if ((tag & 7) === 0) {
      const value = varint();
      if (value !== 0n) fields.push([field, String(value)]);
      continue;
    }
    const length = (tag & 7) === 2 ? Number(varint()) : (tag & 7) === 1 ? 8 : 4;
    const part = buffer.subarray(at, at + length);
    at += length;
    fields.push([field, (tag & 7) === 2 ? parsed(part, shape[field] ?? 'leaf') : part.toString('hex')]);
  }
  assert.equal(at, buffer.length);
  return fields;
}

function official(spans: readonly RecordedSpan[]): Uint8Array {
  const contextOf = (traceId: string, spanId: string, isRemote: boolean, state = ''): SpanContext => ({
    traceId,
    spanId,
    traceFlags: 1,
    isRemote,
    ...(state === '' ? {} : { traceState: { serialize: () => state } as never }),
  });
  const readable = spans.map(span => ({
    name: span.name,
    kind: span.kind,
    spanContext: () => contextOf(span.traceId, span.spanId, false, span.tracestate),
    ...(span.parent && {
      parentSpanContext: contextOf(span.parent.traceId, span.parent.spanId, span.parentIsRemote),
    }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.endMs),
    duration: [0, 0] as [number, number],
    ended: true,
    status: {
      code: span.isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET,
      message: span.statusMessage,
    },
    attributes: span.attributes,
    links: span.links.map(({ traceId, spanId }) => ({ context: contextOf(traceId, spanId, true) })),
    events: span.events.map(({ name, atMs, attributes }) => ({
      name,
      time: hrTime(atMs),
      ...(attributes && { attributes }),
    })),
    droppedAttributesCount: 0,
    droppedEventsCount: span.droppedEvents,
    droppedLinksCount: 0,
    resource: RESOURCE,
    instrumentationScope: SCOPE,
  }));
  return ProtobufTraceSerializer.serializeRequest(readable) ?? assert.fail();
}

const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map(digits => `1${digits.join('').slice(1)}`);
const value = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.boolean(),
  fc.nat(),
  fc.constantFrom(0, 127, 128, 2 ** 31, 2 ** 53 - 1, 0.5, -0.25, 1e300),
);
const attributes = fc.dictionary(fc.string({ minLength: 1, maxLength: 40 }), value, {
  maxKeys: 8,
}) as fc.Arbitrary<Attributes>;
const time = fc.double({ min: 1e12, max: 4e12, noNaN: true });
const parent = fc.record({ traceId: hex(32), spanId: hex(16), flags: fc.constant(1) });

const span = fc
  .record({
    name: fc.string({ minLength: 1, maxLength: 200 }),
    kind: fc.constantFrom(SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL),
    own: parent,
    from: fc.option(parent, { nil: undefined }),
    isRemote: fc.boolean(),
    state: fc.constantFrom('', 'a=b', `long=${'x'.repeat(300)}`),
    start: time,
    end: time,
    attributes,
    events: fc.array(fc.tuple(fc.string({ minLength: 1 }), time, fc.option(attributes, { nil: undefined })), {
      maxLength: 40,
    }),
    links: fc.array(parent, { maxLength: 2 }),
    isError: fc.boolean(),
    message: fc.string({ maxLength: 600 }),
  })
  .map(each => {
    const made = new RecordedSpan(
      each.name,
      each.kind,
      each.own.traceId,
      each.own.spanId,
      each.from,
      each.isRemote,
      each.state,
      each.start,
      each.attributes,
    );
    made.endMs = each.end;
    for (const [name, at, more] of each.events) made.event(name, at, more);
    for (const link of each.links) made.link(link);
    made.isError = each.isError;
    if (each.isError) made.statusMessage = each.message;
    return made;
  });

test('any spans are the same message, in one request or in several', () => {
  const encoder = new SpanEncoder(RESOURCE, SCOPE);
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 4 }), spans => {
      for (const each of spans) encoder.add(each);
      assert.equal(encoder.spans, spans.length);
      const batch = encoder.take();
      assert.equal(batch.spans, spans.length);
      assert.equal(encoder.spans, 0);
      assert.deepEqual(parsed(batch.bytes), parsed(official(spans)));
    }),
    seeded(300),
  );
});
