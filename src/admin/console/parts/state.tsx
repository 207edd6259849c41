/** States of servers, by shape and word as well as by colour. */
import type { ServerState } from '../../../core/core.ts';
import { type Place, Place as Places } from '../../wire.ts';

const SHAPES: Readonly<Record<ServerState, string>> = {
  ACTIVE: 'M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9Z',
  WARMING: 'M6 1 11 10.5H1Z',
  STANDBY: 'M1.5 4.5h9v3h-9Z',
  DRAINING: 'M1 1.5h10L6 11Z',
  EJECTED: 'M2.5 1 6 4.5 9.5 1 11 2.5 7.5 6 11 9.5 9.5 11 6 7.5 2.5 11 1 9.5 4.5 6 1 2.5Z',
};

export const STATES = Object.keys(SHAPES) as ServerState[];

export function StateMark({ state }: { readonly state: ServerState }) {
  return (
    <svg
      class={`mark state-${state.toLowerCase()}`}
      viewBox="0 0 12 12"
      width="10"
      height="10"
      aria-hidden="true"
    >
      <path d={SHAPES[state]} fill="currentColor" />
    </svg>
  );
}

export function StateBadge({ state }: { readonly state: ServerState }) {
  return (
    <span class={`badge state-${state.toLowerCase()}`}>
      <StateMark state={state} />
      {state.toLowerCase()}
    </span>
  );
}

const PLACES: Readonly<Record<Place, string>> = {
  [Places.OUT]: 'not in the heap',
  [Places.HEAP]: 'in the heap',
  [Places.CAPPED]: 'at its warm-up cap',
  [Places.NEWCOMER]: 'newcomer: root until its first served call',
};

export const placeText = (place: number | null): string => PLACES[(place ?? 0) as Place];
