/** Health of backends as this instance judges it. */
import { counter, gauge } from '../family.ts';

export const HEALTH = {
  checks: counter('health_checks_total', 'active health checks that ended, by what they found', 'result'),
  ejections: counter('health_ejections_total', 'backends taken out by this instance', 'reason'),
  returns: counter('health_returns_total', 'backends brought back by this instance'),
  outliers: gauge('health_outliers', 'backends that are out by outlier rules'),
  checked: gauge('health_checked_backends', 'backends that are looked after'),
  underWay: gauge('health_checks_under_way', 'active health checks under way'),
  panic: gauge(
    'pool_panic',
    'how far health is ignored: 1 for the judged, 2 for those not reached too',
    'pool',
  ),
  panics: counter('panics_total', 'times that a pool began to ignore health'),
  suspects: gauge('instance_suspects_itself', '1 while this instance lost most of its backends at once'),
  suspicions: counter('instance_suspicions_total', 'times that this instance began to suspect itself'),
  loadStreams: gauge('load_streams', 'streams of load that backends were asked for (ORCA out of band)'),
  loads: counter('load_stream_reports_total', 'load reports on streams that backends were asked for'),
} as const;
