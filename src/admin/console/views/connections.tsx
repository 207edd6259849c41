/** Connections of callers and to servers, and the calls that are open longest. */
import type { Connections as All, CallerInfo, OpenCall, UpstreamInfo } from '../../wire.ts';
import { usePolled } from '../api.ts';
import { age, bytes, count } from '../format.ts';
import { Panel } from '../parts/panel.tsx';
import { type Column, Table } from '../parts/table.tsx';

const EVERY_MS = 2_000;

export function Connections({ onOpen }: { readonly onOpen: (id: string) => void }) {
  const { value, problem } = usePolled<All>('connections', EVERY_MS);
  const none = problem === '' ? 'Asking…' : problem;
  const calls = value?.calls ?? [];
  return (
    <div class="connections">
      <Panel
        title={<Counted name="Open calls, oldest first" shown={calls.length} all={value?.callsInAll} />}
        class="wide"
      >
        <Table
          label="Open calls"
          columns={CALLS}
          rows={calls}
          keyOf={({ n }) => String(n)}
          onOpen={call => call.serverId !== '' && onOpen(call.serverId)}
          sorting={{ key: 'age', down: true }}
          empty={value === undefined ? none : 'No call is open through the proxy.'}
        />
      </Panel>
      <Panel title={<Counted name="Callers" shown={value?.callers.length ?? 0} all={value?.callersInAll} />}>
        <Table
          label="Connections of callers"
          columns={CALLERS}
          rows={value?.callers ?? []}
          keyOf={({ address }) => address}
          sorting={{ key: 'streams', down: true }}
          empty={value === undefined ? none : 'No caller is connected to the proxy.'}
        />
      </Panel>
      <Panel
        title={<Counted name="To servers" shown={value?.upstreams.length ?? 0} all={value?.upstreamsInAll} />}
      >
        <Table
          label="Connections to servers"
          columns={UPSTREAMS}
          rows={(value?.upstreams ?? []).map((one, n) => ({ ...one, n }))}
          keyOf={({ n }) => String(n)}
          onOpen={({ serverId }) => onOpen(serverId)}
          sorting={{ key: 'streams', down: true }}
          empty={value === undefined ? none : 'The proxy has no connection to a server.'}
        />
      </Panel>
    </div>
  );
}

function Counted({
  name,
  shown,
  all = 0,
}: {
  readonly name: string;
  readonly shown: number;
  readonly all: number | undefined;
}) {
  return (
    <>
      {name} <span class="count">{shown < all ? `${count(shown)} of ${count(all)}` : count(all)}</span>
    </>
  );
}

const CALLS: readonly Column<OpenCall>[] = [
  {
    key: 'age',
    label: 'Open for',
    width: '6.4rem',
    align: 'end',
    rank: 1,
    cell: ({ ageMs }) => <b>{age(ageMs)}</b>,
    sort: ({ ageMs }) => ageMs,
  },
  {
    key: 'path',
    label: 'Method',
    width: 'minmax(8rem, 2fr)',
    rank: 1,
    cell: ({ path }) => (
      <span class="mono clip" title={path}>
        {path.slice(1)}
      </span>
    ),
    sort: ({ path }) => path,
  },
  {
    key: 'server',
    label: 'Server',
    width: 'minmax(6rem, 1fr)',
    rank: 1,
    cell: ({ serverId, waiting }) => (
      <>
        <span class="mono clip">{serverId || 'none yet'}</span>
        {waiting && <span class="tag changed">waits</span>}
      </>
    ),
    sort: ({ serverId }) => serverId,
  },
  {
    key: 'up',
    label: 'Messages ↑ ↓',
    width: '7rem',
    align: 'end',
    rank: 2,
    cell: ({ requestMessages, responseMessages }) => `${count(requestMessages)} / ${count(responseMessages)}`,
    sort: ({ requestMessages, responseMessages }) => requestMessages + responseMessages,
  },
  {
    key: 'bytes',
    label: 'Bytes ↑ ↓',
    width: '10rem',
    align: 'end',
    rank: 3,
    cell: ({ requestBytes, responseBytes }) => (
      <span class="muted">
        {bytes(requestBytes)} / {bytes(responseBytes)}
      </span>
    ),
    sort: ({ requestBytes, responseBytes }) => requestBytes + responseBytes,
  },
];

const CALLERS: readonly Column<CallerInfo>[] = [
  {
    key: 'address',
    label: 'From',
    width: 'minmax(8rem, 2fr)',
    rank: 1,
    cell: ({ address, draining }) => (
      <>
        <span class="mono clip">{address}</span>
        {draining && <span class="tag">leaving</span>}
      </>
    ),
    sort: ({ address }) => address,
  },
  {
    key: 'streams',
    label: 'Streams',
    width: '6rem',
    align: 'end',
    rank: 1,
    cell: ({ streams }) => count(streams),
    sort: ({ streams }) => streams,
  },
  {
    key: 'age',
    label: 'Age',
    width: '5rem',
    align: 'end',
    rank: 1,
    cell: ({ ageMs }) => <span class="muted">{age(ageMs)}</span>,
    sort: ({ ageMs }) => ageMs,
  },
];

const UPSTREAMS: readonly Column<UpstreamInfo & { readonly n: number }>[] = [
  {
    key: 'server',
    label: 'Server',
    width: 'minmax(7rem, 2fr)',
    rank: 1,
    cell: ({ serverId, state }) => (
      <>
        <span class="mono clip">{serverId}</span>
        {state !== 'open' && <span class={`tag ${state === 'silent' ? 'changed' : ''}`}>{state}</span>}
      </>
    ),
    sort: ({ serverId }) => serverId,
  },
  {
    key: 'streams',
    label: 'Streams',
    about: 'Open streams, of those that the server allows',
    width: '6rem',
    align: 'end',
    rank: 1,
    cell: ({ streams, streamLimit }) => (
      <>
        {count(streams)}
        {streamLimit !== null && <span class="muted"> of {count(streamLimit)}</span>}
      </>
    ),
    sort: ({ streams }) => streams,
  },
  {
    key: 'waiting',
    label: 'Waiting',
    about: 'Calls that wait for a stream of any connection to that server',
    width: '4.6rem',
    align: 'end',
    rank: 2,
    cell: ({ waiting }) => <span class={waiting > 0 ? 'warn' : 'muted'}>{count(waiting)}</span>,
    sort: ({ waiting }) => waiting,
  },
  {
    key: 'age',
    label: 'Age',
    width: '5rem',
    align: 'end',
    rank: 2,
    cell: ({ ageMs }) => <span class="muted">{age(ageMs)}</span>,
    sort: ({ ageMs }) => ageMs,
  },
];
