/** What happened, newest first, with causes. */
import { useState } from 'preact/hooks';
import { clock, count, day } from '../format.ts';
import { Filter } from '../parts/filter.tsx';
import { Panel } from '../parts/panel.tsx';
import { StateBadge } from '../parts/state.tsx';
import type { Store } from '../store.ts';

const KINDS: Readonly<Record<string, string>> = {
  registered: 'is known',
  weight_changed: 'has another weight',
  changed: 'is changed',
  removed: 'is gone',
  refused: 'change refused',
};

interface ListProps {
  readonly store: Store;
  readonly most: number;
  readonly filter?: string;
  readonly onOpen: (id: string) => void;
}

export function EventList({ store, most, filter = '', onOpen }: ListProps) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const events = store.events.filter(({ serverId, cause, kind, state }) => {
    const text = `${serverId} ${cause} ${kind} ${state ?? ''}`.toLowerCase();
    return words.every(word => text.includes(word));
  });
  if (events.length === 0) {
    return (
      <p class="empty">{words.length > 0 ? 'No event fits the filter.' : 'Nothing has happened yet.'}</p>
    );
  }
  return (
    <ol class="events" aria-label="Events, newest first">
      {events.slice(0, most).map(event => (
        <li key={`${event.position}-${event.serverId}-${event.kind}`} class={`event kind-${event.kind}`}>
          <time dateTime={new Date(event.time).toISOString()} title={day(event.time)}>
            {clock(event.time)}
          </time>
          <div>
            {event.serverId !== '' && (
              <button type="button" class="link mono" onClick={() => onOpen(event.serverId)}>
                {event.serverId}
              </button>
            )}{' '}
            {event.kind === 'state_changed' && event.state !== null ? (
              <StateBadge state={event.state} />
            ) : (
              <span class="event-kind">{KINDS[event.kind] ?? event.kind}</span>
            )}
            <p class="cause">{event.cause}</p>
          </div>
        </li>
      ))}
    </ol>
  );
}

export function Events({ store, onOpen }: Pick<ListProps, 'store' | 'onOpen'>) {
  const [filter, setFilter] = useState('');
  return (
    <Panel
      title={
        <>
          Events <span class="count">{count(store.events.length)}</span>
        </>
      }
      class="tall"
      tools={<Filter about="Filter events by server, state or cause" value={filter} onChange={setFilter} />}
    >
      <EventList store={store} most={500} filter={filter} onOpen={onOpen} />
    </Panel>
  );
}
