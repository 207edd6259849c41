/** Where spans go and which calls are traced: the file, the variables of OpenTelemetry, defaults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sampling } from '../../../src/telemetry/tracing/sampling.ts';
import {
  destinationOf,
  queueOf,
  samplingOf,
  type TracesConfig,
} from '../../../src/telemetry/tracing/tracing-settings.ts';

const EMPTY: TracesConfig = { alwaysErrors: false, streamSegmentMs: 60_000 };
const endpoint = 'http://127.0.0.1:4317';

test('nothing is traced unless somebody says where to', () => {
  assert.equal(destinationOf(EMPTY, {}), undefined);
  assert.deepEqual(destinationOf({ ...EMPTY, endpoint }, {}), { endpoint, protocol: 'grpc' });
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
  };
  // The exporter reads the address by itself.
  assert.deepEqual(destinationOf(EMPTY, env), { endpoint: undefined, protocol: 'http/protobuf' });
  assert.deepEqual(destinationOf({ ...EMPTY, endpoint, protocol: 'grpc' }, env), {
    endpoint,
    protocol: 'grpc',
  });
  assert.deepEqual(destinationOf(EMPTY, { OTEL_TRACES_EXPORTER: 'otlp' }), {
    endpoint: undefined,
    protocol: 'grpc',
  });
  for (const off of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
    assert.equal(destinationOf({ ...EMPTY, endpoint }, { ...env, ...off }), undefined);
  }
});

test('samplers by their names in the variables, and the file before them', () => {
  const by = (OTEL_TRACES_SAMPLER?: string, OTEL_TRACES_SAMPLER_ARG?: string) => {
    const { parentBased, ratio } = samplingOf(EMPTY, { OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG });
    return [parentBased, ratio];
  };
  assert.deepEqual(by(), [true, 0.01]);
  assert.deepEqual(by('always_on'), [false, 1]);
  assert.deepEqual(by('always_off'), [false, 0]);
  assert.deepEqual(by('traceidratio', '0.25'), [false, 0.25]);
  assert.deepEqual(by('parentbased_always_on'), [true, 1]);
  assert.deepEqual(by('parentbased_traceidratio', '0.5'), [true, 0.5]);
  assert.deepEqual(by('parentbased_traceidratio', 'much'), [true, 1]);
  assert.deepEqual(by('xray'), [true, 0.01]);
  const file = { ...EMPTY, sampleRatio: 0.1, parentBased: false };
  assert.deepEqual(samplingOf(file, { OTEL_TRACES_SAMPLER: 'always_on' }), {
    parentBased: false,
    ratio: 0.1,
  });
});

test('the queue by its variables; what is no number is as if it were not there', () => {
  assert.deepEqual(
    queueOf({
      OTEL_BSP_MAX_QUEUE_SIZE: '10',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '512',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_BSP_EXPORT_TIMEOUT: 'soon',
    }),
    { most: 10, batch: 10, delayMs: 50, timeoutMs: 30_000 },
  );
});

test('decisions: the caller’s where it has one, else by the dice; without parents by the id', () => {
  let dice = 0.5;
  const parent = new Sampling({ parentBased: true, ratio: 0.25 }, () => dice);
  assert.deepEqual([parent.wants(1), parent.wants(0), parent.wants(-1)], [true, false, false]);
  dice = 0.24;
  assert.equal(parent.wants(-1), true);
  const own = new Sampling({ parentBased: false, ratio: 0.25 }, () => dice);
  const id = (high: string): string => `${'7'.repeat(18)}${high.padEnd(14, '0')}`;
  assert.equal(own.wants(0), true, 'the id decides, which is looked at next');
  assert.deepEqual([own.keeps(id('bf')), own.keeps(id('c0')), own.keeps(id('ff'))], [false, true, true]);
  own.configure({ parentBased: false, ratio: 0 });
  assert.equal(own.wants(1), false);
});
