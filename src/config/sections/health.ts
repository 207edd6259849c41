/** `health:` */
import { z } from 'zod';
import * as k from '../kinds.ts';
import { healthRules } from './health-rules.ts';
import { UP_TO_DAY } from './shared.ts';

export const health = k.section('When a backend counts as alive.', {
  ...healthRules,
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
