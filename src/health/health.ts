/**
 * Active health checks and load that is asked for, of all servers that the registry knows: `grpc.health.v1` by Check
 * or Watch, TCP, and `xds.service.orca.v3.OpenRcaService` from servers that do not stream their load by themselves.
 * What it finds goes to the detector, which decides what becomes of a server.
 */
import { ANY_SERVICE, type LoadSample, type ServerView } from '../core/core.ts';
import type { Detector } from '../core/detector.ts';
import { HEALTH_LIMITS, ORCA_LIMITS } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { LinkContext } from './link.ts';
import type { Verdict } from './verdict.ts';
import { Watched, type WatchedHost, type WatchRules } from './watched.ts';

export type { WatchRules } from './watched.ts';

export interface HealthOptions {
  readonly mesh: Mesh;
  readonly detector: Detector;
  /** Of the pool that a server belongs to first. */
  readonly rulesOf: (service: string) => WatchRules;
  /** Splits a server's `host:port`. */
  readonly parseAddress: (address: string) => { readonly host: string; readonly port: number };
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Hears of faults of our own. */
  readonly onError: (error: unknown) => void;
}

/** What has happened since the start, as plain numbers that are read at scrape time. */
export interface HealthCounters {
  /** Checks by what they found. */
  serving: number;
  alive: number;
  failing: number;
  dead: number;
  /** Load reports that were asked for. */
  loads: number;
}

export class Health implements WatchedHost {
  readonly context: LinkContext;
  readonly random: () => number;
  readonly counters: HealthCounters = { serving: 0, alive: 0, failing: 0, dead: 0, loads: 0 };
  private readonly options: HealthOptions;
  private readonly servers = new Map<string, Watched>();
  /** By place: the server, and when it is to be looked at, ms. Most of thousands are not for seconds. */
  private readonly placed: (Watched | undefined)[] = [];
  private lookAt = new Float64Array(16);
  private readonly freePlaces: number[] = [];
  /** Whose checks have begun, of which some may have ended since the last look. */
  private readonly checking: Watched[] = [];
  /** Checks that were under way at the last look. */
  private underWay = 0;
  /** Who is due and has not begun, the first one last. */
  private toBegin: Watched[] = [];
  private beginning: NodeJS.Immediate | undefined;
  private lastLook = Number.NaN;
  private readonly unfollow: () => void;

  constructor(options: HealthOptions) {
    this.options = options;
    this.random = options.random;
    const { mesh } = options;
    this.context = new LinkContext(() => mesh.now(), options.onError);
    this.unfollow = mesh.registry.onChange((id, before, after) => this.follow(id, before, after));
    for (const view of mesh.registry.list()) this.follow(view.spec.id, undefined, view);
  }

  /** Servers that are looked after, and checks under way. */
  gauges(): { readonly servers: number; readonly checking: number; readonly loadStreams: number } {
    let loadStreams = 0;
    for (const server of this.servers.values()) if (server.streamsLoad) loadStreams++;
    return { servers: this.servers.size, checking: this.underWay, loadStreams };
  }

  /** Whether load comes from a server by a stream that was asked for. */
  streamsLoad(id: string): boolean {
    return this.servers.get(id)?.streamsLoad ?? false;
  }

  /** Rules have changed. */
  configure(): void {
    const { registry } = this.options.mesh;
    const now = this.context.now();
    for (const server of this.servers.values()) {
      const view = registry.get(server.id);
      if (view === undefined) continue;
      server.restart(this.rulesOf(view), now);
      this.want(server, view);
    }
  }

  /** What is due by time; to be called each `HEALTH_LIMITS.lookMs`. */
  look(now: number): void {
    const gap = now - this.lastLook;
    this.lastLook = now;
    if (gap > HEALTH_LIMITS.stallMs) for (const server of this.servers.values()) server.forgive(gap);
    let opens: number = ORCA_LIMITS.opensAtOnce;
    const due: Watched[] = [];
    const { placed } = this;
    for (let place = 0; place < placed.length; place++) {
      if (!((this.lookAt[place] as number) <= now)) continue;
      const server = placed[place];
      if (server === undefined) continue;
      server.look(now);
      if (server.dueAt <= now && server.isDue) due.push(server);
      else if (opens > 0 && server.loadIsDue(now)) {
        server.openLoadLink();
        opens--;
      }
      // What it found may have ended the server, or brought others.
      if (placed[place] === server) this.lookAt[place] = server.nextLook(now);
    }
    this.keepChecking();
    const room = Math.max(0, HEALTH_LIMITS.checksAtOnce - this.checking.length);
    // Who waits longest goes first: else servers that time out would come again before the last ones' first turn.
    if (due.length > room) due.sort((a, b) => a.dueAt - b.dueAt);
    this.toBegin = due.slice(0, room).reverse();
    this.underWay = this.checking.length + this.toBegin.length;
    if (this.beginning === undefined) this.beginSome();
  }

  /** Lets those go whose checks have ended. */
  private keepChecking(): void {
    const { checking } = this;
    let kept = 0;
    for (const server of checking) if (server.checking) checking[kept++] = server;
    if (checking.length > kept) checking.length = kept;
  }

  /** Hundreds of checks may be due at once: a few of them each turn of the event loop, with calls in between. */
  private beginSome(): void {
    this.beginning = undefined;
    for (let left = HEALTH_LIMITS.beginsAtOnce; left > 0; left--) {
      const server = this.toBegin.pop();
      if (server === undefined) return;
      // It may have been let go of meanwhile.
      if (!server.isDue || this.servers.get(server.id) !== server) continue;
      server.begin(this.context.now());
      this.checking.push(server);
    }
    if (this.toBegin.length > 0) this.beginning = setImmediate(() => this.beginSome());
  }

  stop(): void {
    this.unfollow();
    clearImmediate(this.beginning);
    this.toBegin = [];
    for (const server of this.servers.values()) server.stop();
    this.servers.clear();
    this.checking.length = 0;
    this.placed.length = 0;
  }

  touched({ place }: Watched): void {
    this.lookAt[place] = Number.NEGATIVE_INFINITY;
  }

  checked(server: Watched, { finding, says }: Verdict): void {
    this.counters[finding]++;
    const { detector } = this.options;
    const { unhealthyAfter, healthyAfter } = server.rules;
    if (server.fails >= unhealthyAfter) {
      detector.failedChecks(server.id, `${ordinal(server.fails)} failed check: ${says}`, finding === 'dead');
    } else if (server.passes >= healthyAfter) {
      detector.passedChecks(server.id, `${server.passes} checks passed: ${says}`);
    }
  }

  loaded(server: Watched, sample: LoadSample): void {
    const { mesh } = this.options;
    const slot = mesh.slotOf(server.id);
    if (slot < 0) return;
    this.counters.loads++;
    mesh.report(slot, sample, this.context.now());
  }

  private follow(id: string, before: ServerView | undefined, after: ServerView | undefined): void {
    let server = this.servers.get(id);
    if (server !== undefined && server.address !== after?.spec.address) {
      this.leave(server);
      server = undefined;
    }
    if (after === undefined) return;
    if (server === undefined) {
      const { address } = after.spec;
      const place = this.freePlaces.pop() ?? this.placed.length;
      const target = this.options.parseAddress(address);
      server = new Watched(id, address, target, this.rulesOf(after), this, place);
      this.enter(server);
    } else if (before?.spec.services[0] !== after.spec.services[0]) {
      server.rules = this.rulesOf(after);
    }
    // What passed before it was ejected does not speak for it now.
    if (after.state === 'EJECTED' && before?.state !== 'EJECTED') server.passes = 0;
    this.want(server, after);
  }

  private enter(server: Watched): void {
    const { place } = server;
    if (place >= this.lookAt.length) {
      const { lookAt } = this;
      this.lookAt = new Float64Array(2 * lookAt.length);
      this.lookAt.set(lookAt);
    }
    this.placed[place] = server;
    this.servers.set(server.id, server);
    this.touched(server);
  }

  private leave(server: Watched): void {
    server.stop();
    this.servers.delete(server.id);
    this.placed[server.place] = undefined;
    this.freePlaces.push(server.place);
  }

  /** A server that nobody claims is nobody's to check; one that drains takes no more calls. */
  private want(server: Watched, view: ServerView): void {
    const claimed = view.sources.length > 0;
    const reports = view.sources.includes('stream');
    server.want(
      claimed && view.state !== 'DRAINING',
      claimed && server.rules.orca && view.state !== 'STANDBY' && !reports,
    );
  }

  private rulesOf({ spec }: ServerView): WatchRules {
    return this.options.rulesOf(spec.services[0] ?? ANY_SERVICE);
  }
}

function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  const suffix = teen ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[n % 10] ?? 'th');
  return `${n}${suffix}`;
}
