/**
 * What one instance knows of all backends' load, noted from time to time: a new life begins with it
 * instead of with nothing. Load is not membership: a note is never folded, the last one is all that counts.
 */
import type { AdoptedLoad } from './load-table.ts';
import type { Mesh } from './mesh.ts';

export interface NotedLoad extends AdoptedLoad {
  readonly id: string;
}

export interface LoadNote {
  /** The instance that saw it. */
  readonly origin: string;
  readonly epoch: number;
  /** Wall clock, ms since 1970: what the ages of its rows count back from. */
  readonly time: number;
  /** By id. Only backends that have reported. */
  readonly rows: readonly NotedLoad[];
}

/** `others` is the mean of the calls that others had there: own ones end with this life. */
export function noteLoads(
  mesh: Mesh,
  head: { readonly origin: string; readonly epoch: number; readonly time: number },
  now: number,
): LoadNote {
  const { loads } = mesh;
  const rows: NotedLoad[] = [];
  for (const { spec } of mesh.registry.list()) {
    const slot = mesh.slotOf(spec.id);
    const ageMs = slot < 0 ? Number.POSITIVE_INFINITY : now - (loads.reportTime[slot] as number);
    if (!(ageMs < Number.POSITIVE_INFINITY)) continue;
    rows.push({
      id: spec.id,
      ageMs,
      intervalMs: loads.intervalMs[slot] as number,
      inFlight: loads.reported[slot] as number,
      utilization: loads.utilization[slot] as number,
      capacity: loads.capacity[slot] as number,
      others: loads.othersMean[slot] as number,
      failure: loads.failureNow(slot, now),
    });
  }
  rows.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { ...head, rows };
}
