/** What is known of the balancer, as its stream tells it. */
import {
  type CallInfo,
  type EventInfo,
  type Heap,
  type Hello,
  LOAD_COLUMNS,
  type LoadColumn,
  type PoolInfo,
  type ServerInfo,
  type Settings,
  type Totals,
  type Update,
} from '../wire.ts';

export interface Backend extends ServerInfo {
  /** By `LOAD_COLUMNS`; empty until it was told. */
  load: readonly (number | null)[];
  /** When that was told, by the balancer's clock, ms. */
  toldAt: number;
  /** What a filter looks at, in lower case. */
  readonly words: string;
}

export type Status = 'connecting' | 'live' | 'lost' | 'paused';

const KEPT_EVENTS = 500;
const KEPT_CALLS = 400;
/** Rows that are told of as often as this are as of now, ms. */
const OFTEN_MS = 1_500;
const AT = Object.fromEntries(LOAD_COLUMNS.map((name, i) => [name, i])) as Record<LoadColumn, number>;

export function loadOf(backend: Backend | undefined, column: LoadColumn): number | null {
  return backend?.load[AT[column]] ?? null;
}

/** What a stream has told of servers and pools. */
class Board {
  /** By row. */
  readonly rows = new Map<number, Backend>();
  readonly byId = new Map<string, Backend>();
  readonly pools = new Map<string, PoolInfo>();
  heap: Heap | undefined;
}

/** So long what was told before stays in sight while it is told anew, ms. */
const SWAP_MS = 2_000;

function wordsOf({ id, address, zone, cause, state, labels }: ServerInfo): string {
  const marks = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return [id, address, zone, cause, state, ...marks].join(' ').toLowerCase();
}

export class Store {
  hello: Hello | undefined;
  settings: Settings = { writes: false, traceLink: null, loadsMs: 0 };
  totals: Totals | undefined;
  /** Newest first. */
  events: readonly EventInfo[] = [];
  calls: readonly CallInfo[] = [];
  /** True once all was told that there is. */
  complete = false;

  status: Status = 'connecting';
  /** Of the last message, by this machine's monotonic clock, ms. */
  heardAt = performance.now();
  /** What to add to this machine's clock to have the balancer's. */
  private skew = 0;
  /** In sight, and what is being told: the same once all was told, so that another pool is not built up row by row. */
  private shown = new Board();
  private told = this.shown;
  private toldSince = 0;
  private readonly listeners = new Set<(more: boolean) => void>();

  get rows(): ReadonlyMap<number, Backend> {
    return this.shown.rows;
  }

  get byId(): ReadonlyMap<string, Backend> {
    return this.shown.byId;
  }

  get pools(): ReadonlyMap<string, PoolInfo> {
    return this.shown.pools;
  }

  get heap(): Heap | undefined {
    return this.shown.heap;
  }

  /** The balancer's clock, ms since 1970. */
  now(): number {
    return Date.now() + this.skew;
  }

  /** How long ago something was said, ms. */
  get silence(): number {
    return performance.now() - this.heardAt;
  }

  /** @param listener is told whether there is more to come at once */
  subscribe(listener: (more: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private changed(more = false): void {
    for (const listener of this.listeners) listener(more);
  }

  setStatus(status: Status): void {
    if (this.status === status) return;
    this.status = status;
    this.changed();
  }

  begin(hello: Hello): void {
    // What was told by another life of the balancer has other numbers.
    const anew = this.hello !== undefined && Math.abs(this.hello.epoch - hello.epoch) > 5_000;
    this.hello = hello;
    this.skew = hello.now - Date.now();
    this.heardAt = performance.now();
    this.status = 'live';
    this.forget();
    if (anew) this.calls = [];
    this.events = [];
  }

  apply(update: Update): void {
    this.heardAt = performance.now();
    this.skew = update.time - Date.now();
    if (update.reset === true) this.forget();
    for (const row of update.gone ?? []) this.drop(row);
    for (const server of update.servers ?? []) this.put(server, update.time);
    for (const row of update.loads ?? []) {
      const known = this.told.rows.get(row[0] as number);
      if (known === undefined) continue;
      known.load = row.slice(1);
      known.toldAt = update.time;
    }
    const { pools } = this.told;
    for (const service of update.poolsGone ?? []) pools.delete(service);
    for (const pool of update.pools ?? []) pools.set(pool.service, pool);
    if (update.heap !== undefined) this.told.heap = update.heap;
    if (update.totals !== undefined) this.totals = update.totals;
    if (update.settings !== undefined) this.settings = update.settings;
    if (update.events !== undefined) {
      this.events = [...update.events.toReversed(), ...this.events].slice(0, KEPT_EVENTS);
    }
    if (update.calls !== undefined) this.addCalls(update.calls);
    if (update.more === undefined) this.complete = true;
    if (this.complete || performance.now() - this.toldSince > SWAP_MS) this.shown = this.told;
    this.changed(update.more);
  }

  /** Age of a server's last report, ms; null: it has made none. */
  reportAge(backend: Backend): number | null {
    const time = loadOf(backend, 'reportTime');
    if (time === null || this.hello === undefined) return null;
    const now = this.now();
    const { loadsMs } = this.settings;
    // Of a large mesh a row has its turn each few seconds: there may have been reports that were not told of yet.
    const untold = now - backend.toldAt;
    const since = loadsMs > OFTEN_MS && untold < loadsMs + OFTEN_MS ? untold : 0;
    return Math.max(0, now - since - this.hello.epoch - time);
  }

  private addCalls(calls: readonly CallInfo[]): void {
    const known = new Set(this.calls.map(call => call.n));
    const fresh = calls.filter(call => !known.has(call.n)).reverse();
    this.calls = [...fresh, ...this.calls].slice(0, KEPT_CALLS);
  }

  private put(server: ServerInfo, time: number): void {
    const { rows, byId } = this.told;
    const { load = [], toldAt = time } = rows.get(server.row) ?? {};
    const backend = { ...server, load, toldAt, words: wordsOf(server) };
    rows.set(server.row, backend);
    byId.set(server.id, backend);
  }

  private drop(row: number): void {
    const { rows, byId } = this.told;
    const known = rows.get(row);
    rows.delete(row);
    if (known !== undefined && byId.get(known.id)?.row === row) byId.delete(known.id);
  }

  private forget(): void {
    this.told = new Board();
    this.toldSince = performance.now();
    this.complete = false;
  }
}
