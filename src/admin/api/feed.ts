/**
 * The event stream. Nothing is done where nobody reads. Views are brought up to date once a second for
 * all who look at the same; each reader is asked for its next message only when it has taken the one
 * before, and is then told the newest of what it does not know.
 */
import { ANY_SERVICE } from '../../core/core.ts';
import { ADMIN_LIMITS, REGISTRY_LIMITS } from '../../core/limits.ts';
import type { RegistryEvent } from '../../core/registry.ts';
import { HttpError } from '../reply.ts';
import type { EventInfo, Hello, Settings, Totals } from '../wire.ts';
import { Told } from './column.ts';
import { PoolRows } from './pools.ts';
import type { Sources } from './sources.ts';
import { StateCounts } from './state-counts.ts';
import { Turns } from './turns.ts';
import { type Looking, View } from './view.ts';

export class Feed {
  private readonly sources: Sources;
  private readonly build: string;
  private readonly views = new Map<string, View>();
  private readonly pools: PoolRows;
  private readonly states: StateCounts;
  private readonly turns: Turns;
  private readonly waiting = new Set<() => void>();
  private readers = 0;
  /** As JSON. */
  private totals = '';
  private timer: NodeJS.Timeout | undefined;
  private refreshing = false;
  private poolsRefresh: Promise<void> | undefined;
  private readonly onError: (error: unknown) => void;

  constructor(
    sources: Sources,
    build: string,
    onError: (error: unknown) => void,
    { turns = new Turns(), states = new StateCounts(sources.mesh.registry) } = {},
  ) {
    this.sources = sources;
    this.turns = turns;
    this.states = states;
    this.build = build;
    this.onError = onError;
    this.pools = new PoolRows(sources);
  }

  /** @throws HttpError where too many are open. */
  open(looking: Looking, gone: AbortSignal): AsyncGenerator<string> {
    if (this.readers >= ADMIN_LIMITS.streams) {
      throw new HttpError(503, `${this.readers} streams are open; close a console elsewhere`);
    }
    return this.run(looking, gone);
  }

  private async *run(looking: Looking, gone: AbortSignal): AsyncGenerator<string> {
    const key = JSON.stringify(looking);
    this.readers++;
    const view = this.views.get(key) ?? new View(this.sources, looking, this.turns);
    this.views.set(key, view);
    view.readers++;
    this.timer ??= setInterval(() => this.tick(), ADMIN_LIMITS.streamMs);
    const stopWaiting = () => this.wake();
    gone.addEventListener('abort', stopWaiting);
    try {
      yield event('hello', JSON.stringify(this.hello()));
      await view.fill();
      await this.refreshPools();
      const reader = new Reader(this.sources, view, this.pools, () => this.totals);
      while (!gone.aborted) {
        await this.turns.next();
        yield event('update', reader.next());
        if (!reader.more) await new Promise<void>(resolve => this.waiting.add(resolve));
      }
    } finally {
      gone.removeEventListener('abort', stopWaiting);
      this.readers--;
      if (--view.readers === 0) {
        view.close();
        this.views.delete(key);
      }
      if (this.readers === 0) {
        clearInterval(this.timer);
        this.timer = undefined;
      }
    }
  }

  private hello(): Hello {
    const { instance, version, addresses, mesh, wall } = this.sources;
    const now = wall();
    return {
      instance: instance.id,
      zone: instance.zone,
      version,
      build: this.build,
      epoch: now - mesh.now(),
      now,
      addresses,
    };
  }

  private tick(): void {
    // One that takes longer than a tick, as on a machine that is overloaded, is not run twice at once.
    if (this.refreshing) return;
    this.refreshing = true;
    this.refresh()
      .catch(this.onError)
      .finally(() => {
        this.refreshing = false;
        this.wake();
      });
  }

  /** Once for all who ask at the same time. */
  private refreshPools(): Promise<void> {
    this.poolsRefresh ??= this.pools
      .refresh(this.turns)
      .then(() => {
        this.totals = JSON.stringify(totalsOf(this.sources, this.states));
      })
      .finally(() => {
        this.poolsRefresh = undefined;
      });
    return this.poolsRefresh;
  }

  private async refresh(): Promise<void> {
    await this.refreshPools();
    for (const view of [...this.views.values()]) await view.refresh();
  }

  private wake(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const resume of waiting) resume();
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html; JSON has no line ends of its own. */
function event(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`;
}

/** What one stream knows already. */
class Reader {
  /** The next message is due at once. */
  more = false;
  private readonly sources: Sources;
  private readonly view: View;
  private readonly infos: Told;
  private readonly loads: Told;
  private readonly heap: Told;
  private readonly pools: Told;
  private readonly poolRows: PoolRows;
  private goneTold: number;
  private poolsGoneTold: number;
  private position = -1;
  private callsTold = 0;
  private settings = '';
  private totals = '';
  private readonly totalsNow: () => string;

  constructor(sources: Sources, view: View, pools: PoolRows, totals: () => string) {
    this.sources = sources;
    this.totalsNow = totals;
    this.view = view;
    this.infos = new Told(view.infos);
    this.loads = new Told(view.loads);
    this.heap = new Told(view.heap);
    this.pools = new Told(pools.column);
    this.poolRows = pools;
    this.goneTold = view.gone.count;
    this.poolsGoneTold = pools.gone.count;
  }

  next(): string {
    const most = ADMIN_LIMITS.messageChars;
    const parts: string[] = [];
    const list = (name: string, texts: readonly string[]): void => {
      if (texts.length > 0) parts.push(`"${name}":[${texts.join(',')}]`);
    };
    this.addGone(parts);
    const infos = this.infos.take(most);
    list('servers', infos);
    // A load is of a server that the reader knows.
    list(
      'loads',
      this.loads.take(most, row => this.infos.has(row), this.view.first),
    );
    list('pools', this.pools.take(most));
    const [heap] = this.heap.take(most);
    if (heap !== undefined) parts.push(`"heap":${heap}`);
    list(
      'events',
      this.events().map(each => JSON.stringify(each)),
    );
    list('calls', this.calls());
    this.addIfNew(parts);
    this.more = this.infos.behind || this.loads.behind || this.pools.behind;
    if (this.more) parts.push('"more":true');
    return `{"time":${this.sources.wall()}${parts.map(part => `,${part}`).join('')}}`;
  }

  private addGone(parts: string[]): void {
    const { view, poolRows } = this;
    const rows = view.gone.since(this.goneTold);
    const pools = poolRows.gone.since(this.poolsGoneTold);
    this.goneTold = view.gone.count;
    this.poolsGoneTold = poolRows.gone.count;
    if (rows === undefined || pools === undefined) {
      parts.push('"reset":true');
      for (const told of [this.infos, this.loads, this.heap, this.pools]) told.forgetAll();
      return;
    }
    for (const row of rows) {
      this.infos.forget(row);
      this.loads.forget(row);
    }
    if (rows.length > 0) parts.push(`"gone":[${rows.join(',')}]`);
    if (pools.length > 0) parts.push(`"poolsGone":${JSON.stringify(pools)}`);
  }

  private events(): EventInfo[] {
    const { registry } = this.sources.mesh;
    const last = () => registry.lastEvents(REGISTRY_LIMITS.events);
    const found = this.position < 0 ? last() : (registry.eventsAfter(this.position) ?? last());
    this.position = registry.position;
    const { service } = this.view.looking;
    const wanted = service === '' ? found : found.filter(each => concerns(each, service));
    return wanted.slice(-ADMIN_LIMITS.events).map(eventInfo);
  }

  private calls(): string[] {
    const calls = this.sources.calls.after(this.callsTold);
    this.callsTold = calls.at(-1)?.n ?? this.callsTold;
    return calls.map(call => JSON.stringify(call));
  }

  private addIfNew(parts: string[]): void {
    const { writes, traceLink } = this.sources.settings();
    const told: Settings = { writes, traceLink: traceLink ?? null, loadsMs: this.view.cycleMs };
    const settings = JSON.stringify(told);
    if (settings !== this.settings) parts.push(`"settings":${settings}`);
    this.settings = settings;
    const totals = this.totalsNow();
    if (totals !== this.totals) parts.push(`"totals":${totals}`);
    this.totals = totals;
  }
}

/** Whether an event is of interest to who looks at a service; one that is about no server is to everyone. */
function concerns({ services }: RegistryEvent, service: string): boolean {
  return services.length === 0 || services.includes(service) || services.includes(ANY_SERVICE);
}

export function eventInfo(event: RegistryEvent): EventInfo {
  const { position, instanceId, time, kind, serverId, state, cause } = event;
  return { position, instanceId, time, kind, serverId, state: state ?? null, cause };
}

export function totalsOf({ mesh, gauges }: Sources, states: StateCounts): Totals {
  return { servers: states.counts, ...gauges(), position: mesh.registry.position };
}
