/** Connections, what went wrong on them, and limits that were hit. */
import { counter, gauge } from '../family.ts';

export const PROXY = {
  callerConnections: gauge('caller_connections', 'connections of callers that are open'),
  callerConnectionsTotal: counter(
    'caller_connections_accepted_total',
    'connections of callers that were taken in',
  ),
  stalledCallers: gauge(
    'caller_connections_stalled',
    'connections of callers that do not read what their calls are answered',
  ),
  notGrpc: counter('not_grpc_requests_total', 'requests that were no gRPC'),
  dials: counter('backend_dials_total', 'connections to backends, by what became of them', 'result'),
  goaways: counter('backend_goaways_total', 'GOAWAY frames of backends'),
  callerResets: counter('caller_resets_total', 'streams that callers reset', 'code'),
  backendResets: counter(
    'backend_resets_total',
    'streams at backends that ended before their time',
    'cause',
    'code',
  ),
  limits: counter('limits_total', 'times that a limit was hit', 'limit'),
  faults: counter(
    'http2_faults_total',
    'rules of HTTP/2 that a peer broke; those of a connection end it, those of a stream end that',
    'scope',
    'fault',
  ),
} as const;
