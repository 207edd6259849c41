/** The panels of the dashboards: what they show, and by which queries. */

export interface Panel {
  readonly title: string;
  /** What a person should know to read it. */
  readonly about?: string;
  /** Grafana's name of the unit. */
  readonly unit: string;
  /** Queries with the legend of their series. */
  readonly queries: readonly (readonly [query: string, legend: string])[];
  readonly stacked?: boolean;
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly about: string;
  readonly rows: readonly Row[];
}

const I = 'instance=~"$instance"';
const RATE = '[$__rate_interval]';
const FAILED = 'code=~"UNKNOWN|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|INTERNAL|UNAVAILABLE|DATA_LOSS"';
const rate = (name: string, by: string, labels = ''): string =>
  `sum by (${by}) (rate(heapmesh_${name}{${I}${labels === '' ? '' : `,${labels}`}}${RATE}))`;
const quantile = (q: number, name: string, by: string, labels = ''): string =>
  `histogram_quantile(${q}, ${rate(`${name}_bucket`, `${by === '' ? '' : `${by}, `}le`, labels)})`;
const P = 'pool=~"$pool"';

const CALLS: Dashboard = {
  uid: 'heapmesh-calls',
  title: 'Heapmesh: calls',
  about: 'What callers see: rate, errors and duration by service and method, and what backends make of it.',
  rows: [
    {
      title: 'Callers',
      panels: [
        {
          title: 'Calls',
          unit: 'reqps',
          queries: [[rate('calls_total', 'service'), '{{service}}']],
          stacked: true,
        },
        {
          title: 'Failed calls',
          about:
            'Codes that say that a backend or the balancer failed; mistakes of callers are not among them.',
          unit: 'reqps',
          queries: [[rate('calls_total', 'service, code', FAILED), '{{service}} {{code}}']],
          stacked: true,
        },
        {
          title: 'Duration of calls',
          unit: 's',
          queries: [
            [quantile(0.5, 'call_duration_seconds', 'service'), 'p50 {{service}}'],
            [quantile(0.99, 'call_duration_seconds', 'service'), 'p99 {{service}}'],
          ],
        },
        {
          title: 'Calls by method',
          unit: 'reqps',
          queries: [[rate('calls_total', 'service, method'), '{{service}}/{{method}}']],
        },
        {
          title: 'Calls in flight',
          unit: 'short',
          queries: [[`sum by (pool) (heapmesh_calls_in_flight{${I},${P}})`, '{{pool}}']],
          stacked: true,
        },
        {
          title: 'Calls by code',
          unit: 'reqps',
          queries: [[rate('calls_total', 'code'), '{{code}}']],
          stacked: true,
        },
      ],
    },
    {
      title: 'Backends',
      panels: [
        {
          title: 'Attempts',
          unit: 'reqps',
          queries: [[rate('attempts_total', 'backend', P), '{{backend}}']],
          stacked: true,
        },
        {
          title: 'Failed attempts',
          unit: 'reqps',
          queries: [[rate('attempts_total', 'backend, code', `${P},${FAILED}`), '{{backend}} {{code}}']],
        },
        {
          title: 'Duration of attempts, p99',
          unit: 's',
          queries: [[quantile(0.99, 'attempt_duration_seconds', 'backend', P), '{{backend}}']],
        },
        {
          title: 'Retries, moves and refusals',
          about:
            'Retries are by policy; a move is of a call that a backend did not begin; a refusal had no backend at all.',
          unit: 'reqps',
          queries: [
            [rate('retries_total', 'pool', P), 'retries {{pool}}'],
            [rate('moves_total', 'pool', P), 'moves {{pool}}'],
            [rate('calls_refused_total', 'pool', P), 'refused {{pool}}'],
          ],
        },
        {
          title: 'Octets to and from backends',
          unit: 'Bps',
          queries: [
            [rate('sent_bytes_total', 'pool', P), 'to {{pool}}'],
            [rate('received_bytes_total', 'pool', P), 'from {{pool}}'],
          ],
        },
        {
          title: 'Messages to and from backends',
          unit: 'short',
          queries: [
            [rate('sent_messages_total', 'pool', P), 'to {{pool}}'],
            [rate('received_messages_total', 'pool', P), 'from {{pool}}'],
          ],
        },
      ],
    },
  ],
};

const BALANCING: Dashboard = {
  uid: 'heapmesh-balancing',
  title: 'Heapmesh: balancing',
  about: 'Pools, their heaps, and what is known of each backend: why calls go where they go.',
  rows: [
    {
      title: 'Pools',
      panels: [
        {
          title: 'Backends by state',
          unit: 'short',
          queries: [[`sum by (state) (heapmesh_pool_backends{${I},${P}})`, '{{state}}']],
          stacked: true,
        },
        {
          title: 'Heap, and backends whose report is overdue',
          unit: 'short',
          queries: [
            [`heapmesh_pool_heap_size{${I},${P}}`, 'heap {{pool}}'],
            [`heapmesh_pool_stale_backends{${I},${P}}`, 'stale {{pool}}'],
          ],
        },
        {
          title: 'Picks, and picks that changed the backend',
          unit: 'reqps',
          queries: [
            [rate('pool_picks_total', 'pool', P), 'picks {{pool}}'],
            [rate('pool_root_changes_total', 'pool', P), 'changes {{pool}}'],
          ],
        },
        {
          title: 'Scores: expected wait at the root and at the last',
          unit: 's',
          queries: [
            [`heapmesh_pool_score_low_seconds{${I},${P}}`, 'root {{pool}}'],
            [`heapmesh_pool_score_high_seconds{${I},${P}}`, 'last {{pool}}'],
          ],
        },
        {
          title: 'Spread: calls in flight of the busiest over the mean',
          about: '1 is even; it is high by itself where there are only a few calls in flight.',
          unit: 'short',
          queries: [[`heapmesh_pool_load_spread_ratio{${I},${P}}`, '{{pool}}']],
        },
        {
          title: 'Calls that wait because all are full',
          unit: 'short',
          queries: [
            [`heapmesh_pool_waiting_calls{${I},${P}}`, 'wait {{pool}}'],
            [rate('pool_queue_total', 'pool, result', P), '{{result}} a second {{pool}}'],
          ],
        },
        {
          title: 'Age of load at picks, and the report that is overdue most',
          unit: 's',
          queries: [
            [quantile(0.5, 'pick_report_age_seconds', ''), 'p50'],
            [quantile(0.99, 'pick_report_age_seconds', ''), 'p99'],
            [`heapmesh_pool_report_lag_seconds{${I},${P}}`, 'overdue {{pool}}'],
          ],
        },
      ],
    },
    {
      title: 'Backends',
      panels: [
        {
          title: 'Utilization',
          unit: 'percentunit',
          queries: [[`heapmesh_backend_utilization_ratio{${I}}`, '{{backend}}']],
        },
        {
          title: 'Calls in flight: ours and others',
          unit: 'short',
          queries: [
            [`sum by (backend) (heapmesh_backend_in_flight{${I}})`, 'ours {{backend}}'],
            [`heapmesh_backend_others_in_flight{${I}}`, 'others {{backend}}'],
          ],
        },
        { title: 'Score', unit: 's', queries: [[`heapmesh_backend_score_seconds{${I}}`, '{{backend}}']] },
        {
          title: 'Capacity learned, and calls reported',
          unit: 'reqps',
          queries: [
            [`heapmesh_backend_capacity_calls_per_second{${I}}`, 'capacity {{backend}}'],
            [`heapmesh_backend_reported_calls_per_second{${I}}`, 'reported {{backend}}'],
          ],
        },
        {
          title: 'Share of failed calls',
          unit: 'percentunit',
          queries: [[`heapmesh_backend_failure_ratio{${I}}`, '{{backend}}']],
        },
        {
          title: 'Age of the last report, and the time between reports',
          unit: 's',
          queries: [
            [`heapmesh_backend_report_age_seconds{${I}}`, 'age {{backend}}'],
            [`heapmesh_backend_report_interval_seconds{${I}}`, 'interval {{backend}}'],
          ],
        },
        { title: 'Picks', unit: 'reqps', queries: [[rate('backend_picks_total', 'backend'), '{{backend}}']] },
        {
          title: 'Changes of state',
          unit: 'short',
          queries: [[`sum by (state) (increase(heapmesh_transitions_total{${I}}${RATE}))`, 'into {{state}}']],
        },
      ],
    },
    {
      title: 'Lookaside and reports',
      panels: [
        {
          title: 'Answers of PickServer',
          unit: 'reqps',
          queries: [[rate('lookaside_picks_total', 'result'), '{{result}}']],
        },
        {
          title: 'Leases',
          unit: 'short',
          queries: [
            [`heapmesh_leases_open{${I}}`, 'open'],
            [rate('leases_expired_total', 'instance'), 'expired a second'],
            [rate('leases_late_total', 'instance'), 'late a second'],
          ],
        },
        {
          title: 'Load reports',
          unit: 'reqps',
          queries: [[rate('load_reports_total', 'result'), '{{result}}']],
        },
        {
          title: 'Report streams and watches',
          unit: 'short',
          queries: [
            [`heapmesh_reporters{${I}}`, 'report streams'],
            [`heapmesh_watches{${I}}`, 'watches'],
            [`heapmesh_control_connections{${I}}`, 'connections'],
          ],
        },
      ],
    },
  ],
};

const INSTANCE: Dashboard = {
  uid: 'heapmesh-instance',
  title: 'Heapmesh: instance',
  about: 'The process itself: connections, limits that were hit, event loop, memory.',
  rows: [
    {
      title: 'Connections',
      panels: [
        {
          title: 'Connections of callers',
          unit: 'short',
          queries: [
            [`heapmesh_caller_connections{${I}}`, 'open {{instance}}'],
            [`heapmesh_caller_connections_stalled{${I}}`, 'not read by the caller {{instance}}'],
          ],
        },
        {
          title: 'Connections and streams to backends',
          unit: 'short',
          queries: [
            [`heapmesh_backend_connections{${I}}`, 'connections {{backend}}'],
            [`heapmesh_backend_streams{${I}}`, 'streams {{backend}}'],
          ],
        },
        {
          title: 'Calls that wait for a stream',
          unit: 'short',
          queries: [
            [`heapmesh_backend_waiting_calls{${I}}`, 'waiting {{backend}}'],
            [`heapmesh_backend_connections_full{${I}}`, 'full connections {{backend}}'],
            [`heapmesh_backend_connections_stalled{${I}}`, 'stalled connections {{backend}}'],
          ],
        },
        {
          title: 'Wait for a stream, of calls that waited',
          unit: 's',
          queries: [[quantile(0.99, 'stream_wait_seconds', ''), 'p99']],
        },
        {
          title: 'Connections begun',
          unit: 'short',
          queries: [
            [rate('caller_connections_accepted_total', 'instance'), 'of callers'],
            [rate('backend_dials_total', 'result'), 'to backends: {{result}}'],
            [rate('backend_goaways_total', 'instance'), 'GOAWAY of backends'],
          ],
        },
        {
          title: 'Resets',
          unit: 'short',
          queries: [
            [rate('caller_resets_total', 'code'), 'callers: {{code}}'],
            [rate('backend_resets_total', 'cause, code'), 'backends: {{cause}} {{code}}'],
          ],
        },
        { title: 'Limits hit', unit: 'short', queries: [[rate('limits_total', 'limit'), '{{limit}}']] },
        {
          title: 'Rules of HTTP/2 that peers broke',
          unit: 'short',
          queries: [[`topk(10, ${rate('http2_faults_total', 'scope, fault')})`, '{{scope}} {{fault}}']],
        },
      ],
    },
    {
      title: 'Process',
      panels: [
        {
          title: 'Event loop: how late',
          unit: 's',
          queries: [[`heapmesh_event_loop_delay_seconds{${I}}`, '{{figure}} {{instance}}']],
        },
        {
          title: 'Event loop: at work',
          unit: 'percentunit',
          queries: [[`heapmesh_event_loop_busy_ratio{${I}}`, '{{instance}}']],
        },
        {
          title: 'Processor',
          unit: 'percentunit',
          queries: [[rate('process_cpu_seconds_total', 'mode'), '{{mode}}']],
        },
        {
          title: 'Memory',
          unit: 'bytes',
          queries: [[`heapmesh_process_memory_bytes{${I}}`, '{{kind}} {{instance}}']],
        },
        {
          title: 'Garbage collection',
          unit: 'percentunit',
          queries: [[rate('gc_seconds_total', 'kind'), '{{kind}}']],
        },
        {
          title: 'Scrapes',
          unit: 's',
          queries: [
            [`heapmesh_scrape_duration_seconds{${I}}`, 'took'],
            [`heapmesh_scrape_longest_slice_seconds{${I}}`, 'longest slice'],
          ],
        },
        {
          title: 'Log of changes',
          unit: 'short',
          queries: [
            [`heapmesh_log_pending_changes{${I}}`, 'not kept yet {{instance}}'],
            [rate('log_position', 'instance'), 'entries a second'],
            [rate('proposals_refused_total', 'instance'), 'refused a second'],
          ],
        },
        {
          title: 'Spans and lines of the log',
          unit: 'short',
          queries: [
            [rate('spans_total', 'result'), 'spans {{result}}'],
            [rate('log_lines_total', 'result'), 'lines {{result}}'],
          ],
        },
        {
          title: 'Versions',
          unit: 'short',
          queries: [[`heapmesh_build_info{${I}}`, '{{version}} Node {{node}}']],
        },
      ],
    },
  ],
};

export const DASHBOARDS: readonly Dashboard[] = [CALLS, BALANCING, INSTANCE];
