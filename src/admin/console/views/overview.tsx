/** All of a pool at a glance: figures, heap, charts, what happened, and the servers. */
import type { HistoryPoints } from '../../wire.ts';
import { usePolled } from '../api.ts';
import { count, duration, number, percent } from '../format.ts';
import { Chart, type Line } from '../parts/chart.tsx';
import { Panel } from '../parts/panel.tsx';
import { Spark } from '../parts/spark.tsx';
import { type Backend, loadOf, type Store } from '../store.ts';
import { callsPerSecond } from './columns.tsx';
import { EventList } from './events.tsx';
import { HeapPanel } from './heap.tsx';
import { Pools } from './pools.tsx';

interface OverviewProps {
  readonly store: Store;
  /** Empty: all servers. */
  readonly pool: string;
  readonly theme: string;
  readonly onOpen: (id: string) => void;
  readonly onZone: (zone: string) => void;
  readonly onPool: (service: string) => void;
}

const NAMES = 'rps,errors,p50,p99,inFlight,queue';
const STEP_MS = 2_000;

const RATES: readonly Line[] = [
  { name: 'rps', label: 'calls/s', tone: 'accent' },
  { name: 'errors', label: 'failed/s', tone: 'bad' },
];
const TIMES: readonly Line[] = [
  { name: 'p50', label: 'p50', tone: 'accent' },
  { name: 'p99', label: 'p99', tone: 'warn' },
];
const FLIGHT: readonly Line[] = [
  { name: 'inFlight', label: 'in flight', tone: 'accent' },
  { name: 'queue', label: 'waiting', tone: 'warn' },
];
const USE: readonly Line[] = [
  { name: 'utilization', label: 'mean', tone: 'accent' },
  { name: 'utilizationMax', label: 'highest', tone: 'warn', isDashed: true },
];
const LOOP: readonly Line[] = [
  { name: 'cpu', label: 'CPU', tone: 'accent' },
  { name: 'loopBusy', label: 'event loop', tone: 'warn', isDashed: true },
];

export function Overview({ store, pool, theme, onOpen, onZone, onPool }: OverviewProps) {
  const more = pool === '' ? ',cpu,loopBusy' : ',utilization,utilizationMax';
  const scope = pool === '' ? 'scope=instance' : `scope=pool&key=${encodeURIComponent(pool)}`;
  const { value: points, problem } = usePolled<HistoryPoints>(
    `history?${scope}&names=${NAMES}${more}&span=180`,
    STEP_MS,
  );
  const chart = { points, theme, problem };
  return (
    <>
      <Figures store={store} points={points} />
      <div class="columns">
        {pool === '' ? (
          <Pools store={store} onPool={onPool} />
        ) : (
          <HeapPanel store={store} onOpen={onOpen} onZone={onZone} />
        )}
        <Panel title="Events" class="side">
          <EventList store={store} most={60} onOpen={onOpen} />
        </Panel>
      </div>
      <div class="charts">
        <Chart {...chart} title="Calls" lines={RATES} format={number} />
        <Chart {...chart} title="Latency" lines={TIMES} format={duration} />
        <Chart {...chart} title="In flight" lines={FLIGHT} format={number} least={4} />
        {pool === '' ? (
          <Chart {...chart} title="This balancer" lines={LOOP} format={percent} least={0.2} />
        ) : (
          <Chart {...chart} title="Utilization" lines={USE} format={percent} least={1} />
        )}
      </div>
    </>
  );
}

function Figures({ store, points }: { readonly store: Store; readonly points: HistoryPoints | undefined }) {
  const values = (name: string): readonly (number | null)[] => points?.values[name] ?? [];
  const last = (name: string): number | null => values(name).at(-1) ?? null;
  const backends = [...store.rows.values()];
  const sum = (of: (backend: Backend) => number | null): number | null =>
    backends.reduce<number | null>((total, backend) => {
      const value = of(backend);
      return value === null ? total : (total ?? 0) + value;
    }, null);
  const taking = backends.filter(({ state }) => state === 'ACTIVE' || state === 'WARMING').length;
  const reported = sum(callsPerSecond);
  const rps = last('rps');
  const share = rps !== null && rps > 0 ? (last('errors') ?? 0) / rps : null;
  const { totals } = store;
  return (
    <dl class="figures">
      <Figure name="Calls/s through here" value={number(rps)} values={values('rps')} />
      <Figure
        name="Failed"
        value={percent(share ?? (rps === 0 ? 0 : null))}
        values={values('errors')}
        tone={(share ?? 0) > 0.01 ? 'bad' : 'muted'}
      />
      <Figure name="p50" value={duration(last('p50'))} values={values('p50')} />
      <Figure name="p99" value={duration(last('p99'))} values={values('p99')} />
      <Figure
        name="In flight, in all"
        value={count(
          Math.round(sum(backend => (loadOf(backend, 'own') ?? 0) + (loadOf(backend, 'others') ?? 0)) ?? 0),
        )}
        values={values('inFlight')}
      />
      <Figure name="Calls/s, as reported" value={number(reported)} note="of all callers" />
      <Figure
        name="Servers taking calls"
        value={`${count(taking)} / ${count(backends.length)}`}
        note={stateNote(backends)}
      />
      <Figure
        name="Connections"
        value={count(totals?.connections)}
        note={`${count(totals?.reporters)} reporting · ${count(totals?.watches)} watching`}
      />
    </dl>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: string;
  readonly values?: readonly (number | null)[];
  readonly note?: string;
  readonly tone?: string;
}

function Figure({ name, value, values, note, tone = 'accent' }: FigureProps) {
  return (
    <div class={`figure tone-${tone}`}>
      <dt>{name}</dt>
      <dd>
        <span class="figure-value">{value}</span>
        {values !== undefined && <Spark values={values} tone={tone} />}
        {note !== undefined && <span class="figure-note">{note}</span>}
      </dd>
    </div>
  );
}

function stateNote(backends: readonly Backend[]): string {
  if (backends.length === 0) return 'none is known';
  const others = new Map<string, number>();
  for (const { state } of backends) {
    if (state !== 'ACTIVE') others.set(state, (others.get(state) ?? 0) + 1);
  }
  return [...others].map(([state, n]) => `${count(n)} ${state.toLowerCase()}`).join(' · ') || 'all active';
}
