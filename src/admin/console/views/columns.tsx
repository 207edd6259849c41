/** The columns of the table of servers. */

import { age, count, duration, number, percent } from '../format.ts';
import { Bar } from '../parts/bar.tsx';
import { StateBadge } from '../parts/state.tsx';
import type { Column } from '../parts/table.tsx';
import { type Backend, loadOf, type Store } from '../store.ts';

export const callsPerSecond = (backend: Backend): number | null =>
  loadOf(backend, 'reportedRps') ?? loadOf(backend, 'rps');

const inFlight = (backend: Backend): number =>
  (loadOf(backend, 'own') ?? 0) + (loadOf(backend, 'others') ?? 0);

/** The score as a sum, as the details have it. */
function scoreText(backend: Backend): string | undefined {
  const of = (column: Parameters<typeof loadOf>[1]): number => loadOf(backend, column) ?? 0;
  if (loadOf(backend, 'score') === null) return undefined;
  const stale = of('stale') > 1 ? ` × ${number(of('stale'))} late report` : '';
  const penalty = of('penalty') > 0 ? ` + ${duration(of('penalty'))} failures` : '';
  return `(${number(of('own'))} own + ${number(of('others'))} of others + ${BIAS}) ÷ ${number(of('capacity'))}/s${stale}${penalty}`;
}

/** Calls that a score has more than there are, in favour of large servers; `core/score.ts`. */
export const BIAS = 2;

/** A report is late when older than this many intervals, as the score has it. */
const LATE = 1.5;

export function isLate(store: Store, backend: Backend): boolean {
  const interval = loadOf(backend, 'interval');
  const since = store.reportAge(backend);
  return interval !== null && since !== null && since > LATE * interval + 1_000;
}

export function backendColumns(store: Store): readonly Column<Backend>[] {
  const of = (column: Parameters<typeof loadOf>[1]) => (backend: Backend) => loadOf(backend, column);
  return [
    {
      key: 'id',
      label: 'Server',
      width: 'minmax(6rem, 2fr)',
      rank: 1,
      cell: ({ id, zone, weight, weightOverridden }) => (
        <>
          <span class="mono name" title={id}>
            {id}
          </span>
          {zone !== '' && <span class="tag">{zone}</span>}
          {weight !== 1 && <span class={`tag ${weightOverridden ? 'changed' : ''}`}>×{weight}</span>}
        </>
      ),
      sort: ({ id }) => id,
    },
    {
      key: 'state',
      label: 'State',
      width: '6.2rem',
      rank: 1,
      cell: ({ state }) => <StateBadge state={state} />,
      sort: ({ state }) => state,
    },
    {
      key: 'score',
      label: 'Score',
      about: 'Expected wait: the lowest is picked first',
      width: '5.4rem',
      align: 'end',
      rank: 1,
      cell: backend => <b title={scoreText(backend)}>{duration(loadOf(backend, 'score'))}</b>,
      sort: of('score'),
    },
    {
      key: 'flight',
      label: 'In flight',
      about: 'Own calls, and those of others as far as reports tell of them',
      width: '5.4rem',
      align: 'end',
      rank: 1,
      cell: backend => {
        const others = loadOf(backend, 'others') ?? 0;
        return (
          <>
            {number(loadOf(backend, 'own') ?? 0)}
            {others >= 0.5 && <span class="muted"> +{count(Math.round(others))}</span>}
          </>
        );
      },
      sort: inFlight,
    },
    {
      key: 'utilization',
      label: 'Utilization',
      about: 'As it reported: a share of what its process may use',
      width: 'minmax(6rem, 1fr)',
      rank: 2,
      cell: backend => <Bar value={loadOf(backend, 'utilization')} />,
      sort: of('utilization'),
    },
    {
      key: 'rps',
      label: 'Calls/s',
      about: 'As it reported, of all its callers; else those that went through here',
      width: '4.8rem',
      align: 'end',
      rank: 2,
      cell: backend => number(callsPerSecond(backend)),
      sort: callsPerSecond,
    },
    {
      key: 'p50',
      label: 'p50',
      about: 'Of the calls that went through here',
      width: '4.8rem',
      align: 'end',
      rank: 3,
      cell: backend => duration(loadOf(backend, 'p50')),
      sort: of('p50'),
    },
    {
      key: 'p99',
      label: 'p99',
      about: 'Of the calls that went through here',
      width: '4.8rem',
      align: 'end',
      rank: 2,
      cell: backend => duration(loadOf(backend, 'p99')),
      sort: of('p99'),
    },
    {
      key: 'failed',
      label: 'Failed',
      about: 'Share of its calls that failed lately; fades over 10 s',
      width: '4.2rem',
      align: 'end',
      rank: 3,
      cell: backend => {
        const failure = loadOf(backend, 'failure');
        return <span class={(failure ?? 0) > 0.01 ? 'bad' : 'muted'}>{percent(failure)}</span>;
      },
      sort: of('failure'),
    },
    {
      key: 'report',
      label: 'Report',
      about: 'Age of its last load report',
      width: '4.6rem',
      align: 'end',
      rank: 3,
      cell: backend => (
        <span class={isLate(store, backend) ? 'warn' : 'muted'}>{age(store.reportAge(backend))}</span>
      ),
      sort: backend => store.reportAge(backend),
    },
    {
      key: 'cause',
      label: 'Why in this state',
      width: 'minmax(8rem, 2.4fr)',
      rank: 3,
      cell: ({ cause, stateTime }) => (
        <span class="muted clip" title={cause}>
          {age(store.now() - stateTime)} · {cause}
        </span>
      ),
    },
  ];
}
