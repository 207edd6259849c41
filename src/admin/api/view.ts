/**
 * What readers who look at the same pool see: a row a server, and the heap. Brought up to date once for
 * all of them, in parts that hold up no call.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ANY_SERVICE, type ServerView } from '../../core/core.ts';
import { ADMIN_LIMITS } from '../../core/limits.ts';
import type { Pool } from '../../core/pool.ts';
import type { Heap, ServerInfo } from '../wire.ts';
import { Column, Departed } from './column.ts';
import { Loads, RECENT_FROM } from './loads.ts';
import type { Sources } from './sources.ts';

/** What a reader looks at. */
export interface Looking {
  /** Empty: all servers. */
  readonly service: string;
  /** Empty: the zone of the pool's root. */
  readonly zone: string;
}

export class View {
  readonly looking: Looking;
  readonly infos = new Column();
  readonly loads = new Column();
  /** The heap in its only row. */
  readonly heap = new Column();
  /** Rows that were let go. */
  readonly gone = new Departed<number>(ADMIN_LIMITS.departed);
  /** Readers of it. */
  readers = 0;

  private readonly rows = new Map<string, number>();
  private readonly free: number[] = [];
  private readonly steps: number[] = [];
  private readonly recent: number[][] = [];
  private readonly sources: Sources;
  private readonly reader: Loads;
  private readonly unfollow: () => void;

  constructor(sources: Sources, looking: Looking) {
    this.sources = sources;
    this.looking = looking;
    this.reader = new Loads(sources.mesh, sources.history);
    const { registry } = sources.mesh;
    for (const view of registry.list()) this.follow(view.spec.id, view);
    this.unfollow = registry.onChange((id, _before, after) => this.follow(id, after));
  }

  close(): void {
    this.unfollow();
  }

  /** Loads and heap as they are now. */
  async refresh(): Promise<void> {
    let done = 0;
    for (const [id, row] of this.rows) {
      this.refreshRow(id, row);
      if (++done % ADMIN_LIMITS.rowsPerTurn === 0) await nextTurn();
    }
    const pool = this.pool();
    if (pool !== undefined)
      this.heap.set(0, JSON.stringify(heapOf(this.sources, pool, this.looking.zone, this.rows)));
  }

  private pool(): Pool | undefined {
    return this.looking.service === '' ? undefined : this.sources.mesh.pool(this.looking.service);
  }

  private refreshRow(id: string, row: number): void {
    const { reader, sources } = this;
    const pool = this.pool() ?? firstPool(sources, id);
    if (!reader.read(id, pool)) return;
    const steps = sources.history?.steps ?? 0;
    if (this.steps[row] === steps) {
      this.recent[row]?.forEach((value, i) => {
        reader.values[RECENT_FROM + i] = value;
      });
    } else {
      reader.readRecent(id);
      this.steps[row] = steps;
      this.recent[row] = [...reader.values.subarray(RECENT_FROM)];
    }
    this.loads.set(row, reader.text(row));
  }

  private follow(id: string, view: ServerView | undefined): void {
    const known = this.rows.get(id);
    if (view === undefined || !this.isWanted(view)) {
      if (known === undefined) return;
      this.rows.delete(id);
      this.infos.clear(known);
      this.loads.clear(known);
      this.steps[known] = -1;
      this.free.push(known);
      this.gone.add(known);
      return;
    }
    const row = known ?? this.free.pop() ?? this.infos.size;
    if (known === undefined) {
      this.rows.set(id, row);
      this.steps[row] = -1;
    }
    this.infos.set(row, JSON.stringify({ row, ...infoOf(view) }));
  }

  private isWanted({ spec }: ServerView): boolean {
    const { service } = this.looking;
    return service === '' || spec.services.includes(service) || spec.services.includes(ANY_SERVICE);
  }
}

export function firstPool({ mesh }: Sources, id: string): Pool | undefined {
  const service = mesh.registry.get(id)?.spec.services[0];
  return service === undefined ? undefined : mesh.pool(service);
}

export function infoOf(view: ServerView): Omit<ServerInfo, 'row'> {
  const { spec, drain } = view;
  return {
    id: spec.id,
    address: spec.address,
    services: spec.services,
    zone: spec.zone,
    weight: spec.weight,
    weightOverridden: view.weightOverridden,
    maxConcurrency: spec.maxConcurrency,
    labels: spec.labels,
    state: view.state,
    cause: view.cause,
    stateTime: view.stateTime,
    sources: view.sources,
    healthy: view.healthy,
    drain:
      drain === undefined ? null : { by: drain.by, timeoutMs: drain.timeoutMs, afterwards: drain.afterwards },
    advice: (view.advice ?? []).map(({ instanceId, cause }) => ({ instanceId, cause })),
  };
}

function heapOf({ mesh }: Sources, pool: Pool, zoneName: string, rows: ReadonlyMap<string, number>): Heap {
  const zones = pool.zones.map(zone => zone.name);
  const named = zoneName === '' ? undefined : pool.zoneNamed(zoneName);
  const zone = named ?? pool.bestZone() ?? pool.zones[0];
  const heap = pool.heap(mesh.now(), zone?.name ?? '', ADMIN_LIMITS.heapNodes);
  return {
    service: pool.service,
    zone: heap.zone,
    zones,
    arity: heap.arity,
    size: zone?.order.size ?? 0,
    nodes: heap.nodes.map(({ slot }) => rows.get(mesh.idOf(slot)) ?? -1),
  };
}
