/** `telemetry:` */
import { z } from 'zod';
import { LOG_LIMITS } from '../../core/limits.ts';
import * as k from '../kinds.ts';

const LOG_LEVELS = { debug: '', info: '', warn: '', error: '' } as const;

const UP_TO_DAY = { leastMs: 1, mostMs: 24 * 3_600_000, says: 'between 1ms and 24h' };

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
      k.duration({ about: 'The same for calls that took longer than this.', live: true }, UP_TO_DAY),
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
  accessLog: k.section(
    'Lines of the log for calls, on level `info`, those that failed on `warn`. Values of metadata are never in them, but for those that are named.',
    {
      sampleRatio: k
        .number(
          {
            about:
              'Share of calls that have a line, whatever comes of them. A stream has one when it is seen to stay open, one each interval, and one at its end.',
            live: true,
          },
          { least: 0, most: 1 },
        )
        .prefault(0),
      errors: k
        .flag({
          about:
            'Whether calls that failed (UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS) have one always. A flood of the same failure is folded.',
          live: true,
        })
        .prefault(true),
      slowerThan: z.optional(
        k.duration({ about: 'So do calls that took longer than this.', live: true }, UP_TO_DAY),
      ),
      streamInterval: k
        .duration({ about: 'Time between two lines of a stream that is open.', live: true }, UP_TO_DAY)
        .prefault('1m'),
      metadata: k.list(
        k.text(
          { about: 'A name of request metadata.' },
          {
            longest: 256,
            pattern: /^[a-z0-9._-]+$/,
            expected: 'a name in lower case, such as x-tenant',
            kind: 'name',
          },
        ),
        { about: 'Names of request metadata whose values are in the lines.', live: true },
        LOG_LIMITS.metadataNames,
      ),
    },
  ),
  logs: k.section('The log that people read, as JSON lines on stderr.', {
    level: k.oneOf({ about: 'The least severity that is written.', live: true }, LOG_LEVELS).prefault('info'),
  }),
});
