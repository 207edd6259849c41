/** The load of a server as a row of numbers, and as an object. */
import type { Mesh } from '../../core/mesh.ts';
import type { Pool } from '../../core/pool.ts';
import { LOAD_COLUMNS, Place } from '../wire.ts';
import type { HistoryPort } from './sources.ts';

const COLUMNS = LOAD_COLUMNS.length;
const RECENT = ['rps', 'errors', 'p50', 'p99'] as const;
/** Where the recent figures begin, which come from the history. */
const RECENT_FROM = LOAD_COLUMNS.indexOf('rps');

export class Loads {
  /** The row that was read last; NaN is unknown. */
  readonly values = new Float64Array(COLUMNS);
  private readonly mesh: Mesh;
  private readonly history: HistoryPort | undefined;
  private readonly cells: string[] = new Array(COLUMNS + 1).fill('');

  constructor(mesh: Mesh, history: HistoryPort | undefined) {
    this.mesh = mesh;
    this.history = history;
  }

  /** Reads all but the recent figures; false where the server has no load. */
  read(id: string, pool: Pool | undefined): boolean {
    const { mesh, values } = this;
    const slot = mesh.slotOf(id);
    if (slot < 0) return false;
    const { loads } = mesh;
    const member = pool?.memberAt(slot) ?? -1;
    const terms = pool === undefined || member < 0 ? {} : pool.scores.terms(member, slot, mesh.now());
    const told = (name: string): number => terms[name] ?? Number.NaN;
    values[0] = pool === undefined || member < 0 ? Place.OUT : placeOf(pool, member);
    values[1] = pool === undefined || pool.isOut(member) ? Number.NaN : pool.scoreOf(slot) * 1000;
    values[2] = loads.relayed(slot);
    values[3] = loads.leased(slot);
    values[4] = loads.own(slot);
    values[5] = told('others');
    values[6] = told('capacity');
    values[7] = told('stale');
    values[8] = told('failure');
    values[9] = told('penalty_seconds') * 1000;
    values[10] = loads.utilization[slot] || Number.NaN;
    values[11] = loads.reported[slot] as number;
    values[12] = loads.reportTime[slot] as number;
    values[13] = loads.intervalMs[slot] || Number.NaN;
    values[14] =
      (loads.reportTime[slot] as number) > Number.NEGATIVE_INFINITY
        ? (loads.rps[slot] as number)
        : Number.NaN;
    return true;
  }

  /** Reads the recent figures: a rate, and times of calls. */
  readRecent(id: string): void {
    const { values, history } = this;
    for (let i = 0; i < RECENT.length; i++) {
      values[RECENT_FROM + i] = history?.last('backend', id, RECENT[i] as string) ?? Number.NaN;
    }
  }

  /**
   * `[row,...]` as JSON, with three digits that count. Joined, and so one piece: it is kept for seconds, and put
   * together by `+` it would be a tree of all its parts.
   */
  text(row: number): string {
    const { cells, values } = this;
    cells[0] = `[${row}`;
    for (let i = 1; i < COLUMNS; i++) cells[i] = short(values[i - 1] as number);
    cells[COLUMNS] = `${short(values[COLUMNS - 1] as number)}]`;
    return cells.join(',');
  }

  /** By the names of the columns; null is unknown. */
  object(): Record<string, number | null> {
    return Object.fromEntries(
      LOAD_COLUMNS.map((name, i) => {
        const value = this.values[i] as number;
        return [name, Number.isFinite(value) ? value : null];
      }),
    );
  }
}

function placeOf(pool: Pool, member: number): Place {
  if (pool.isOut(member)) return Place.OUT;
  const { order, capped } = pool.zoneAt(member);
  if (order.has(member)) return order.isRootByRule(member) ? Place.NEWCOMER : Place.HEAP;
  return capped.has(member) ? Place.CAPPED : Place.OUT;
}

/** More digits are noise on a screen, and octets on the way there. */
function short(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  const size = Math.abs(value);
  if (size >= 100) return String(Math.round(value));
  if (size >= 10) return String(Math.round(value * 10) / 10);
  if (size >= 1) return String(Math.round(value * 100) / 100);
  return String(Math.round(value * 1e4) / 1e4);
}
