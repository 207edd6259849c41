/** What `top` shows. */
import { byScore, isPickable, type ServerView, STATES, stateStyle, stateText } from '../server-view.ts';
import { renderBar } from './bar.ts';
import { formatAge, formatNumber, formatPercent, plural } from './format.ts';
import { formatScore } from './score.ts';
import { clean, type Paint } from './style.ts';
import { type Cell, type Column, renderTable } from './table.ts';

export interface TopView {
  /** Where it comes from. */
  readonly address: string;
  /** Empty is all services. */
  readonly service: string;
  readonly servers: readonly ServerView[];
  /** Shown instead of fresh figures; those on the screen are old. */
  readonly trouble?: string;
}

export interface Screen {
  readonly columns: number;
  /** Lines that may be used; infinite where it is no terminal. */
  readonly rows: number;
  readonly paint: Paint;
}

const BAR_WIDTH = 16;
/** Below this many columns of the terminal bars are short; below the second, addresses are left out. */
const WIDE_COLUMNS = 100;
const SHORT_BAR_WIDTH = 6;
const ADDRESS_COLUMNS = 86;
/** The place of ADDRESS in `COLUMNS` and in a row. */
const ADDRESS = 1;

const COLUMNS: readonly Column[] = [
  { title: 'SERVER', shrinkTo: 8 },
  { title: 'ADDRESS', shrinkTo: 10 },
  { title: 'STATE' },
  { title: 'UTILIZATION' },
  { title: 'IN FLIGHT', align: 'right' },
  { title: 'SCORE', align: 'right' },
  { title: '~RPS', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'REPORT', align: 'right' },
];

/** Lines for the screen, never more than fit. */
export function renderTop(view: TopView, screen: Screen): string {
  const { paint } = screen;
  const sorted = view.servers.toSorted(byScore);
  const counts = STATES.map(state => [state, sorted.filter(server => server.state === state).length] as const)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => paint(stateStyle(state), `${count} ${state.toLowerCase()}`));
  const inFlight = sorted.reduce((sum, server) => sum + server.inFlight, 0);
  const service = view.service === '' ? 'all services' : clean(view.service);
  const heading = [
    paint('bold', `heapmesh ${view.address}`),
    service,
    plural(sorted.length, 'server'),
    ...(counts.length > 0 ? [counts.join(', ')] : []),
    `${inFlight} in flight`,
  ].join('  ');
  const lines = [heading];
  if (view.trouble !== undefined)
    lines.push(paint('red', `The figures below are old: ${clean(view.trouble)}`));
  lines.push('');
  if (sorted.length === 0)
    return [...lines, 'No server yet: `heapmesh servers add SERVICE=ADDR` adds one.'].join('\n');

  const room = Math.max(1, screen.rows - lines.length - 2);
  const shown = sorted.length > room + 1 ? sorted.slice(0, room) : sorted;
  const bar = screen.columns >= WIDE_COLUMNS ? BAR_WIDTH : SHORT_BAR_WIDTH;
  const kept = (_: unknown, i: number) => i !== ADDRESS || screen.columns >= ADDRESS_COLUMNS;
  lines.push(
    renderTable(
      COLUMNS.filter(kept),
      shown.map(server => cells(server, bar, paint).filter(kept)),
      paint,
      screen.columns,
    ),
  );
  if (shown.length < sorted.length) lines.push(paint('dim', `… ${sorted.length - shown.length} more`));
  return lines.join('\n');
}

function cells(server: ServerView, barWidth: number, paint: Paint): Cell[] {
  const percent = formatPercent(server.utilization).padStart(5);
  const bar = renderBar(server.utilization, barWidth, (_style, text) => text);
  const stale =
    server.reportAgeMs !== null &&
    server.reportIntervalMs !== null &&
    server.reportAgeMs > 3 * server.reportIntervalMs;
  return [
    { text: server.id, style: 'bold' },
    server.address,
    { text: stateText(server), style: stateStyle(server.state) },
    { text: bar + percent, painted: renderBar(server.utilization, barWidth, paint) + percent },
    String(server.inFlight),
    isPickable(server) ? formatScore(server.score) : '-',
    server.estimatedRps === null ? '-' : formatNumber(server.estimatedRps),
    server.failure >= 0.005 ? { text: formatPercent(server.failure), style: 'red' } : '-',
    stale ? { text: formatAge(server.reportAgeMs), style: 'yellow' } : formatAge(server.reportAgeMs),
  ];
}
