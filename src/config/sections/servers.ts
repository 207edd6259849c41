/** `servers:` */
import { z } from 'zod';
import { CONTROL } from '../../core/limits.ts';
import * as k from '../kinds.ts';
import { ID, tls, ZONE } from './shared.ts';

export const server = k.section('One backend.', {
  id: z.optional(k.text({ about: 'Unique. The address where it is left out.', live: true }, ID)),
  address: k.target({
    about:
      'Where the backend takes calls; `dns:///name:port` is one backend for each address of the name. Required.',
    live: true,
  }),
  services: z
    .preprocess(
      value => (typeof value === 'string' ? [value] : (value ?? ['*'])),
      z
        .array(
          k.service(
            { about: "A service that it serves; '*' is every service.", live: true },
            CONTROL.serviceBytes,
          ),
        )
        .min(1)
        .max(CONTROL.servicesPerBackend),
    )
    .register(k.keyInfo, {
      about: "Services that it serves; `'*'`, the default, is every service.",
      kind: 'list',
      live: true,
    }),
  weight: k
    .number(
      { about: 'Multiplies the capacity that was learned.', live: true },
      { least: CONTROL.minWeight, most: CONTROL.maxWeight },
    )
    .prefault(1),
  zone: k.text({ about: 'Where it runs; picks of that zone prefer it.', live: true }, ZONE).prefault(''),
  labels: k
    .labels(
      { about: 'Free names and strings for people and tools.', live: true },
      { entries: CONTROL.labels, key: CONTROL.labelKeyBytes, value: CONTROL.labelValueBytes },
    )
    .prefault({}),
  maxConcurrency: k
    .number(
      { about: 'Most calls in flight at once; 0 is no limit.', live: true },
      { integer: true, least: 0, most: CONTROL.maxConcurrency },
    )
    .prefault(0),
  standby: k.flag({ about: 'Waits outside the heap until it is activated.', live: true }).prefault(false),
  tls,
});
