import { CONFIG_LIMITS as most } from '../../core/limits.ts';
import * as k from '../kinds.ts';
import { tls, UP_TO_HOUR } from './shared.ts';

export const control = k.section('The control API: picks, load reports, operators.', {
  listen: k
    .address({ about: 'Where the API listens. Beyond loopback it needs `--insecure`.' }, { listen: true })
    .prefault('127.0.0.1:4701'),
  reportInterval: k
    .duration(
      {
        about: 'How often backends shall report their load. They are told at once when it changes.',
        live: true,
      },
      {
        leastMs: 50,
        mostMs: 600_000,
        says: 'from 50ms to 10m',
      },
    )
    .prefault('1s'),
  leaseTtl: k
    .duration({ about: 'A pick whose outcome nobody reports ends after this time.' }, UP_TO_HOUR)
    .prefault('10s'),
  allowBackends: k.list(
    k.cidr({ about: 'One block.' }),
    { about: 'Networks that backends may register addresses from. Empty allows all.', live: true },
    most.networks,
  ),
  tls,
  auth: k.reserved({ about: 'Who may call the API.' }),
});
