/** The process itself. */
import { counter, gauge } from '../family.ts';

export const INSTANCE = {
  build: gauge(
    'build_info',
    'version of Heapmesh and of Node, with the value 1',
    'version',
    'node',
    'instance',
  ),
  start: gauge('process_start_time_seconds', 'start of the process, seconds since 1970'),
  cpu: counter('process_cpu_seconds_total', 'processor time of the process', 'mode'),
  memory: gauge('process_memory_bytes', 'memory of the process, by what it is for', 'kind'),
  files: gauge('process_open_files', 'file descriptors that are open; sockets are among them'),
  delay: gauge(
    'event_loop_delay_seconds',
    'how late the event loop was: p50, p99 and max of each 2 s, the worst of the last 16 s',
    'figure',
  ),
  busy: gauge('event_loop_busy_ratio', 'share of the last 2 s that the event loop was at work'),
  collections: counter('gc_total', 'garbage collections', 'kind'),
  collecting: counter('gc_seconds_total', 'time spent in garbage collections', 'kind'),
  scrape: gauge('scrape_duration_seconds', 'what the scrape before this one took'),
  slice: gauge(
    'scrape_longest_slice_seconds',
    'the longest that the scrape before this one held up calls at a time',
  ),
  full: gauge(
    'metrics_full',
    '1 where there are more than are told of one by one: the rest is counted as `other`, or left out',
    'what',
  ),
} as const;
