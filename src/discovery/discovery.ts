/**
 * Backends that are found by a name: one for each address that DNS gives. A name is resolved again each
 * `discovery.dnsInterval`, and when a connection to one of its addresses fails; an answer that is empty or does not
 * come changes nothing. All that names gave is one source, `dns`, which replaces its whole set at once.
 */
import { isIP } from 'node:net';
import type { ServerSpec } from '../core/core.ts';
import { DISCOVERY_LIMITS } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { type Resolve, resolverOf } from './resolver.ts';

export type { Resolve } from './resolver.ts';

/** A name that stands for backends. */
export interface NamedServer {
  readonly host: string;
  readonly port: number;
  /** What each of its backends is but for id and address; an id of its own goes before theirs. */
  readonly spec: ServerSpec;
  /** The id was given, and is not the address. */
  readonly hasId: boolean;
}

export interface DiscoverySettings {
  readonly intervalMs: number;
  /** `host:port` of DNS servers; empty: the machine's own way. */
  readonly dnsServers: readonly string[];
}

export interface DiscoveryOptions {
  readonly mesh: Mesh;
  readonly settings: DiscoverySettings;
  readonly names: readonly NamedServer[];
  /** Monotonic clock, ms. */
  readonly now: () => number;
  readonly log: {
    info(message: string, fields?: Readonly<Record<string, unknown>>): void;
    warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  };
  /** By DNS as the settings say, by default. */
  readonly resolve?: Resolve;
}

interface Name {
  readonly host: string;
  /** The last answer that was not empty, sorted. */
  addresses: readonly string[];
  dueAt: number;
  askedAt: number;
  asking: boolean;
  /** What was said of it last, so that the same failure is told once. */
  told: string;
  /** Why it could not be resolved; empty where it was. */
  trouble: string;
}

export class Discovery {
  private readonly options: DiscoveryOptions;
  private settings: DiscoverySettings;
  private servers: readonly NamedServer[];
  private resolve: Resolve;
  private readonly names = new Map<string, Name>();
  /** Ids that are claimed now, with the names that they are of. */
  private claimed = new Map<string, string>();
  /** Found before this process began, and not answered for since. */
  private readonly recovered = new Map<string, ServerSpec>();
  private asking = 0;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private waiting: (() => void)[] = [];
  private readonly unfollow: () => void;

  constructor(options: DiscoveryOptions) {
    this.options = options;
    this.settings = options.settings;
    this.servers = options.names;
    this.resolve = options.resolve ?? resolverOf(options.settings.dnsServers);
    const { registry } = options.mesh;
    this.unfollow = registry.onChange((id, before, after) => {
      const failed = after?.state === 'EJECTED' && before?.state !== 'EJECTED' && !after.healthy;
      const name = this.claimed.get(id);
      if (failed && name !== undefined) this.again(name);
    });
    // What an earlier life of this instance found stays until it is known better.
    for (const { sources, spec } of registry.list())
      if (sources.includes('dns')) this.recovered.set(spec.id, spec);
    if (this.servers.length === 0 && this.recovered.size > 0) this.claim();
    this.take();
  }

  /** Resolves when each name has been answered once, and after a second at the latest. */
  async firstAnswers(): Promise<void> {
    if (![...this.names.values()].some(name => name.addresses.length === 0 && name.trouble === '')) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, DISCOVERY_LIMITS.firstAnswerMs);
    this.waiting.push(resolve);
    await promise;
    clearTimeout(timer);
  }

  configure(settings: DiscoverySettings, names: readonly NamedServer[]): void {
    this.settings = settings;
    this.servers = names;
    if (this.options.resolve === undefined) this.resolve = resolverOf(settings.dnsServers);
    const now = this.options.now();
    for (const name of this.names.values()) name.dueAt = Math.min(name.dueAt, now);
    this.take();
    this.claim();
  }

  /** For `/readyz`: names that could not be resolved, each with the reason. */
  troubles(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.names.values()].filter(name => name.trouble !== '').map(name => [name.host, name.trouble]),
    );
  }

  stop(): void {
    this.stopped = true;
    this.unfollow();
    clearTimeout(this.timer);
    for (const done of this.waiting.splice(0)) done();
  }

  /** Takes over which names there are, and asks for those that are due. */
  private take(): void {
    const wanted = new Set(this.servers.map(server => server.host));
    for (const host of this.names.keys()) if (!wanted.has(host)) this.names.delete(host);
    for (const host of wanted) {
      if (this.names.has(host)) continue;
      const never = Number.NEGATIVE_INFINITY;
      this.names.set(host, {
        host,
        addresses: [],
        dueAt: never,
        askedAt: never,
        asking: false,
        told: '',
        trouble: '',
      });
    }
    this.look();
  }

  /** A connection to one of a name's addresses failed: it may have others by now. */
  private again(host: string): void {
    const name = this.names.get(host);
    if (name === undefined) return;
    name.dueAt = Math.min(name.dueAt, name.askedAt + DISCOVERY_LIMITS.againMs);
    this.look();
  }

  private look(): void {
    clearTimeout(this.timer);
    if (this.stopped || this.names.size === 0) return;
    const now = this.options.now();
    let next = Number.POSITIVE_INFINITY;
    for (const name of this.names.values()) {
      if (name.asking) continue;
      if (name.dueAt <= now && this.asking < DISCOVERY_LIMITS.lookupsAtOnce) void this.ask(name);
      else next = Math.min(next, name.dueAt);
    }
    if (next < Number.POSITIVE_INFINITY) {
      this.timer = setTimeout(() => this.look(), Math.max(1, Math.min(next - now, 0x7fff_ffff)));
    }
  }

  private async ask(name: Name): Promise<void> {
    name.asking = true;
    this.asking++;
    name.askedAt = this.options.now();
    let addresses: readonly string[] = [];
    let trouble = '';
    try {
      addresses = await this.resolve(name.host);
      if (addresses.length === 0) trouble = 'it has no address';
    } catch (error) {
      trouble = (error as Error).message;
    }
    this.asking--;
    name.asking = false;
    if (this.stopped) return;
    name.dueAt = name.askedAt + this.settings.intervalMs;
    name.trouble = trouble;
    this.tell(name, addresses);
    if (addresses.length > 0) {
      name.addresses = addresses.toSorted().slice(0, DISCOVERY_LIMITS.addressesPerName);
      this.claim();
    }
    if ([...this.names.values()].every(one => one.addresses.length > 0 || one.trouble !== '')) {
      for (const done of this.waiting.splice(0)) done();
    }
    this.look();
  }

  private tell(name: Name, addresses: readonly string[]): void {
    const { host, trouble } = name;
    const said = trouble === '' ? addresses.toSorted().join(', ') : trouble;
    if (said === name.told) return;
    name.told = said;
    const { log } = this.options;
    if (trouble === '') {
      log.info(`${host} is ${said.length > 200 ? `${addresses.length} addresses` : said}`);
      if (addresses.length > DISCOVERY_LIMITS.addressesPerName) {
        log.warn(`${host} has ${addresses.length} addresses: ${DISCOVERY_LIMITS.addressesPerName} are used`);
      }
    } else {
      const kept = name.addresses.length === 0 ? 'none is known' : 'the last ones are kept';
      log.warn(`${host} was not resolved: ${trouble}; ${kept}`);
    }
  }

  /** Claims what all names give, where that has changed. */
  private claim(): void {
    const specs = new Map<string, ServerSpec>();
    const claimed = new Map<string, string>();
    for (const { host, port, spec, hasId } of this.servers) {
      for (const ip of this.names.get(host)?.addresses ?? []) {
        const address = isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
        const id = hasId ? `${spec.id}@${address}` : address;
        const known = specs.get(id);
        const services = [...new Set([...(known?.services ?? []), ...spec.services])];
        specs.set(id, { ...(known ?? spec), id, address, services });
        claimed.set(id, host);
      }
    }
    this.claimed = claimed;
    // Which name they are of is not known: as long as one has not been answered, it may be that one.
    const answered = [...this.names.values()].every(name => name.addresses.length > 0);
    if (answered) this.recovered.clear();
    for (const [id, spec] of this.recovered) if (!specs.has(id)) specs.set(id, spec);
    const { registry } = this.options.mesh;
    const all = [...specs.values()];
    registry.propose({ kind: 'replace', source: 'dns', specs: all }, this.causeOf()).catch(() => {});
  }

  private causeOf(): string {
    return this.names.size === 1 ? `as DNS says of ${[...this.names.keys()][0]}` : 'as DNS says';
  }
}
