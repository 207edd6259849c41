import * as k from '../kinds.ts';
import { UP_TO_DAY } from './shared.ts';

const PROVIDERS = { standby: 'activates a standby of the pool' } as const;

const NO_SCALING = 'this version activates standbys by hand only';

export const scaling = k.section('When more backends are wanted.', {
  threshold: k
    .number(
      { about: "The pool's mean utilization above which more are wanted.", inert: NO_SCALING },
      { above: 0, most: 10 },
    )
    .prefault(0.8),
  for: k.duration({ about: 'How long it must stay above.', inert: NO_SCALING }, UP_TO_DAY).prefault('10s'),
  cooldown: k
    .duration({ about: 'Least time between two activations.', inert: NO_SCALING }, UP_TO_DAY)
    .prefault('30s'),
  provider: k
    .oneOf({ about: 'Where more come from.', inert: NO_SCALING }, PROVIDERS, ['command', 'kubernetes'])
    .prefault('standby'),
});
