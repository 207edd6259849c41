/** `instance:` */
import { z } from 'zod';
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
        about: 'Proxy address that callers are told. The listening address where it is left out.',
        inert: 'callers are not told of proxies in this version',
      }),
    ),
  }),
});
