/** `instance:` */
import { z } from 'zod';
import { INSTANCE_LIMITS } from '../../core/limits.ts';
import * as k from '../kinds.ts';
import { ID, ZONE } from './shared.ts';

export const instance = k.section('This balancer, as others know it.', {
  id: z.optional(k.text({ about: 'Unique among the instances. The host name where it is left out.' }, ID)),
  zone: k
    .text({ about: 'Where it runs; callers without a zone of their own are taken to be here.' }, ZONE)
    .prefault(''),
  advertise: k.section('Addresses told to others, where they differ from the listening ones.', {
    control: z.optional(
      k.address({
        about:
          'Control address that backends and callers are told. The listening address where it is left out.',
      }),
    ),
    proxy: z.optional(
      k.address({
        about: 'Proxy address that operators and tools are told. The listening address where it is left out.',
      }),
    ),
  }),
  peers: z
    .preprocess(
      value => (typeof value === 'string' ? [value] : (value ?? [])),
      z
        .array(
          k.address({
            about: 'Control address of other instances; a name may stand for several.',
            live: true,
          }),
        )
        .max(INSTANCE_LIMITS.peers),
    )
    .register(k.keyInfo, {
      about:
        'Control addresses of the other instances where they share no log: a list, or a DNS name with a port. Backends report to all of them. This instance may be among them.',
      kind: 'list',
      live: true,
    }),
});
