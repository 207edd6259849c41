/** Calls as callers see them, and attempts at backends. */
import { counter, gauge, histogram } from '../family.ts';

export const CALLS = {
  calls: counter('calls_total', 'calls that ended, as their callers saw them', 'service', 'method', 'code'),
  duration: histogram('call_duration_seconds', 'time of a call from its head to its end', 'service', 'code'),
  inFlight: gauge('calls_in_flight', 'calls that the proxy relays now', 'pool'),
  poolless: counter(
    'calls_without_pool_total',
    'calls that no pool serves, or that this instance answers itself (health checks)',
  ),
  refused: counter('calls_refused_total', 'calls that no backend could be picked for', 'pool'),
  attempts: counter('attempts_total', 'attempts at a backend that ended', 'pool', 'backend', 'code'),
  attemptDuration: histogram(
    'attempt_duration_seconds',
    'time that a backend had a call, the wait for a stream included',
    'pool',
    'backend',
  ),
  attemptsInFlight: gauge('attempts_in_flight', 'attempts that are open', 'pool', 'backend'),
  sentBytes: counter(
    'sent_bytes_total',
    'octets of messages to a backend; grows while a call is open',
    'pool',
    'backend',
  ),
  receivedBytes: counter(
    'received_bytes_total',
    'octets of messages from a backend; grows while a call is open',
    'pool',
    'backend',
  ),
  sentMessages: counter(
    'sent_messages_total',
    'messages to a backend; grows while a call is open',
    'pool',
    'backend',
  ),
  receivedMessages: counter(
    'received_messages_total',
    'messages from a backend; grows while a call is open',
    'pool',
    'backend',
  ),
  retries: counter('retries_total', "attempts beyond the first, by the pool's policy", 'pool'),
  moves: counter(
    'moves_total',
    'calls that went to another backend because the first did not begin them',
    'pool',
  ),
  wait: histogram('stream_wait_seconds', 'time that calls waited for a stream; of those that had to wait'),
  noLease: counter('pick_failures_total', 'picks of the proxy that gave no backend', 'reason'),
} as const;
