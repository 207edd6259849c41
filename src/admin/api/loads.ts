/** The load of a server as a row of numbers, and as an object. */
import type { Mesh } from '../../core/mesh.ts';
import type { Pool } from '../../core/pool.ts';
import { LOAD_COLUMNS, Place } from '../wire.ts';
import type { Texts } from './column.ts';
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

/**
 * The figures of many servers, a row each, as texts of JSON: `[row,...]`. The numbers are kept, with three digits that
 * count, and not the texts: thousands of strings that live for seconds would fill the old generation.
 */
export class LoadRows implements Texts {
  size = 0;
  private values = new Float64Array(0);
  private versions = new Float64Array(0);
  private version = 0;

  /** No version where all of it is shown as before. */
  set(row: number, values: Float64Array): void {
    if (row >= this.versions.length) this.grow(Math.max(64, 2 * row));
    if (row >= this.size) this.size = row + 1;
    const start = row * COLUMNS;
    let isNew = this.versions[row] === 0;
    for (let i = 0; i < COLUMNS; i++) {
      const value = rounded(values[i] as number);
      const before = this.values[start + i] as number;
      if (value === before || (Number.isNaN(value) && Number.isNaN(before))) continue;
      this.values[start + i] = value;
      isNew = true;
    }
    if (isNew) this.versions[row] = ++this.version;
  }

  clear(row: number): void {
    if (row < this.size) this.versions[row] = 0;
  }

  versionAt(row: number): number {
    return this.versions[row] ?? 0;
  }

  textAt(row: number): string {
    let text = `[${row}`;
    for (let i = 0; i < COLUMNS; i++) {
      const value = this.values[row * COLUMNS + i] as number;
      text += Number.isNaN(value) ? ',null' : `,${value}`;
    }
    return `${text}]`;
  }

  private grow(rows: number): void {
    const { values, versions } = this;
    this.values = new Float64Array(rows * COLUMNS);
    this.values.set(values);
    this.versions = new Float64Array(rows);
    this.versions.set(versions);
  }
}

/** More digits are noise on a screen, and octets on the way there; NaN is unknown. */
function rounded(value: number): number {
  if (!Number.isFinite(value)) return Number.NaN;
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value);
  if (size >= 10) return Math.round(value * 10) / 10;
  if (size >= 1) return Math.round(value * 100) / 100;
  return Math.round(value * 1e4) / 1e4;
}
