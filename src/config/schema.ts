/** Every key of the configuration: what it may hold, its default, and what the reference says of it. */
import { z } from 'zod';
import { CONTROL, HTTP2_LIMITS, CONFIG_LIMITS as most, PROXY_LIMITS } from '../core/limits.ts';
import { STATUS_NAMES, type Status } from '../grpc/status.ts';
import * as k from './kinds.ts';

/** How a pool chooses. The key is what `pools[].policy` takes. */
export const POLICIES = {
  'least-load': 'the backend with the least expected wait, kept in a min-heap',
} as const;

/** Where the write-ahead log is kept. */
const LOGS = { memory: 'lost at the end of the process' } as const;

const HEALTH_CHECKS = {
  grpc: 'calls `grpc.health.v1.Health/Check`',
  none: 'no active checks',
} as const;

const PROVIDERS = { standby: 'activates a standby of the pool' } as const;

/** All but OK, which is no failure. */
const RETRY_CODES = Object.fromEntries(STATUS_NAMES.slice(1).map(name => [name, ''])) as Readonly<
  Record<Exclude<keyof typeof Status, 'OK'>, string>
>;

const LOG_LEVELS = { debug: '', info: '', warn: '', error: '' } as const;

// What is checked already, so that a file can be written for it, but does nothing yet.
const NO_CHECKS = 'this version does no active health checks';
const NO_SCALING = 'this version activates standbys by hand only';
const NO_TRACES = 'traces are not exported in this version';

const tls = k.reserved({ about: 'TLS for this address.' });

const ID = {
  kind: 'name',
  longest: CONTROL.idBytes,
  pattern: /^[\x21-\x7e]+$/,
  expected: `1 to ${CONTROL.idBytes} printable ASCII characters without spaces`,
};
const ZONE = {
  kind: 'name',
  longest: CONTROL.zoneBytes,
  pattern: /^[\x21-\x7e]*$/,
  expected: `at most ${CONTROL.zoneBytes} printable ASCII characters without spaces`,
};

const UP_TO_HOUR = { leastMs: 1, mostMs: 3_600_000, says: 'from 1ms to 1h' };
const AN_AGE = { leastMs: 1_000, mostMs: 86_400_000, says: 'from 1s to 24h' };
const UP_TO_DAY = { leastMs: 0, mostMs: 86_400_000, says: 'up to 24h' };

const instance = k.section('This balancer, as others know it.', {
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

const proxy = k.section('The transparent proxy for callers.', {
  listen: k
    .address({ about: 'Where callers connect. Beyond loopback it needs `--insecure`.' }, { listen: true })
    .prefault('127.0.0.1:4700'),
  maxConcurrentStreams: k
    .number(
      { about: 'Open calls on one connection of a caller; holds for connections that come.', live: true },
      { integer: true, least: 1, most: 2 ** 31 - 1 },
    )
    .prefault(HTTP2_LIMITS.maxConcurrentStreams),
  drainTimeout: k
    .duration({ about: 'What open calls get to end when the balancer ends.', live: true }, UP_TO_HOUR)
    .prefault(`${PROXY_LIMITS.drainMs / 1_000}s`),
  maxConnectionAge: k
    .duration(
      {
        about:
          "Age at which a caller's connection is asked to leave, so that callers spread over new instances, give or take a tenth; `0s` is never.",
        live: true,
      },
      UP_TO_DAY,
    )
    .prefault('0s'),
  maxConnectionAgeGrace: k
    .duration({ about: 'What the calls of such a connection get to end.', live: true }, UP_TO_DAY)
    .prefault('5m'),
  keepLoadReports: k
    .flag({
      about: 'Hand the per-call load reports of backends (`endpoint-load-metrics-bin`) on to callers.',
      live: true,
    })
    .prefault(false),
  reflection: z.optional(
    k.service(
      {
        about:
          "Service whose backends answer server reflection. Without it, backends for any service (`'*'`) do.",
        live: true,
      },
      CONTROL.serviceBytes,
    ),
  ),
  reusePort: k
    .flag({
      about:
        'Let another process listen on the same port, so that a new version takes over while this one drains.',
    })
    .prefault(false),
  rememberHeaders: k
    .flag({
      about: 'Remember header blocks by their octets. What is on the wire means the same either way.',
    })
    .prefault(true),
  tls,
});

const retry = k.section('Sending a failed call again. Without it only calls that no backend has begun are.', {
  codes: k.list(
    k.oneOf({ about: 'A gRPC status.', live: true }, RETRY_CODES),
    { about: 'Statuses on which a call is sent again, as long as nothing was answered.', live: true },
    STATUS_NAMES.length,
    1,
  ),
  attempts: k
    .number(
      { about: 'Attempts in all, the first included.', live: true },
      { integer: true, least: 2, most: 10 },
    )
    .prefault(3),
  budget: k
    .number(
      { about: 'Most retries, as a share of calls; 3 a second are always allowed.', live: true },
      { above: 0, most: 1 },
    )
    .prefault(0.2),
});

const control = k.section('The control API: picks, load reports, operators.', {
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

const admin = k.section('HTTP: whether the process is up and ready. No metrics and no console yet.', {
  listen: k
    .address({ about: 'Where it listens. Beyond loopback it needs `--insecure`.' }, { listen: true })
    .prefault('127.0.0.1:4702'),
  tls,
});

const server = k.section('One backend.', {
  id: z.optional(k.text({ about: 'Unique. The address where it is left out.', live: true }, ID)),
  address: k.address({ about: 'Where the backend takes calls. Required.', live: true }),
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

const pool = k.section('Settings of one pool.', {
  service: k.service(
    { about: "The service; `'*'` is every pool without an entry of its own. Required.", live: true },
    CONTROL.serviceBytes,
  ),
  policy: k.oneOf({ about: 'How the pool chooses.', live: true }, POLICIES).prefault('least-load'),
  zoneFactor: k
    .number(
      {
        about:
          "A pick stays in its own zone until the zone's best score is above this many times the pool's best.",
        live: true,
      },
      { least: 1, most: 1_000 },
    )
    .prefault(1.5),
  retry: z.optional(retry),
  maxStreamAge: z.optional(
    k.duration(
      {
        about:
          'Age at which the proxy ends a call with UNAVAILABLE, give or take a tenth, so that long streams spread over what was added.',
        live: true,
      },
      AN_AGE,
    ),
  ),
});

const health = k.section('When a backend counts as alive.', {
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

const scaling = k.section('When more backends are wanted.', {
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

const state = k.section('The write-ahead log of membership and states.', {
  log: k
    .oneOf({ about: 'Where it is kept; `memory` is lost at the end of the process.' }, LOGS, [
      'file',
      'kafka',
    ])
    .prefault('memory'),
  directory: k.reserved({ about: 'Where files of the log are.' }),
});

const telemetry = k.section('What the balancer tells of itself.', {
  traces: k.section('OpenTelemetry traces.', {
    endpoint: z.optional(k.url({ about: 'OTLP endpoint.', inert: NO_TRACES })),
    sampleRatio: k
      .number({ about: 'Share of calls that are traced.', inert: NO_TRACES }, { least: 0, most: 1 })
      .prefault(0.01),
  }),
  logs: k.section('The log that people read, as JSON lines on stderr.', {
    level: k.oneOf({ about: 'The least severity that is written.', live: true }, LOG_LEVELS).prefault('info'),
  }),
});

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
  discovery: k.reserved({ about: 'Sources of backends such as DNS.' }),
  health,
  scaling,
  state,
  buffer: k.reserved({ about: 'Keeping requests while no backend takes them.' }),
  anycast: k.reserved({ about: 'Announcing an address shared by instances.' }),
  telemetry,
});

/** What the schema makes of a file. Durations are milliseconds. */
export type Parsed = z.output<typeof schema>;
