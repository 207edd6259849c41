/** A call that is not sampled leaves nothing behind: no span, no string, no object. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { Http2Context } from '../../../src/http2/http2.ts';
import { CallFacts } from '../../../src/proxy/call-facts.ts';
import { classifyField } from '../../../src/proxy/fields.ts';
import type { Call } from '../../../src/proxy/proxy.ts';
import { SpanEncoder } from '../../../src/telemetry/tracing/encoder.ts';
import { ExportQueue } from '../../../src/telemetry/tracing/export-queue.ts';
import { ProxiedCalls } from '../../../src/telemetry/tracing/proxied-calls.ts';
import { Recorder } from '../../../src/telemetry/tracing/recorder.ts';
import { Sampling } from '../../../src/telemetry/tracing/sampling.ts';
import { measureAllocation } from '../../bench/allocation.ts';

const CALLS = 10_000;

test('by the caller’s word, or by the dice', () => {
  const settings = { most: 10, batch: 10, delayMs: 1_000, timeoutMs: 1_000 };
  const encoder = new SpanEncoder(resourceFromAttributes({}), { name: 'test', version: '' });
  const exporter = { export: () => assert.fail('nothing is to be sent'), shutdown: async () => {} };
  const queue = new ExportQueue(encoder, exporter, settings, () => {});
  const recorder = new Recorder({
    queue,
    sampling: new Sampling({ parentBased: true, ratio: 0.01 }, () => 0.5),
    now: () => 0,
    wall: () => 0,
  });
  const always = { alwaysErrors: false, alwaysSlowerThanMs: Number.POSITIVE_INFINITY, segmentMs: 60_000 };
  const observer = new ProxiedCalls(recorder, () => '', always);
  const context = new Http2Context({ classify: classifyField });
  const without = context.listOf([[':path', '/a.B/C']]);
  const decided = context.listOf([
    [':path', '/a.B/C'],
    ['traceparent', `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`],
  ]);
  const call = { index: 3, path: '/a.B/C', received: 0, facts: new CallFacts() } as unknown as Call;
  const run = (): void => {
    for (let n = 0; n < CALLS; n++) {
      observer.began(call, n % 2 === 0 ? without : decided);
      observer.attemptBegan(call);
      observer.waited(call, 1);
      observer.attemptEnded(call, 0, '');
      observer.draining(call, '');
      observer.ended(call, 0, '');
    }
  };
  run();
  assert.equal(call.forwards, undefined);
  assert.equal(queue.counts.recorded, 0);
  const { bytesPerOperation } = measureAllocation(run, CALLS, 100);
  assert.ok(bytesPerOperation < 1, `${bytesPerOperation} bytes a call`);
});
