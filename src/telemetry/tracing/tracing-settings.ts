/**
 * What traces do: the configuration file, else the variables of OpenTelemetry
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), else defaults. The exporters
 * read the variables of their own (OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION, certificates) by themselves.
 */
import { TRACING_LIMITS } from '../../core/limits.ts';
import type { QueueSettings } from './export-queue.ts';
import type { SamplingSettings } from './sampling.ts';

export type TraceProtocol = 'grpc' | 'http/protobuf';

/** As the file has it; undefined is not said there. */
export interface TracesConfig {
  readonly endpoint?: string | undefined;
  readonly protocol?: TraceProtocol | undefined;
  readonly sampleRatio?: number | undefined;
  readonly parentBased?: boolean | undefined;
  readonly alwaysErrors: boolean;
  readonly alwaysSlowerThanMs?: number | undefined;
  readonly streamSegmentMs: number;
}

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_RATIO = 0.01;

/** Where spans go; undefined: nowhere, nothing is traced. */
export function destinationOf(
  config: TracesConfig,
  env: Env,
): { readonly endpoint: string | undefined; readonly protocol: TraceProtocol } | undefined {
  const { OTEL_TRACES_EXPORTER = '', OTEL_SDK_DISABLED = '' } = env;
  if (OTEL_SDK_DISABLED.trim().toLowerCase() === 'true' || OTEL_TRACES_EXPORTER === 'none') return undefined;
  const told = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const asked = config.endpoint !== undefined || Boolean(told) || OTEL_TRACES_EXPORTER === 'otlp';
  if (!asked) return undefined;
  const named = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL;
  const protocol = config.protocol ?? (named?.startsWith('http') ? 'http/protobuf' : 'grpc');
  return { endpoint: config.endpoint, protocol };
}

export function samplingOf(config: TracesConfig, env: Env): SamplingSettings {
  const sampler = env.OTEL_TRACES_SAMPLER ?? '';
  const argument = Number(env.OTEL_TRACES_SAMPLER_ARG || Number.NaN);
  const told = argument >= 0 && argument <= 1 ? argument : 1;
  const byName: Readonly<Record<string, number>> = {
    always_on: 1,
    always_off: 0,
    traceidratio: told,
    parentbased_always_on: 1,
    parentbased_always_off: 0,
    parentbased_traceidratio: told,
  };
  const known = sampler in byName;
  return {
    parentBased: config.parentBased ?? (known ? sampler.startsWith('parentbased') : true),
    ratio: config.sampleRatio ?? byName[sampler] ?? DEFAULT_RATIO,
  };
}

export function queueOf(env: Env): QueueSettings {
  const most = whole(env.OTEL_BSP_MAX_QUEUE_SIZE, TRACING_LIMITS.spanQueue);
  return {
    most,
    batch: Math.min(most, whole(env.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, TRACING_LIMITS.spanBatch)),
    delayMs: whole(env.OTEL_BSP_SCHEDULE_DELAY, TRACING_LIMITS.spanDelayMs),
    timeoutMs: whole(env.OTEL_BSP_EXPORT_TIMEOUT, TRACING_LIMITS.exportTimeoutMs),
  };
}

/** A number that is none, or below 1, is as if it were not there. */
function whole(text: string | undefined, missing: number): number {
  const value = Math.floor(Number(text || Number.NaN));
  return value >= 1 ? value : missing;
}
