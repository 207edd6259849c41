/**
 * What readers who look at the same pool see: a row a server, and the heap. Brought up to date once for
 * all of them, in parts that hold up no call.
 */
import { ANY_SERVICE, type ServerView } from '../../core/core.ts';
import { ADMIN_LIMITS } from '../../core/limits.ts';
import type { Pool } from '../../core/pool.ts';
import type { Heap, ServerInfo } from '../wire.ts';
import { Column, Departed } from './column.ts';
import { LoadRows, Loads } from './loads.ts';
import type { Sources } from './sources.ts';
import type { Turns } from './turns.ts';

/** Rows that are read between two looks at the clock. */
const STRIDE = 8;

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
  readonly loads = new LoadRows();
  /** The heap in its only row. */
  readonly heap = new Column();
  /** Rows that were let go. */
  readonly gone = new Departed<number>(ADMIN_LIMITS.departed);
  /** Readers of it. */
  readers = 0;

  /** Rows of the heap's nodes: what a reader needs first, since a tree of old scores is none. */
  first: readonly number[] = [];

  private readonly rows = new Map<string, number>();
  /** Ids by row, for taking turns; undefined where a row is free. */
  private readonly ids: (string | undefined)[] = [];
  private readonly free: number[] = [];
  private from = 0;
  private readonly sources: Sources;
  private readonly turns: Turns;
  private readonly reader: Loads;
  private readonly unfollow: () => void;
  private filled: Promise<void> | undefined;

  constructor(sources: Sources, looking: Looking, turns: Turns) {
    this.sources = sources;
    this.looking = looking;
    this.turns = turns;
    this.reader = new Loads(sources.mesh, sources.history);
    this.unfollow = sources.mesh.registry.onChange((id, _before, after) => this.follow(id, after));
  }

  close(): void {
    this.unfollow();
  }

  /** Time after which each row was read again, ms. */
  get cycleMs(): number {
    return ADMIN_LIMITS.streamMs * Math.max(1, Math.ceil(this.rows.size / ADMIN_LIMITS.rowsPerTick));
  }

  /** All servers that there are; once, for all who ask. */
  fill(): Promise<void> {
    this.filled ??= this.readAll();
    return this.filled;
  }

  /** The heap as it is now, the loads of its nodes, and those of as many others as one time allows. */
  async refresh(): Promise<void> {
    await this.fill();
    const { ids } = this;
    await this.turns.next();
    // Without a pause, since scores move with each call: a parent would have a higher one than its child.
    this.refreshHeap();
    for (const row of this.first) this.refreshRow(row);
    const rows = Math.min(ids.length, ADMIN_LIMITS.rowsPerTick);
    for (let done = 0; done < rows; done++) {
      if (done % STRIDE === 0) await this.turns.next();
      this.from = (this.from + 1) % ids.length;
      this.refreshRow(this.from);
    }
  }

  private async readAll(): Promise<void> {
    const { registry } = this.sources.mesh;
    let done = 0;
    for (const { spec } of registry.list()) {
      // As it is by now: it may have changed, or left, in a turn between.
      if (!this.rows.has(spec.id)) this.follow(spec.id, registry.get(spec.id));
      const row = this.rows.get(spec.id);
      if (row !== undefined) this.refreshRow(row);
      if (++done % STRIDE === 0) await this.turns.next();
    }
    this.refreshHeap();
  }

  private refreshHeap(): void {
    const pool = this.pool();
    if (pool === undefined) {
      this.first = [];
      return;
    }
    const heap = heapOf(this.sources, pool, this.looking.zone, this.rows);
    this.heap.set(0, JSON.stringify(heap));
    this.first = heap.nodes.filter(row => row >= 0);
  }

  private pool(): Pool | undefined {
    return this.looking.service === '' ? undefined : this.sources.mesh.pool(this.looking.service);
  }

  private refreshRow(row: number): void {
    const { reader, sources } = this;
    const id = this.ids[row];
    if (id === undefined) return;
    const pool = this.pool() ?? firstPool(sources, id);
    if (!reader.read(id, pool)) return;
    reader.readRecent(id);
    this.loads.set(row, reader.values);
  }

  private follow(id: string, view: ServerView | undefined): void {
    const known = this.rows.get(id);
    if (view === undefined || !this.isWanted(view)) {
      if (known === undefined) return;
      this.rows.delete(id);
      this.ids[known] = undefined;
      this.infos.clear(known);
      this.loads.clear(known);
      this.free.push(known);
      this.gone.add(known);
      return;
    }
    const row = known ?? this.free.pop() ?? this.infos.size;
    if (known === undefined) {
      this.rows.set(id, row);
      this.ids[row] = id;
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
