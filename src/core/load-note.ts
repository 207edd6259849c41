/**
 * What one instance knows of all backends' load, noted from time to time: a new life begins with it
 * instead of with nothing. Load is not membership: a note is never folded, the last one is all that counts.
 */
import type { AdoptedLoad } from './load-table.ts';
import type { Mesh } from './mesh.ts';
import { SCORE } from './score.ts';

export interface NotedLoad extends AdoptedLoad {
  readonly id: string;
}

export interface LoadNote {
  /** The instance that saw it. */
  readonly origin: string;
  readonly epoch: number;
  /** Wall clock, ms since 1970: what the ages of its rows count back from. */
  readonly time: number;
  /** Only backends that have reported; those with like names side by side. */
  readonly rows: readonly NotedLoad[];
}

/**
 * Notes the load of all backends, so many rows a step that whoever asks can pause between. `others` is the
 * mean of the calls that others had there: own ones end with this life.
 */
export function* noteLoads(
  mesh: Mesh,
  head: { readonly origin: string; readonly epoch: number; readonly time: number },
  clock: () => number,
  rowsPerStep: number,
): Generator<undefined, LoadNote> {
  const { loads } = mesh;
  const rows: NotedLoad[] = [];
  let looked = 0;
  let now = clock();
  for (const { spec } of mesh.registry.list()) {
    if (++looked % rowsPerStep === 0) {
      yield;
      now = clock();
    }
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
  return { ...head, rows };
}

/**
 * Begins with what was noted: the order of the heap as it was, as old as it is. How many calls others had
 * where fades, with time, into the fair share by capacity: a server that looked idle long ago is no better
 * than any other, and must not draw everybody now.
 *
 * @param wall wall clock, ms since 1970, that ages are counted to
 */
export function adoptNote(mesh: Mesh, note: LoadNote, now: number, wall: number): void {
  let others = 0;
  let capacity = 0;
  for (const row of note.rows) {
    others += Number.isNaN(row.others) ? 0 : row.others;
    capacity += row.capacity;
  }
  const sinceNote = Math.max(0, wall - note.time);
  for (const row of note.rows) {
    const slot = mesh.slotOf(row.id);
    if (slot < 0) continue;
    const ageMs = row.ageMs + sinceNote;
    const fair = row.capacity > 0 ? (others * row.capacity) / capacity : others / note.rows.length;
    const noted = row.others >= 0 ? row.others : fair;
    const left = fair + (noted - fair) * Math.exp(-ageMs / SCORE.capacityDriftMs);
    mesh.adopt(slot, { ...row, ageMs, inFlight: left, others: left }, now);
  }
}
