/** Calls that failed or were slow. */
import { useMemo, useState } from 'preact/hooks';
import type { CallInfo } from '../../wire.ts';
import { clock, count, duration } from '../format.ts';
import { Panel } from '../parts/panel.tsx';
import { type Column, Table } from '../parts/table.tsx';
import type { Store } from '../store.ts';

const KINDS = ['all', 'failed', 'slow'] as const;
const SORTING = { key: 'time', down: true } as const;

export function Calls({ store, onOpen }: { readonly store: Store; readonly onOpen: (id: string) => void }) {
  const [kind, setKind] = useState<(typeof KINDS)[number]>('all');
  const { traceLink } = store.settings;
  const columns = useMemo(() => columnsFor(traceLink, onOpen), [traceLink, onOpen]);
  const rows = store.calls.filter(({ why }) => kind === 'all' || why === kind);
  const countOf = (wanted: (typeof KINDS)[number]): number =>
    store.calls.filter(({ why }) => wanted === 'all' || why === wanted).length;
  return (
    <Panel
      title="Failed and slow calls"
      class="tall"
      tools={
        <>
          <span class="muted">a sample of the last ones through the proxy</span>
          <fieldset class="chips" aria-label="Which calls">
            {KINDS.map(each => (
              <button
                key={each}
                type="button"
                class="chip"
                aria-pressed={kind === each}
                onClick={() => setKind(each)}
              >
                {each} <b>{count(countOf(each))}</b>
              </button>
            ))}
          </fieldset>
        </>
      }
    >
      <Table
        label="Failed and slow calls"
        columns={columns}
        rows={rows}
        keyOf={({ n }) => String(n)}
        sorting={SORTING}
        onEnter={call => {
          const link = linkOf(call, traceLink);
          if (link !== undefined) window.open(link, '_blank', 'noopener,noreferrer');
          else if (call.serverId !== '') onOpen(call.serverId);
        }}
        empty="No call has failed or was slow."
      />
    </Panel>
  );
}

/** Undefined where the call was not traced, or no link is set. */
function linkOf({ traceId }: CallInfo, traceLink: string | null): string | undefined {
  return traceId === '' || traceLink === null
    ? undefined
    : traceLink.replace('{traceId}', encodeURIComponent(traceId));
}

function columnsFor(traceLink: string | null, onOpen: (id: string) => void): readonly Column<CallInfo>[] {
  return [
    {
      key: 'time',
      label: 'Ended',
      width: '5rem',
      rank: 1,
      cell: ({ time }) => clock(time),
      sort: ({ time }) => time,
    },
    {
      key: 'status',
      label: 'Status',
      width: 'minmax(7rem, 10rem)',
      rank: 1,
      cell: ({ status, why }) => (
        <span class={`mono ${why === 'failed' ? 'bad' : 'warn'}`}>{why === 'slow' ? 'slow' : status}</span>
      ),
      sort: ({ status }) => status,
    },
    {
      key: 'took',
      label: 'Took',
      width: '5rem',
      align: 'end',
      rank: 1,
      cell: ({ durationMs }) => <b>{duration(durationMs)}</b>,
      sort: ({ durationMs }) => durationMs,
    },
    {
      key: 'server',
      label: 'Server',
      width: 'minmax(6rem, 1fr)',
      rank: 1,
      cell: ({ serverId }) =>
        serverId === '' ? (
          <span class="muted">none</span>
        ) : (
          <button type="button" class="link mono clip" tabIndex={-1} onClick={() => onOpen(serverId)}>
            {serverId}
          </button>
        ),
      sort: ({ serverId }) => serverId,
    },
    {
      key: 'path',
      label: 'Method',
      width: 'minmax(8rem, 2fr)',
      rank: 2,
      cell: ({ path }) => (
        <span class="mono clip" title={path}>
          {path.slice(1)}
        </span>
      ),
      sort: ({ path }) => path,
    },
    {
      key: 'tries',
      label: 'Tries',
      about: 'Times that it was given to a server',
      width: '3.4rem',
      align: 'end',
      rank: 2,
      cell: ({ attempts }) => attempts,
      sort: ({ attempts }) => attempts,
    },
    {
      key: 'waited',
      label: 'Waited',
      about: 'For a stream of its server',
      width: '5rem',
      align: 'end',
      rank: 3,
      cell: ({ waitedMs }) => <span class="muted">{duration(waitedMs)}</span>,
      sort: ({ waitedMs }) => waitedMs,
    },
    {
      key: 'message',
      label: 'Said',
      width: 'minmax(6rem, 2fr)',
      rank: 3,
      cell: ({ message }) => (
        <span class="muted clip" title={message}>
          {message}
        </span>
      ),
    },
    {
      key: 'trace',
      label: 'Trace',
      width: '7rem',
      rank: 2,
      cell: call => {
        const { traceId } = call;
        const link = linkOf(call, traceLink);
        if (traceId === '') return <span class="muted">–</span>;
        return link === undefined ? (
          <span class="mono clip" title={traceId}>
            {traceId}
          </span>
        ) : (
          <a href={link} target="_blank" rel="noreferrer noopener" tabIndex={-1}>
            {traceId.slice(0, 8)} ↗
          </a>
        );
      },
    },
  ];
}
