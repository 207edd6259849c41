/** `scaling:` */
import { SCALING_LIMITS } from '../../core/limits.ts';
import * as k from '../kinds.ts';
import { UP_TO_DAY, UP_TO_HOUR } from './shared.ts';

const PROVIDERS = {
  standby: 'activates a healthy standby of the pool',
  command: 'runs the program of `scaling.command`',
  none: 'nowhere: the rule is off',
} as const;

const WORD = { kind: 'text', longest: 4_096, expected: 'a word of a command line' };

export const scaling = k.section(
  'When a pool gets one more backend: when one fails, or is over the threshold for some time.',
  {
    threshold: k
      .number(
        {
          about: 'Utilization of a backend, and mean of the pool, above which one more is wanted.',
          live: true,
        },
        { above: 0, most: 10 },
      )
      .prefault(0.8),
    for: k.duration({ about: 'How long it must stay above.', live: true }, UP_TO_DAY).prefault('10s'),
    cooldown: k
      .duration({ about: 'Least time between two changes because of load.', live: true }, UP_TO_DAY)
      .prefault('30s'),
    provider: k.oneOf({ about: 'Where more come from.' }, PROVIDERS, ['kubernetes']).prefault('standby'),
    max: k
      .number(
        { about: 'Most backends of a pool that scaling has added and that are in service.', live: true },
        { integer: true, least: 0, most: SCALING_LIMITS.mostMax },
      )
      .prefault(SCALING_LIMITS.max),
    scaleIn: k.section('When the one that was added last goes again.', {
      below: k
        .number(
          { about: 'Mean utilization of the pool below which it drains; `0`: never.', live: true },
          { least: 0, most: 10 },
        )
        .prefault(0.4),
      for: k.duration({ about: 'How long it must stay below.', live: true }, UP_TO_DAY).prefault('5m'),
    }),
    command: k.list(
      k.text({ about: 'The program and its arguments.' }, WORD),
      { about: 'The program that starts a backend, and its arguments; needed for `provider: command`.' },
      SCALING_LIMITS.commandWords,
    ),
    commandTimeout: k.duration({ about: 'Until the backend has to be there.' }, UP_TO_HOUR).prefault('60s'),
    commandAttempts: k
      .number({ about: 'Times that it is run, the first included.' }, { integer: true, least: 1, most: 10 })
      .prefault(3),
  },
);
