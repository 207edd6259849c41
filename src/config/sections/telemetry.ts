/** `telemetry:` */
import { z } from 'zod';
import * as k from '../kinds.ts';

const LOG_LEVELS = { debug: '', info: '', warn: '', error: '' } as const;

const PROTOCOLS = { grpc: '', 'http/protobuf': '' } as const;

export const telemetry = k.section('What the balancer tells of itself.', {
  traces: k.section('OpenTelemetry traces.', {
    endpoint: z.optional(
      k.url({
        about:
          'OTLP endpoint, such as `http://127.0.0.1:4317`. Without it the variables of OpenTelemetry say where to (`OTEL_EXPORTER_OTLP_ENDPOINT`); where they do not, nothing is traced.',
      }),
    ),
    protocol: z.optional(
      k.oneOf(
        { about: 'Of the endpoint. Default: what `OTEL_EXPORTER_OTLP_PROTOCOL` says, else `grpc`.' },
        PROTOCOLS,
      ),
    ),
    sampleRatio: z.optional(
      k.number(
        {
          about:
            'Share of calls that are traced, of those whose caller has not decided it. Default: what `OTEL_TRACES_SAMPLER` says, else 0.01.',
          live: true,
        },
        { least: 0, most: 1 },
      ),
    ),
    parentBased: z.optional(
      k.flag({
        about:
          'Whether what a caller decided (the `sampled` flag of its `traceparent`) holds here too. Default: what `OTEL_TRACES_SAMPLER` says, else true.',
        live: true,
      }),
    ),
    alwaysErrors: k
      .flag({
        about:
          'Record calls that failed although they are not sampled: one span, made after the end; what was forwarded stays as it was.',
        live: true,
      })
      .prefault(false),
    alwaysSlowerThan: z.optional(
      k.duration(
        { about: 'The same for calls that took longer than this.', live: true },
        { leastMs: 1, mostMs: 24 * 3_600_000, says: 'between 1ms and 24h' },
      ),
    ),
    streamSegment: k
      .duration(
        {
          about:
            'A stream that stays open is told of by one span for each such time, linked to the one before.',
          live: true,
        },
        { leastMs: 1_000, mostMs: 24 * 3_600_000, says: 'between 1s and 24h' },
      )
      .prefault('1m'),
  }),
  logs: k.section('The log that people read, as JSON lines on stderr.', {
    level: k.oneOf({ about: 'The least severity that is written.', live: true }, LOG_LEVELS).prefault('info'),
  }),
});
