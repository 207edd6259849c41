/** What the demo shows: the heap, the servers, the calls, what has happened. Pure. */
import type { ServerState } from '../../core/core.ts';
import { renderBar } from '../render/bar.ts';
import { formatLatency, formatNumber, formatPercent } from '../render/format.ts';
import { explainScore, formatScore } from '../render/score.ts';
import { clean, type Paint } from '../render/style.ts';
import { type Cell, type Column, renderTable } from '../render/table.ts';
import { renderTree } from '../render/tree.ts';
import { stateStyle } from '../server-view.ts';
import type { Figures } from './tally.ts';

export interface DemoServer {
  readonly id: string;
  readonly state: ServerState;
  readonly inFlight: number;
  /** Fraction; null is unknown. */
  readonly utilization: number | null;
  /** Seconds of expected wait; null where it is in no heap. */
  readonly score: number | null;
}

export interface DemoNode {
  readonly id: string;
  readonly score: number;
  readonly newcomer: boolean;
  readonly terms: Readonly<Record<string, number>>;
}

export interface DemoView {
  readonly control: string;
  /** Of the console in a browser. */
  readonly consoleUrl: string;
  readonly seconds: number;
  /** Calls a second that the callers make. */
  readonly rate: number;
  readonly arity: number;
  readonly nodes: readonly DemoNode[];
  readonly servers: readonly DemoServer[];
  /** The last seconds of calls. */
  readonly recent: Figures;
  readonly recentS: number;
  readonly total: Figures;
  /** Newest last. */
  readonly events: readonly string[];
}

const SERVERS: readonly Column[] = [
  { title: 'SERVER' },
  { title: 'STATE' },
  { title: 'UTILIZATION' },
  { title: 'IN FLIGHT', align: 'right' },
  { title: 'SCORE', align: 'right' },
  { title: 'CALLS/S', align: 'right' },
  { title: 'SHARE' },
];
/** Characters of a full bar of utilization, and of a share of all calls: with these, 80 columns are enough. */
const BAR = 8;
const SHARE = 8;

export function renderDemo(view: DemoView, paint: Paint, columns: number): string {
  const head = `heapmesh demo  ${view.seconds.toFixed(0)} s  ${formatNumber(view.rate)} calls/s asked  control ${view.control}`;
  const { recent, total } = view;
  const lines = [
    paint('bold', head),
    `console ${view.consoleUrl}`,
    paint('dim', 'q quit   a activate the standby   k kill a server   r start it again   + - rate'),
    '',
    `${paint('bold', 'Heap of echo.v1.EchoService')}  root = next call, score = expected wait`,
    ...heapLines(view, paint),
    '',
    renderTable(
      SERVERS,
      view.servers.map(server => serverCells(server, view, paint)),
      paint,
      columns,
    ),
    '',
    `Calls in the last ${view.recentS.toFixed(0)} s: ${recent.served} served, ${failures(recent, paint)}   p50 ${latency(recent.p50)}   p99 ${latency(recent.p99)}`,
    `In all: ${total.served} served, ${failures(total, paint)}   p50 ${latency(total.p50)}   p99 ${latency(total.p99)}`,
    '',
    paint('bold', 'Events'),
    ...view.events.map(event => clean(event)),
  ];
  return lines.join('\n');
}

function heapLines(view: DemoView, paint: Paint): string[] {
  if (view.nodes.length > 0) {
    return renderTree(view.nodes.length, view.arity, index =>
      nodeLabel(view.nodes[index] as DemoNode, paint),
    );
  }
  const some = view.servers.some(({ score }) => score !== null);
  return [
    paint(
      'dim',
      some
        ? 'empty: every server is at the cap of its warm-up; the one with the lowest score takes the next call'
        : 'empty: no server takes calls',
    ),
  ];
}

function nodeLabel(node: DemoNode, paint: Paint): string {
  const why = node.newcomer
    ? paint('cyan', 'newcomer: root until its first served call')
    : paint('dim', explainScore(node.terms));
  return `${clean(node.id)}  ${formatScore(node.score)}  ${why}`;
}

function serverCells(server: DemoServer, view: DemoView, paint: Paint): Cell[] {
  const calls = view.recent.byServer.get(server.id) ?? 0;
  const share = view.recent.served > 0 ? calls / view.recent.served : 0;
  const bar = (fraction: number | null): Cell => {
    const percent = formatPercent(fraction).padStart(5);
    const painted = renderBar(fraction, BAR, paint) + percent;
    return { text: renderBar(fraction, BAR, (_style, text) => text) + percent, painted };
  };
  return [
    server.id,
    { text: server.state, style: stateStyle(server.state) },
    bar(server.utilization),
    String(server.inFlight),
    server.score === null ? '-' : formatScore(server.score),
    view.recentS > 0 ? (calls / view.recentS).toFixed(0) : '-',
    `${'▪'.repeat(Math.round(share * SHARE))} ${formatPercent(share)}`,
  ];
}

function failures(figures: Figures, paint: Paint): string {
  if (figures.failed === 0) return '0 failed';
  const names = [...figures.failures].map(([name, count]) => `${count} ${name}`).join(', ');
  return paint('red', `${figures.failed} failed (${names})`);
}

/** Not a number: there were no calls. */
export function latency(ms: number): string {
  return Number.isNaN(ms) ? '-' : formatLatency(ms);
}

/** The table at the end: the heap beside round robin, over the same servers. */
export function renderSummary(
  rows: readonly { readonly name: string; readonly seconds: number; readonly figures: Figures }[],
  servers: readonly string[],
  paint: Paint,
): string {
  const columns: Column[] = [
    { title: 'POLICY' },
    { title: 'CALLS', align: 'right' },
    { title: 'FAILED', align: 'right' },
    { title: 'P50', align: 'right' },
    { title: 'P99', align: 'right' },
    { title: 'LONGEST', align: 'right' },
    ...servers.map((id): Column => ({ title: id.toUpperCase(), align: 'right' })),
  ];
  const cells = rows.map(({ name, figures }): Cell[] => [
    name,
    String(figures.served),
    figures.failed > 0 ? { text: String(figures.failed), style: 'red' } : '0',
    latency(figures.p50),
    latency(figures.p99),
    latency(figures.max),
    ...servers.map(id =>
      formatPercent(figures.served > 0 ? (figures.byServer.get(id) ?? 0) / figures.served : 0),
    ),
  ]);
  return renderTable(columns, cells, paint);
}
