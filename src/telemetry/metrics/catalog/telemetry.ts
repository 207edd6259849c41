/** What becomes of what is told of calls. */
import { counter, gauge } from '../family.ts';

export const TELEMETRY = {
  spans: counter('spans_total', 'spans of traces, by what became of them', 'result'),
  spansWaiting: gauge('spans_waiting', 'spans that wait to be sent to the collector'),
  lines: counter('log_lines_total', 'lines of the log that people read, by what became of them', 'result'),
} as const;
