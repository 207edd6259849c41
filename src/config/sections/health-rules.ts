/** Keys of `health:` that a pool may have of its own, each with its default or, for a pool, without one. */
import { z } from 'zod';
import { CONTROL } from '../../core/limits.ts';
import { OUTLIER_DEFAULTS } from '../../core/outlier.ts';
import * as k from '../kinds.ts';
import { UP_TO_HOUR } from './shared.ts';

const HEALTH_CHECKS = {
  grpc: 'calls `grpc.health.v1.Health/Check`; a backend without it is alive',
  watch: 'follows `grpc.health.v1.Health/Watch`, and pings; one without it is checked as by `grpc`',
  tcp: 'opens a connection',
  none: 'no active checks',
} as const;

const SHARE = { least: 0, most: 1 };
const COUNT = { integer: true, least: 1, most: 1_000_000 };
const LIVE = { live: true } as const;

const successRate = k.section('Backends whose success rate is far below that of their pool.', {
  factor: k
    .number({ about: 'Standard deviations below the mean; 0 is off.', ...LIVE }, { least: 0, most: 100 })
    .prefault(OUTLIER_DEFAULTS.successRate.factor),
  enforced: k
    .number({ about: 'Share of those found that are ejected.', ...LIVE }, SHARE)
    .prefault(OUTLIER_DEFAULTS.successRate.enforced),
  minHosts: k
    .number({ about: 'Backends with enough calls that a comparison needs.', ...LIVE }, COUNT)
    .prefault(OUTLIER_DEFAULTS.successRate.minHosts),
  minCalls: k
    .number({ about: 'Calls in an interval that a backend is judged by.', ...LIVE }, COUNT)
    .prefault(OUTLIER_DEFAULTS.successRate.minCalls),
});

const failureShare = k.section('Backends that fail most of their calls.', {
  threshold: k
    .number({ about: 'Share of failed calls above which a backend is ejected; 0 is off.', ...LIVE }, SHARE)
    .prefault(OUTLIER_DEFAULTS.failureShare.threshold),
  enforced: k
    .number({ about: 'Share of those found that are ejected.', ...LIVE }, SHARE)
    .prefault(OUTLIER_DEFAULTS.failureShare.enforced),
  minHosts: k
    .number({ about: 'Backends with enough calls that the rule needs.', ...LIVE }, COUNT)
    .prefault(OUTLIER_DEFAULTS.failureShare.minHosts),
  minCalls: k
    .number({ about: 'Calls in an interval that a backend is judged by.', ...LIVE }, COUNT)
    .prefault(OUTLIER_DEFAULTS.failureShare.minCalls),
});

const outliers = k.section('Ejecting backends that fail calls which others serve (gRFC A50).', {
  interval: k
    .duration({ about: 'Time between two comparisons.', ...LIVE }, UP_TO_HOUR)
    .prefault(`${OUTLIER_DEFAULTS.intervalMs}ms`),
  baseEjection: k
    .duration({ about: 'A first ejection; the n-th in a row is n times as long.', ...LIVE }, UP_TO_HOUR)
    .prefault(`${OUTLIER_DEFAULTS.baseEjectionMs}ms`),
  maxEjection: k
    .duration({ about: 'The longest ejection.', ...LIVE }, UP_TO_HOUR)
    .prefault(`${OUTLIER_DEFAULTS.maxEjectionMs}ms`),
  maxEjected: k
    .number(
      {
        about:
          'Share of a pool above which nobody else is ejected by these rules; one may be in any case. 0 is off.',
        ...LIVE,
      },
      SHARE,
    )
    .prefault(OUTLIER_DEFAULTS.maxEjected),
  consecutiveFailures: k
    .number(
      { about: 'Failed calls in a row that eject at once; 0 is off.', ...LIVE },
      { integer: true, least: 0, most: 1_000_000 },
    )
    .prefault(OUTLIER_DEFAULTS.consecutiveFailures),
  leftAlone: k
    .duration(
      {
        about:
          'Fewer failed calls in a row, two at least, eject once a backend has had no call for this long, where others serve and fail too few for chance. `0s` is off, as it is without `consecutiveFailures`.',
        ...LIVE,
      },
      { ...UP_TO_HOUR, leastMs: 0, says: 'from 0s to 1h' },
    )
    .prefault(`${OUTLIER_DEFAULTS.leftAloneMs}ms`),
  successRate,
  failureShare,
});

/** Without defaults. */
const KEYS = {
  check: k.oneOf({ about: 'How backends are checked.', ...LIVE }, HEALTH_CHECKS),
  interval: k.duration({ about: 'Time between checks of one backend.', ...LIVE }, UP_TO_HOUR),
  fastInterval: k.duration(
    { about: 'The same while checks disagree with what is known of the backend.', ...LIVE },
    UP_TO_HOUR,
  ),
  jitter: k.number(
    { about: 'How far an interval is stretched or shortened at random, as a share of it.', ...LIVE },
    SHARE,
  ),
  timeout: k.duration({ about: 'A check without an answer for this long has failed.', ...LIVE }, UP_TO_HOUR),
  unhealthyAfter: k.number(
    { about: 'Failed checks in a row until a backend is ejected.', ...LIVE },
    { integer: true, least: 1, most: 1_000 },
  ),
  healthyAfter: k.number(
    { about: 'Good checks in a row until it is back.', ...LIVE },
    { integer: true, least: 1, most: 1_000 },
  ),
  service: k.text(
    { about: "The name that a health check asks for; `''` is the whole backend.", ...LIVE },
    {
      kind: 'name',
      longest: CONTROL.serviceBytes,
      pattern: /^[\x21-\x7e]*$/,
      expected: `at most ${CONTROL.serviceBytes} printable ASCII characters without spaces`,
    },
  ),
  orca: k.flag({
    about:
      'Asks backends that do not stream their load by themselves for it (`xds.service.orca.v3.OpenRcaService`).',
    ...LIVE,
  }),
  panicBelow: k.number(
    { about: 'Share of healthy backends below which health is ignored; 0 is never.', ...LIVE },
    SHARE,
  ),
};

/** Of `health:`. */
export const healthRules = {
  check: KEYS.check.prefault('grpc'),
  interval: KEYS.interval.prefault('5s'),
  fastInterval: KEYS.fastInterval.prefault('1s'),
  jitter: KEYS.jitter.prefault(0.1),
  timeout: KEYS.timeout.prefault('1s'),
  unhealthyAfter: KEYS.unhealthyAfter.prefault(3),
  healthyAfter: KEYS.healthyAfter.prefault(2),
  service: KEYS.service.prefault(''),
  orca: KEYS.orca.prefault(true),
  panicBelow: KEYS.panicBelow.prefault(0.5),
  outliers,
};

/** Of `pools[].health`: what is left out is as `health:` says. */
export const poolHealth = k.section(
  'Where this pool differs from `health`. `outliers` is replaced as a whole.',
  {
    check: z.optional(KEYS.check),
    interval: z.optional(KEYS.interval),
    fastInterval: z.optional(KEYS.fastInterval),
    jitter: z.optional(KEYS.jitter),
    timeout: z.optional(KEYS.timeout),
    unhealthyAfter: z.optional(KEYS.unhealthyAfter),
    healthyAfter: z.optional(KEYS.healthyAfter),
    service: z.optional(KEYS.service),
    orca: z.optional(KEYS.orca),
    panicBelow: z.optional(KEYS.panicBelow),
    outliers: z.optional(outliers),
  },
);
