/** `proxy:` */
import { z } from 'zod';
import { CONTROL, HTTP2_LIMITS, PROXY_LIMITS } from '../../core/limits.ts';
import * as k from '../kinds.ts';
import { tls, UP_TO_DAY, UP_TO_HOUR } from './shared.ts';

export const proxy = k.section('The transparent proxy for callers.', {
  listen: k
    .address({ about: 'Where callers connect. Beyond loopback it needs `--insecure`.' }, { listen: true })
    .prefault('127.0.0.1:4700'),
  maxConcurrentStreams: k
    .number(
      { about: 'Open calls on one connection of a caller; holds for connections that come.', live: true },
      { integer: true, least: 1, most: 2 ** 31 - 1 },
    )
    .prefault(HTTP2_LIMITS.maxConcurrentStreams),
  drainTimeout: k
    .duration({ about: 'What open calls get to end when the balancer ends.', live: true }, UP_TO_HOUR)
    .prefault(`${PROXY_LIMITS.drainMs / 1_000}s`),
  maxConnectionAge: k
    .duration(
      {
        about:
          "Age at which a caller's connection is asked to leave, so that callers spread over new instances, give or take a tenth; `0s` is never.",
        live: true,
      },
      UP_TO_DAY,
    )
    .prefault('0s'),
  maxConnectionAgeGrace: k
    .duration({ about: 'What the calls of such a connection get to end.', live: true }, UP_TO_DAY)
    .prefault('5m'),
  keepLoadReports: k
    .flag({
      about: 'Hand the per-call load reports of backends (`endpoint-load-metrics-bin`) on to callers.',
      live: true,
    })
    .prefault(false),
  reflection: z.optional(
    k.service(
      {
        about:
          "Service whose backends answer server reflection. Without it, backends for any service (`'*'`) do.",
        live: true,
      },
      CONTROL.serviceBytes,
    ),
  ),
  reusePort: k
    .flag({
      about:
        'Let another process listen on the same port, so that a new version takes over while this one drains.',
    })
    .prefault(false),
  rememberHeaders: k
    .flag({
      about: 'Remember header blocks by their octets. What is on the wire means the same either way.',
    })
    .prefault(true),
  tls,
});
