/** `admin:` */
import { z } from 'zod';
import { ADMIN_LIMITS } from '../../core/limits.ts';
import * as k from '../kinds.ts';
import { tls } from './shared.ts';

const HOST_NAME = {
  kind: 'host name',
  longest: 253,
  pattern: /^(?:\*|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)$/,
  expected: 'a host name without port, such as console.example.org, or * for every name',
};

const TRACE_LINK = {
  kind: 'URL with `{traceId}`',
  longest: 2048,
  pattern: /^https?:\/\/[^\s{}]*\{traceId\}[^\s{}]*$/,
  expected: 'an http or https URL with {traceId} in it, such as http://127.0.0.1:16686/trace/{traceId}',
};

export const admin = k.section('HTTP: health and the console, for people, probes and scrapers.', {
  listen: k
    .address({ about: 'Where it listens. Beyond loopback it needs `--insecure`.' }, { listen: true })
    .prefault('127.0.0.1:4702'),
  allowWrites: z.optional(
    k.flag({
      about:
        'Whether servers can be changed from the console, and the level of the log by HTTP. Where it is left out: on loopback alone.',
      live: true,
    }),
  ),
  allowedHosts: k.list(
    k.text({ about: 'One name.' }, HOST_NAME),
    {
      about:
        'Names that browsers and scrapers may use for it. IP addresses, `localhost`, the host of `admin.listen`, the name of the machine and those in `instance.advertise` are always allowed; any other could be the name of an attacker that was made to mean this address (DNS rebinding). `*` allows all.',
      live: true,
    },
    ADMIN_LIMITS.allowedHosts,
  ),
  traceLink: z.optional(
    k.text(
      {
        about: 'Where the console finds a trace; `{traceId}` becomes its id. Without it there are no links.',
        live: true,
      },
      TRACE_LINK,
    ),
  ),
  tls,
});
