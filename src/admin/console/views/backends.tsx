/** The table of servers with its filters. */
import { useMemo, useState } from 'preact/hooks';
import type { ServerState } from '../../../core/core.ts';
import { count } from '../format.ts';
import { Filter } from '../parts/filter.tsx';
import { Panel } from '../parts/panel.tsx';
import { STATES, StateMark } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import type { Store } from '../store.ts';
import { backendColumns } from './columns.tsx';

interface BackendsProps {
  readonly store: Store;
  readonly selected: string;
  readonly onOpen: (id: string) => void;
  readonly onAdd: () => void;
  readonly isTall?: boolean;
}

const SORTING = { key: 'id', down: false } as const;

export function Backends({ store, selected, onOpen, onAdd, isTall }: BackendsProps) {
  const [filter, setFilter] = useState('');
  const [states, setStates] = useState<ReadonlySet<ServerState>>(new Set());
  const columns = useMemo(() => backendColumns(store), [store]);
  const all = [...store.rows.values()];
  const counts = new Map<ServerState, number>(STATES.map(state => [state, 0]));
  for (const { state } of all) counts.set(state, (counts.get(state) ?? 0) + 1);
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = all.filter(
    backend =>
      (states.size === 0 || states.has(backend.state)) && words.every(word => backend.words.includes(word)),
  );
  const toggle = (state: ServerState): void =>
    setStates(
      before => new Set(before.has(state) ? [...before].filter(each => each !== state) : [...before, state]),
    );
  return (
    <Panel
      class={isTall === true ? 'tall' : ''}
      title={
        <>
          Servers{' '}
          <span class="count">
            {rows.length === all.length ? count(all.length) : `${count(rows.length)} of ${count(all.length)}`}
          </span>
        </>
      }
      tools={
        <>
          <fieldset class="chips" aria-label="Only these states">
            {STATES.filter(state => (counts.get(state) ?? 0) > 0).map(state => (
              <button
                key={state}
                type="button"
                class={`chip state-${state.toLowerCase()}`}
                aria-pressed={states.has(state)}
                onClick={() => toggle(state)}
              >
                <StateMark state={state} /> {state.toLowerCase()} <b>{count(counts.get(state))}</b>
              </button>
            ))}
          </fieldset>
          <Filter
            about="Filter servers by id, address, zone, cause or label"
            value={filter}
            onChange={setFilter}
          />
          {store.settings.writes && (
            <button type="button" class="button" onClick={onAdd}>
              Add server
            </button>
          )}
        </>
      }
    >
      <Table
        label="Servers"
        columns={columns}
        rows={rows}
        keyOf={({ id }) => id}
        onOpen={({ id }) => onOpen(id)}
        sorting={SORTING}
        selected={selected}
        empty={all.length === 0 ? 'No server is known here yet.' : 'No server fits the filter.'}
      />
    </Panel>
  );
}
