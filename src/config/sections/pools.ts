/** `pools:` */
import { z } from 'zod';
import { CONTROL, QUEUE_LIMITS } from '../../core/limits.ts';
import { POLICIES } from '../../core/policies/policies.ts';
import { STATUS_NAMES, type Status } from '../../grpc/status.ts';
import * as k from '../kinds.ts';
import { poolHealth } from './health-rules.ts';
import { AN_AGE, UP_TO_HOUR } from './shared.ts';

/** All but OK, which is no failure. */
const RETRY_CODES = Object.fromEntries(STATUS_NAMES.slice(1).map(name => [name, ''])) as Readonly<
  Record<Exclude<keyof typeof Status, 'OK'>, string>
>;

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

const WHEN_DOWN = {
  fail: 'calls fail at once with UNAVAILABLE',
  wait: 'calls wait for a backend to come',
} as const;

const queue = k.section('Calls that wait: their backends are all at `maxConcurrency`, or there is none.', {
  size: k
    .number(
      { about: 'Most calls that wait; `0`: a call that finds all backends full fails at once.', live: true },
      { integer: true, least: 0, most: QUEUE_LIMITS.mostSize },
    )
    .prefault(QUEUE_LIMITS.size),
  maxWait: k
    .duration({ about: 'Longest wait of calls with a later deadline, or none.', live: true }, UP_TO_HOUR)
    .prefault(`${QUEUE_LIMITS.maxWaitMs / 1_000}s`),
  whenDown: k
    .oneOf({ about: 'What becomes of calls while no backend of the pool takes any.', live: true }, WHEN_DOWN)
    .prefault('fail'),
});

export const pool = k.section('Settings of one pool.', {
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
  health: z.optional(poolHealth),
  queue,
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
