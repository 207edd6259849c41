/** `telemetry:` */
import { z } from 'zod';
import * as k from '../kinds.ts';

const LOG_LEVELS = { debug: '', info: '', warn: '', error: '' } as const;

const NO_TRACES = 'traces are not exported in this version';

export const telemetry = k.section('What the balancer tells of itself.', {
  traces: k.section('OpenTelemetry traces.', {
    endpoint: z.optional(k.url({ about: 'OTLP endpoint.', inert: NO_TRACES })),
    sampleRatio: k
      .number({ about: 'Share of calls that are traced.', inert: NO_TRACES }, { least: 0, most: 1 })
      .prefault(0.01),
  }),
  logs: k.section('The log that people read, as JSON lines on stderr.', {
    level: k.oneOf({ about: 'The least severity that is written.', live: true }, LOG_LEVELS).prefault('info'),
  }),
});
