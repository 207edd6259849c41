/** Pools, their heaps, and what is known of backends. */
import { counter, gauge, histogram } from '../family.ts';

export const POOLS = {
  backends: gauge('pool_backends', 'backends of a pool, by state', 'pool', 'state'),
  heap: gauge('pool_heap_size', 'backends that stand in the heap of a pool', 'pool'),
  stale: gauge('pool_stale_backends', 'eligible backends of a pool whose load report is overdue', 'pool'),
  lag: gauge('pool_report_lag_seconds', 'by how much the load report that is overdue most is late', 'pool'),
  picks: counter('pool_picks_total', 'picks that gave a backend, by proxy and lookaside', 'pool'),
  waiting: gauge('pool_waiting_calls', 'calls that wait because every backend of the pool is full', 'pool'),
  queue: counter(
    'pool_queue_total',
    'calls that came to wait because every backend of the pool was full, by what became of them',
    'pool',
    'result',
  ),
  rootChanges: counter(
    'pool_root_changes_total',
    'picks that took another backend than the pick before',
    'pool',
  ),
  scoreLow: gauge('pool_score_low_seconds', 'expected wait at the root of the heap', 'pool'),
  scoreHigh: gauge('pool_score_high_seconds', 'expected wait at the last of the heap', 'pool'),
  spread: gauge(
    'pool_load_spread_ratio',
    'calls in flight of the busiest eligible backend over the mean, by weight',
    'pool',
  ),
  pickAge: histogram(
    'pick_report_age_seconds',
    'age of the last load report of what was picked; of one pick in eight',
  ),
} as const;

export const BACKENDS = {
  state: gauge('backend_state', 'the state that a backend is in, with the value 1', 'backend', 'state'),
  inFlight: gauge('backend_in_flight', 'calls of this instance in flight at a backend', 'backend', 'kind'),
  others: gauge('backend_others_in_flight', "others' calls in flight at a backend, estimated", 'backend'),
  utilization: gauge('backend_utilization_ratio', 'utilization as a backend reported it last', 'backend'),
  rps: gauge(
    'backend_reported_calls_per_second',
    'calls a second as a backend reported them last',
    'backend',
  ),
  capacity: gauge('backend_capacity_calls_per_second', 'calls a second at utilization 1, learned', 'backend'),
  failure: gauge('backend_failure_ratio', 'share of failed calls, decayed, as the score has it', 'backend'),
  score: gauge('backend_score_seconds', 'expected wait at a backend: the least is picked first', 'backend'),
  weight: gauge('backend_weight', 'weight that multiplies the capacity', 'backend'),
  reportAge: gauge('backend_report_age_seconds', 'time since the last load report', 'backend'),
  reportInterval: gauge('backend_report_interval_seconds', 'time between load reports, observed', 'backend'),
  picks: counter('backend_picks_total', 'picks of a backend, by proxy and lookaside', 'backend'),
  connections: gauge('backend_connections', 'connections to a backend', 'backend'),
  streams: gauge('backend_streams', 'streams that are open at a backend', 'backend'),
  full: gauge(
    'backend_connections_full',
    'connections with as many streams as the backend allows',
    'backend',
  ),
  stalled: gauge(
    'backend_connections_stalled',
    'connections on which calls wait for the backend to read',
    'backend',
  ),
  waiting: gauge('backend_waiting_calls', 'calls that wait for a stream at a backend', 'backend'),
} as const;
