/** The pools, as rows of a column. */
import { ADMIN_LIMITS } from '../../core/limits.ts';
import type { Pool } from '../../core/pool.ts';
import type { PoolInfo } from '../wire.ts';
import { Column, Departed } from './column.ts';
import type { Sources } from './sources.ts';
import type { Turns } from './turns.ts';

const RECENT = ['rps', 'errors', 'p50', 'p99', 'inFlight', 'queue', 'utilization'] as const;

export class PoolRows {
  readonly column = new Column();
  /** Services of pools that are no more. */
  readonly gone = new Departed<string>(ADMIN_LIMITS.departed);
  private readonly rows = new Map<string, number>();
  private readonly free: number[] = [];
  private readonly sources: Sources;

  constructor(sources: Sources) {
    this.sources = sources;
  }

  /** Brings the rows up to date; beyond `ADMIN_LIMITS.pools` there are none. */
  async refresh(turns: Turns): Promise<void> {
    const here = new Set<string>();
    for (const pool of [...this.sources.mesh.pools()]) {
      await turns.next();
      if (here.size >= ADMIN_LIMITS.pools) break;
      here.add(pool.service);
      let row = this.rows.get(pool.service);
      if (row === undefined) {
        row = this.free.pop() ?? this.column.size;
        this.rows.set(pool.service, row);
      }
      this.column.set(row, JSON.stringify(poolInfo(pool, this.sources)));
    }
    for (const [service, row] of this.rows) {
      if (here.has(service)) continue;
      this.rows.delete(service);
      this.column.clear(row);
      this.free.push(row);
      this.gone.add(service);
    }
  }
}

export function poolInfo(pool: Pool, { history }: Sources): PoolInfo {
  const window = history?.read('pool', pool.service, history.stepMs, RECENT);
  const recent = (name: (typeof RECENT)[number]): number | null => {
    const value = window?.values[name]?.at(-1);
    return value === undefined || !Number.isFinite(value) ? null : Number(value.toPrecision(4));
  };
  return {
    service: pool.service,
    ...pool.counts(),
    rps: recent('rps'),
    errors: recent('errors'),
    p50: recent('p50'),
    p99: recent('p99'),
    inFlight: recent('inFlight'),
    queue: recent('queue'),
    utilization: recent('utilization'),
  };
}
