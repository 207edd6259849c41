/**
 * What this process knows of the load of one mesh's servers: one load table for all channels that go to
 * the same balancers, whatever service they are for. A channel has a pool of its own over it, since
 * which servers it is connected to is its own affair; a call of one channel counts for all.
 */
import { Outcome } from '../core/core.ts';
import { LeaseTable } from '../core/lease.ts';
import { CALLER_LIMITS } from '../core/limits.ts';
import { LoadTable } from '../core/load-table.ts';
import { Pool } from '../core/pool.ts';
import { isWarm } from '../core/warmup.ts';
import type { ServerLoad } from '../gen/heapmesh/v1/server.ts';
import { millisOf } from '../grpc/duration.ts';

/** A server's row, held by every list that names the server. */
export interface Row {
  readonly id: string;
  readonly slot: number;
  holders: number;
  /** In its warm-up. */
  warming: boolean;
  /** Stands at the root until its first proof, as far as this caller is concerned. */
  newcomer: boolean;
  /** The last load that was taken over: of which instance, and which. */
  instanceId: string;
  sequence: bigint;
}

export interface TableOptions {
  /** Monotonic, ms. */
  readonly clock: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class CallerTable {
  readonly loads = new LoadTable();
  readonly leases: LeaseTable;
  /** How many balancers pick for these servers, this caller included, as the balancer says. */
  balancers = 1;
  readonly clock: () => number;

  readonly #random: () => number;
  readonly #rows = new Map<string, Row>();
  readonly #pools: (Pool | undefined)[] = [];
  readonly #onWarm = new Set<(row: Row) => void>();
  readonly #warming = new Set<Row>();
  #timer: NodeJS.Timeout | undefined;
  #lastTick = Number.NaN;

  constructor(options: TableOptions) {
    this.clock = options.clock;
    this.#random = options.random;
    const leaseEnded = this.#leaseEnded.bind(this);
    // Calls of a channel are seen from their beginning to their end: no lease here ends by time.
    this.leases = new LeaseTable({ leaseEnded }, 0);
  }

  /** A pool for one channel. */
  openPool(service: string): Pool {
    let id = this.#pools.indexOf(undefined);
    if (id < 0) id = this.#pools.length;
    const pool = new Pool(service, id, this.loads, this.leases);
    this.#pools[id] = pool;
    this.#timer ??= setInterval(() => this.tick(this.clock()), CALLER_LIMITS.tickMs).unref();
    return pool;
  }

  closePool(pool: Pool): void {
    for (const slot of [...pool.members()]) pool.remove(slot);
    this.#pools[pool.id] = undefined;
    if (this.#pools.some(one => one !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The row of a server; `drop` gives it back. */
  hold(id: string): Row {
    let row = this.#rows.get(id);
    if (row === undefined) {
      const slot = this.loads.allocate(1, 0);
      row = { id, slot, holders: 0, warming: false, newcomer: false, instanceId: '', sequence: 0n };
      this.#rows.set(id, row);
    }
    row.holders++;
    return row;
  }

  drop(row: Row): void {
    if (--row.holders > 0) return;
    this.#warming.delete(row);
    this.#rows.delete(row.id);
    this.loads.release(row.slot);
  }

  /** The server's weight and limit as they are now. */
  describe(row: Row, weight: number, maxConcurrency: number): void {
    this.loads.describe(row.slot, weight, maxConcurrency);
  }

  /**
   * A warm-up begins. The draw is made once a newcomer and for all channels: of B balancers, one on the
   * mean gives it the root.
   */
  beginWarmUp(row: Row): void {
    if (row.warming) return;
    row.warming = true;
    row.newcomer = this.#random() * this.balancers < 1;
    this.loads.warmUp(row.slot, this.clock());
    this.#warming.add(row);
  }

  endWarmUp(row: Row): void {
    if (!row.warming) return;
    row.warming = false;
    row.newcomer = false;
    this.#warming.delete(row);
    for (const listener of this.#onWarm) listener(row);
  }

  /** Called where a warm-up ends: by a balancer's word, or proved by this caller's own calls before that. */
  onWarm(listener: (row: Row) => void): () => void {
    this.#onWarm.add(listener);
    return () => this.#onWarm.delete(listener);
  }

  /**
   * Takes over what a balancer tells of a server, once a report. `begun`: by its sequence the server
   * has begun a new life since the last load on the same stream.
   */
  adopt(row: Row, load: ServerLoad, instanceId: string, minIntervalMs: number, begun: boolean): void {
    if (load.sequence === 0n) return;
    if (begun) this.loads.restart(row.slot);
    else if (row.instanceId === instanceId && row.sequence === load.sequence) return;
    const now = this.clock();
    const ageMs = millisOf(load.age);
    // Lists of several services can come from several balancers, and one tells later than another.
    const elsewhere = !begun && row.instanceId !== instanceId;
    if (elsewhere && now - ageMs < (this.loads.reportTime[row.slot] as number)) return;
    row.instanceId = instanceId;
    row.sequence = load.sequence;
    const told = millisOf(load.interval);
    this.loads.adopt(
      row.slot,
      {
        ageMs,
        inFlight: load.inFlight,
        utilization: load.utilization,
        capacity: load.capacity,
        others: load.others,
        failure: load.failure,
        // Loads that were asked for more rarely than reports come are not late before their time.
        intervalMs: told > 0 ? Math.max(told, minIntervalMs) : 0,
      },
      now,
    );
  }

  /** Ages scores, ends warm-ups. Called by a timer as long as there is a pool. */
  tick(now: number): void {
    const elapsed = now - this.#lastTick;
    this.#lastTick = now;
    if (elapsed > 0) for (const pool of this.#pools) pool?.sweep(now, elapsed);
    for (const row of this.#warming) {
      const since = now - (this.loads.warmSince[row.slot] as number);
      if (isWarm(this.loads.provenSince(row.slot), since)) this.endWarmUp(row);
    }
  }

  /** A newcomer that fails is none any more, also for pools that it enters, or that hear of it, later. */
  #failed(slot: number): void {
    for (const row of this.#warming) if (row.slot === slot) row.newcomer = false;
  }

  #leaseEnded(_lease: number, at: number, now: number, outcome: Outcome, latencyMs: number): void {
    if (!this.loads.ended(this.leases, at, now, outcome, latencyMs)) return;
    if (outcome === Outcome.SUCCESS) this.#pools[this.leases.poolAt(at)]?.served(latencyMs);
    else if (outcome === Outcome.FAILURE) this.#failed(this.leases.slotAt(at));
  }
}

interface Shared {
  readonly table: CallerTable;
  holders: number;
}

const tables = new Map<string, Shared>();

/** The process's table for these balancers; `giveBack` when it is needed no more. */
export function sharedTable(balancers: readonly string[]): { table: CallerTable; giveBack: () => void } {
  const key = [...balancers].sort().join(',');
  let shared = tables.get(key);
  if (shared === undefined) {
    const table = new CallerTable({ clock: () => performance.now(), random: () => Math.random() });
    shared = { table, holders: 0 };
    tables.set(key, shared);
  }
  const held = shared;
  held.holders++;
  return {
    table: held.table,
    giveBack: () => {
      if (--held.holders === 0 && tables.get(key) === held) tables.delete(key);
    },
  };
}
