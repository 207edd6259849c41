/** The heap of a pool, and who of the pool is not in it. */
import { Place } from '../../wire.ts';
import { count, duration } from '../format.ts';
import { Panel } from '../parts/panel.tsx';
import { StateMark } from '../parts/state.tsx';
import { Tree } from '../parts/tree.tsx';
import { type Backend, loadOf, type Store } from '../store.ts';

interface HeapProps {
  readonly store: Store;
  readonly onOpen: (id: string) => void;
  readonly onZone: (zone: string) => void;
}

const ASIDE = 12;

export function HeapPanel({ store, onOpen, onZone }: HeapProps) {
  const { heap } = store;
  const backends = [...store.rows.values()];
  const capped = backends.filter(backend => loadOf(backend, 'place') === Place.CAPPED);
  const out = backends.filter(backend => loadOf(backend, 'place') === Place.OUT);
  const root = store.rows.get(heap?.nodes[0] ?? -1);
  return (
    <Panel
      title="Heap"
      class="heap"
      tools={
        <>
          {root !== undefined && (
            <span class="muted">
              next call: <b class="mono">{root.id}</b>
            </span>
          )}
          {heap !== undefined && heap.zones.length > 1 && (
            <label class="inline">
              zone{' '}
              <select value={heap.zone} onChange={event => onZone(event.currentTarget.value)}>
                {heap.zones.map(zone => (
                  <option key={zone} value={zone}>
                    {zone === '' ? '(none)' : zone}
                  </option>
                ))}
              </select>
            </label>
          )}
        </>
      }
    >
      {heap === undefined ? (
        <p class="empty">{store.complete ? 'No server is in this pool.' : 'Waiting for the balancer…'}</p>
      ) : (
        <Tree store={store} heap={heap} onOpen={onOpen} />
      )}
      <footer class="tray">
        <Aside title="At their warm-up cap" backends={capped} onOpen={onOpen} />
        <Aside title="Not in the heap" backends={out} onOpen={onOpen} />
        <span class="heat-legend" aria-hidden="true">
          score <i /> low to high
        </span>
      </footer>
    </Panel>
  );
}

interface AsideProps {
  readonly title: string;
  readonly backends: readonly Backend[];
  readonly onOpen: (id: string) => void;
}

function Aside({ title, backends, onOpen }: AsideProps) {
  if (backends.length === 0) return null;
  return (
    <div class="aside">
      <span class="muted">{title}</span>
      {backends.slice(0, ASIDE).map(backend => (
        <button
          key={backend.id}
          type="button"
          class={`chip state-${backend.state.toLowerCase()}`}
          onClick={() => onOpen(backend.id)}
          title={`${backend.state.toLowerCase()}: ${backend.cause}`}
        >
          <StateMark state={backend.state} /> <span class="mono">{backend.id}</span>{' '}
          {loadOf(backend, 'score') !== null && <b>{duration(loadOf(backend, 'score'))}</b>}
        </button>
      ))}
      {backends.length > ASIDE && <span class="muted">and {count(backends.length - ASIDE)} more</span>}
    </div>
  );
}
