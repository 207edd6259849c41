/**
 * Which row a pair of a pool and a backend has. The path of a call finds it by two numbers; names are looked up when
 * a pair is seen first. A pair that has gone keeps its row for a while, so that its last counts are scraped.
 */
import { METRIC_LIMITS } from '../../core/limits.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { Pool } from '../../core/pool.ts';
import { labels } from './labels.ts';
import { CallRows } from './rows.ts';

/** The name that counts what is beyond a limit. */
export const OTHER = 'other';

/** What is kept for the pool of one service, whichever object it is at the moment. */
class PoolRow {
  readonly service: string;
  /** Its row among the pools. */
  readonly row: number;
  /** `pool="..."` */
  readonly labels: string;
  pool: Pool | undefined;
  /** By slot: the row of the pair; −1: none yet. */
  rows = new Int32Array(0);
  /** Of backends beyond the limit; −1: none yet. */
  other = -1;

  constructor(service: string, row: number) {
    this.service = service;
    this.row = row;
    this.labels = labels({ pool: service });
  }
}

/** A pair that is or was counted by itself. */
export interface Pair {
  readonly pool: PoolRow;
  readonly backend: string;
  readonly row: number;
  readonly labels: string;
  /** When it was seen to have gone, ms; NaN: it is there. */
  goneAt: number;
}

export class Attempts {
  /** Attempts of pairs, and calls of pools as their callers see them. */
  readonly rows = new CallRows();
  readonly poolRows = new CallRows();
  /** Retries by policy, and moves of calls that a backend did not begin, by pool. */
  readonly retries = new Float64Array(METRIC_LIMITS.pools + 1);
  readonly moves = new Float64Array(METRIC_LIMITS.pools + 1);
  /** Calls that no backend could be picked for. */
  readonly refused = new Float64Array(METRIC_LIMITS.pools + 1);

  private readonly mesh: Mesh;
  private readonly byId: PoolRow[] = [];
  private readonly byService = new Map<string, PoolRow>();
  private readonly byKey = new Map<string, Pair>();
  private readonly restOfPools: PoolRow;
  private restInUse = false;
  /** Pairs that are counted by themselves. */
  private single = 0;

  constructor(mesh: Mesh) {
    this.mesh = mesh;
    this.restOfPools = new PoolRow(OTHER, this.poolRows.take());
  }

  pairs(): Iterable<Pair> {
    return this.byKey.values();
  }

  get isFull(): boolean {
    return this.single >= METRIC_LIMITS.attempts;
  }

  pools(): readonly PoolRow[] {
    return this.restInUse ? [...this.byService.values(), this.restOfPools] : [...this.byService.values()];
  }

  /** What is kept for a pool. */
  poolRow(pool: Pool): PoolRow {
    const known = this.byId[pool.id];
    if (known !== undefined && known.pool === pool) return known;
    return this.meet(pool);
  }

  /** The row of a pair: of its own, or the pool's for the others. */
  pairRow(pool: PoolRow, slot: number): number {
    const row = slot < pool.rows.length ? (pool.rows[slot] as number) : -1;
    return row >= 0 ? row : this.pairUp(pool, slot);
  }

  /** Lets go of pairs that have left for good. To be called now and then. */
  tidy(now: number): void {
    for (const [key, pair] of this.byKey) {
      if (pair.backend === OTHER) continue;
      const slot = this.mesh.slotOf(pair.backend);
      const isThere = slot >= 0 && pair.pool.pool?.has(slot) === true;
      if (isThere) {
        pair.goneAt = Number.NaN;
      } else if (Number.isNaN(pair.goneAt)) {
        pair.goneAt = now;
        const at = pair.pool.rows.indexOf(pair.row);
        if (at >= 0) pair.pool.rows[at] = -1;
      } else if (now - pair.goneAt > METRIC_LIMITS.leftMs && (this.rows.inFlight[pair.row] as number) <= 0) {
        this.byKey.delete(key);
        this.single--;
        this.rows.give(pair.row);
      }
    }
  }

  private meet(pool: Pool): PoolRow {
    let row = this.byService.get(pool.service);
    if (row === undefined) {
      if (this.byService.size >= METRIC_LIMITS.pools) {
        this.restInUse = true;
        return this.restOfPools;
      }
      row = new PoolRow(pool.service, this.poolRows.take());
      this.byService.set(pool.service, row);
    }
    row.pool = pool;
    row.rows = new Int32Array(0);
    this.byId[pool.id] = row;
    return row;
  }

  private pairUp(pool: PoolRow, slot: number): number {
    const id = this.mesh.idOf(slot);
    const key = `${pool.service}\n${id}`;
    const known = this.byKey.get(key);
    if (known === undefined && (this.isFull || pool === this.restOfPools)) {
      if (pool.other < 0) pool.other = this.add(`${pool.service}\n`, pool, OTHER).row;
      return pool.other;
    }
    if (known === undefined) this.single++;
    const pair = known ?? this.add(key, pool, id);
    pair.goneAt = Number.NaN;
    if (slot >= pool.rows.length) {
      const wider = new Int32Array(Math.max(16, slot + 1, pool.rows.length * 2)).fill(-1);
      wider.set(pool.rows);
      pool.rows = wider;
    }
    pool.rows[slot] = pair.row;
    return pair.row;
  }

  private add(key: string, pool: PoolRow, backend: string): Pair {
    const pair: Pair = {
      pool,
      backend,
      row: this.rows.take(),
      labels: labels({ pool: pool.service, backend }),
      goneAt: Number.NaN,
    };
    this.byKey.set(key, pair);
    return pair;
  }
}
