/** The control API, leases, and the registry with its log. */
import { counter, gauge } from '../family.ts';

export const CONTROL = {
  picks: counter('lookaside_picks_total', 'answers of PickServer', 'result'),
  outcomes: counter('lookaside_outcomes_total', 'outcomes that callers reported of their leases', 'result'),
  leasesOpen: gauge('leases_open', 'calls that were picked for and have not ended, relayed ones included'),
  leasesExpired: counter('leases_expired_total', 'leases that ended by time, without a word of their caller'),
  leasesLate: counter('leases_late_total', 'completions of leases that had ended already'),
  reports: counter('load_reports_total', 'load reports of backends on their streams', 'result'),
  registrations: counter('registrations_total', 'registrations of backends', 'result'),
  streamsLost: counter('report_streams_lost_total', 'report streams that ended without a deregistration'),
  takenOver: counter(
    'report_streams_taken_over_total',
    'report streams that a later one of the same backend replaced',
  ),
  silenced: counter('silence_ejections_total', 'backends ejected because their report stream went', 'reason'),
  reporters: gauge('reporters', 'report streams that are open'),
  watches: gauge('watches', 'watches of pools that are open'),
  watchMessages: counter('watch_messages_total', 'messages to watches'),
  watchBytes: counter('watch_sent_bytes_total', 'octets of messages to watches'),
  watchSkips: counter('watch_skips_total', 'times that a watch was skipped because its reader lags'),
  watchResyncs: counter('watch_resyncs_total', 'watches that lagged too far and were given all anew'),
  eventsLost: counter('event_followers_lost_total', 'followers of events that lagged too far and were ended'),
  connections: gauge('control_connections', 'connections to the control API'),
  faults: counter('control_faults_total', 'calls of the control API that failed by a fault of ours'),
} as const;

export const REGISTRY = {
  position: gauge('log_position', 'position of the last entry of the log that was applied'),
  state: gauge('log_state', 'how the log does: 1 for what it is, 0 for what it is not', 'state'),
  pending: gauge('log_pending_changes', 'changes that the log has not kept yet'),
  durable: gauge('log_durable_position', 'position up to which entries are durable'),
  figures: gauge('log_figure', 'figures of the kind of log that there is, as `/readyz` tells them', 'name'),
  decisions: counter(
    'log_decisions_total',
    'picks that were to be noted in the log for `heapmesh log explain`, by what became of them',
    'result',
  ),
  transitions: counter('transitions_total', 'changes of backends into a state', 'state'),
  refused: counter('proposals_refused_total', 'changes that were not applied: their precondition had failed'),
} as const;
