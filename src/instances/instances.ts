/**
 * Who else balances for this mesh, and how this instance knows: by polling the peers that the
 * configuration names, or by what they write into the log that they share.
 */
import type { KnownInstance } from '../control/control.ts';

export { type Arrival, arrival } from './joining.ts';
export type { PeersOptions } from './peers.ts';
export { Peers } from './peers.ts';
export { Roster } from './roster.ts';

/** Other instances as this one knows them. */
export interface Others {
  /** Without this one. */
  list(): readonly KnownInstance[];
  close(): void;
}
