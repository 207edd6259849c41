/** Every key of the configuration: what it may hold, its default, and what the reference says of it; a file a section. */
import type { z } from 'zod';
import { CONFIG_LIMITS as most } from '../core/limits.ts';
import * as k from './kinds.ts';
import { admin } from './sections/admin.ts';
import { control } from './sections/control.ts';
import { discovery } from './sections/discovery.ts';
import { health } from './sections/health.ts';
import { instance } from './sections/instance.ts';
import { pool } from './sections/pools.ts';
import { proxy } from './sections/proxy.ts';
import { scaling } from './sections/scaling.ts';
import { server } from './sections/servers.ts';
import { state } from './sections/state.ts';
import { telemetry } from './sections/telemetry.ts';

export const schema = k.section('The whole file. Every key may be left out.', {
  instance,
  proxy,
  control,
  admin,
  servers: k.list(
    server,
    {
      about: 'Backends that are known from the start, beside those that register by themselves.',
      live: true,
    },
    most.servers,
  ),
  pools: k.list(
    pool,
    { about: 'Settings of pools; a pool without an entry has the defaults.', live: true },
    most.pools,
  ),
  discovery,
  health,
  scaling,
  state,
  buffer: k.reserved({ about: 'Keeping requests while no backend takes them.' }),
  anycast: k.reserved({ about: 'Announcing an address shared by instances.' }),
  telemetry,
});

/** What the schema makes of a file. Durations are milliseconds. */
export type Parsed = z.output<typeof schema>;
