/** `health:` */
import { z } from 'zod';
import * as k from '../kinds.ts';
import { UP_TO_DAY, UP_TO_HOUR } from './shared.ts';

const HEALTH_CHECKS = {
  grpc: 'calls `grpc.health.v1.Health/Check`',
  none: 'no active checks',
} as const;

const NO_CHECKS = 'this version does no active health checks';

export const health = k.section('When a backend counts as alive.', {
  check: k
    .oneOf(
      { about: 'How backends without a load stream are checked.', inert: NO_CHECKS, live: true },
      HEALTH_CHECKS,
    )
    .prefault('grpc'),
  interval: k
    .duration({ about: 'Time between checks of one backend.', inert: NO_CHECKS, live: true }, UP_TO_HOUR)
    .prefault('5s'),
  timeout: k
    .duration(
      { about: 'A check without an answer for this long has failed.', inert: NO_CHECKS, live: true },
      UP_TO_HOUR,
    )
    .prefault('1s'),
  unhealthyAfter: k
    .number(
      { about: 'Failed checks in a row until a backend is ejected.', inert: NO_CHECKS, live: true },
      { integer: true, least: 1, most: 1_000 },
    )
    .prefault(3),
  healthyAfter: k
    .number(
      { about: 'Good checks in a row until it is back.', inert: NO_CHECKS, live: true },
      { integer: true, least: 1, most: 1_000 },
    )
    .prefault(2),
  reportGrace: z.optional(
    k.duration(
      {
        about:
          'How long a backend whose load stream ended keeps its place. Three report intervals where it is left out.',
        live: true,
      },
      UP_TO_DAY,
    ),
  ),
  forgetAfter: k
    .duration(
      { about: 'An ejected backend that nothing claims any more is gone after this time.', live: true },
      UP_TO_DAY,
    )
    .prefault('10m'),
});
