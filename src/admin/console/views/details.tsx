/** One server: what is known of it, why its score is what it is, how it went, and what can be done. */
import { useEffect, useRef } from 'preact/hooks';
import type { HistoryPoints } from '../../wire.ts';
import { ACTION_TEXT, type Action, actionsFor } from '../actions.tsx';
import { usePolled } from '../api.ts';
import { age, count, day, duration, number, percent } from '../format.ts';
import { Chart, type Line } from '../parts/chart.tsx';
import { placeText, StateBadge } from '../parts/state.tsx';
import { type Backend, loadOf, type Store } from '../store.ts';
import { BIAS, callsPerSecond, isLate } from './columns.tsx';

interface DetailsProps {
  readonly store: Store;
  readonly id: string;
  readonly theme: string;
  readonly onAction: (action: Action, backend: Backend) => void;
  readonly onClose: () => void;
}

const NAMES = 'rps,errors,p50,p99,inFlight,others,utilization,score';
const LINES = {
  rates: [
    { name: 'rps', label: 'calls/s', tone: 'accent' },
    { name: 'errors', label: 'failed/s', tone: 'bad' },
  ],
  times: [
    { name: 'p50', label: 'p50', tone: 'accent' },
    { name: 'p99', label: 'p99', tone: 'warn' },
  ],
  flight: [
    { name: 'inFlight', label: 'own', tone: 'accent' },
    { name: 'others', label: "others'", tone: 'warn', isDashed: true },
  ],
  use: [{ name: 'utilization', label: 'reported', tone: 'accent' }],
} as const satisfies Record<string, readonly Line[]>;

export function Details({ store, id, theme, onAction, onClose }: DetailsProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const backend = store.byId.get(id);
  const { value: points, problem } = usePolled<HistoryPoints>(
    `history?scope=backend&key=${encodeURIComponent(id)}&names=${NAMES}&span=180`,
    2_000,
  );
  // The focus follows the server that is opened.
  useEffect(() => heading.current?.focus(), [id]);
  const chart = { points, theme, problem };
  return (
    <aside class="details" aria-label={`Server ${id}`}>
      <header>
        <h2 ref={heading} tabIndex={-1} class="mono">
          {id}
        </h2>
        <button type="button" class="button icon" onClick={onClose} aria-label="Close">
          ✕
        </button>
      </header>
      {backend === undefined ? (
        <p class="empty">
          {store.complete
            ? 'No server with this id is in view. It may have left.'
            : 'Waiting for the balancer…'}
        </p>
      ) : (
        <>
          <p class="state-line">
            <StateBadge state={backend.state} /> for {age(store.now() - backend.stateTime)}: {backend.cause}
          </p>
          {backend.advice.map(({ instanceId, cause }) => (
            <p key={instanceId} class="note">
              {instanceId} has ejected it: {cause}
            </p>
          ))}
          {store.settings.writes ? (
            <fieldset class="buttons" aria-label="Actions">
              {actionsFor(backend.state).map(action => (
                <button
                  key={action}
                  type="button"
                  class={`button ${action === 'remove' ? 'danger' : ''}`}
                  onClick={() => onAction(action, backend)}
                >
                  {ACTION_TEXT[action]}
                </button>
              ))}
            </fieldset>
          ) : (
            <p class="note">Read only: admin.allowWrites is false.</p>
          )}
          <Score backend={backend} />
          <Facts store={store} backend={backend} />
        </>
      )}
      <div class="charts narrow">
        <Chart {...chart} title="Calls" lines={LINES.rates} format={number} />
        <Chart {...chart} title="Latency" lines={LINES.times} format={duration} />
        <Chart {...chart} title="In flight" lines={LINES.flight} format={number} least={4} />
        <Chart {...chart} title="Utilization" lines={LINES.use} format={percent} />
      </div>
    </aside>
  );
}

function Score({ backend }: { readonly backend: Backend }) {
  const of = (column: Parameters<typeof loadOf>[1]): number | null => loadOf(backend, column);
  const score = of('score');
  const penalty = of('penalty') ?? 0;
  const stale = of('stale') ?? 1;
  return (
    <section class="score-box" aria-label="Score">
      {score === null ? (
        <p>It takes no new calls: it is not in the heap.</p>
      ) : (
        <p class="score-line">
          <b>{duration(score)}</b> expected wait, {placeText(of('place'))}
        </p>
      )}
      {score !== null && (
        <p class="formula">
          (<Term value={number(of('own'))} name="own calls" /> +{' '}
          <Term value={number(of('others'))} name="of others" /> + <Term value={String(BIAS)} name="bias" />)
          ÷ <Term value={`${number(of('capacity'))}/s`} name="capacity" />
          {stale > 1 && (
            <>
              {' '}
              × <Term value={number(stale)} name="late report" />
            </>
          )}
          {penalty > 0 && (
            <>
              {' '}
              + <Term value={duration(penalty)} name={`failures, ${percent(of('failure'))}`} />
            </>
          )}
        </p>
      )}
    </section>
  );
}

function Term({ value, name }: { readonly value: string; readonly name: string }) {
  return (
    <span class="term">
      <b>{value}</b>
      <small>{name}</small>
    </span>
  );
}

function Facts({ store, backend }: { readonly store: Store; readonly backend: Backend }) {
  const interval = loadOf(backend, 'interval');
  const reported = loadOf(backend, 'reported');
  const labels = Object.entries(backend.labels);
  const facts: [string, string][] = [
    ['Address', backend.address],
    ['Services', backend.services.join(', ')],
    ['Known by', backend.sources.join(', ') || 'nobody any more'],
    ['Calls a second', number(callsPerSecond(backend))],
    [
      'In flight',
      `${count(loadOf(backend, 'relayed'))} relayed, ${count(loadOf(backend, 'leased'))} leased${reported === null ? '' : `; it reported ${number(reported)}`}`,
    ],
    [
      'Last report',
      interval === null
        ? 'none'
        : `${age(store.reportAge(backend))} ago, every ${duration(interval)}${isLate(store, backend) ? ' – late' : ''}`,
    ],
    ['Weight', `${backend.weight}${backend.weightOverridden ? ', set by an operator' : ''}`],
    ...(backend.zone === '' ? [] : [['Zone', backend.zone] as [string, string]]),
    ...(backend.maxConcurrency === 0
      ? []
      : [['At most', `${count(backend.maxConcurrency)} calls`] as [string, string]]),
    ...(backend.drain === null
      ? []
      : [
          ['Drains', `by ${backend.drain.by}, at most ${duration(backend.drain.timeoutMs)}`] as [
            string,
            string,
          ],
        ]),
    ...(labels.length === 0
      ? []
      : [['Labels', labels.map(([k, v]) => `${k}=${v}`).join(', ')] as [string, string]]),
    ['Since', day(backend.stateTime)],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
