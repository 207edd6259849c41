/**
 * One balancer's registry, load table, leases and pools, tied together: the registry decides who is in
 * which pool, the load table how loaded they are, leases what is in flight.
 */
import { ANY_SERVICE, type LoadSample, Outcome, type ServerView } from './core.ts';
import type { PickWitness } from './decision.ts';
import type { Proposal } from './entries.ts';
import { type LeaseOwner, LeaseTable } from './lease.ts';
import { LEASE_LIMITS, MESH_LIMITS, QUEUE_LIMITS } from './limits.ts';
import { type AdoptedLoad, LeaseKind, LoadTable } from './load-table.ts';

import type { OutcomeCounts } from './outcome-counts.ts';

import type { PolicyName } from './policies/policies.ts';

import { Pool } from './pool.ts';
import { Registry } from './registry.ts';
import { isWarm } from './warmup.ts';

export interface PoolSettings {
  /** How much worse than the pool's best a caller's own zone may be and still be taken; >= 1. */
  readonly zoneFactor: number;
  /** Default `least-load`. */
  readonly policy?: PolicyName;
  readonly queue?: QueueSettings;
}

/** How calls wait where a pool's servers are all full. */
export interface QueueSettings {
  /** Most calls that wait; 0: nobody may. */
  readonly size: number;
  /** Longest wait, ms, of calls whose own deadline is later or that have none. */
  readonly maxWaitMs: number;
  /** What becomes of calls while no server takes any. With `wait` there is a pool also before a server names the service. */
  readonly whenDown: 'fail' | 'wait';
}

export interface MeshOptions {
  readonly instanceId: string;
  /** Start of this instance; a later life has a higher one. */
  readonly epoch: number;
  /** Hands a proposal to the log. */
  readonly append: (proposal: Proposal) => void;
  /** Wall clock, ms since 1970. */
  readonly wallClock: () => number;
  /** Monotonic clock, ms: the one that `now` arguments are of. */
  readonly clock: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** How long a lease lives without a word of its caller, ms. Default 10,000. */
  readonly leaseTtlMs?: number;
  /** Settings by service; `*` is for those without an entry. */
  readonly pools?: ReadonlyMap<string, PoolSettings>;
  /** How many balancers pick for these servers, this one included. Default 1. */
  readonly balancers?: number;
  /**
   * Calls that wait may have their turn: `serveWaiting` is to be called once the present turn of events is over,
   * and no call of the core is on the stack. Without it they get their turn at the next tick.
   */
  readonly onRoom?: () => void;
  /** A listener of the registry threw. */
  readonly onError?: (error: unknown) => void;
}

const DEFAULT_POLICY: PolicyName = 'least-load';
const DEFAULT_QUEUE: QueueSettings = {
  size: QUEUE_LIMITS.size,
  maxWaitMs: QUEUE_LIMITS.maxWaitMs,
  whenDown: 'fail',
};
const DEFAULT_POOL: PoolSettings = { zoneFactor: 1.5 };

export class Mesh implements LeaseOwner {
  readonly registry: Registry;
  readonly loads = new LoadTable();
  readonly leases: LeaseTable;
  /** How many balancers pick for these servers: each gives a newcomer the root with probability 1/balancers. */
  balancers: number;
  /** Where calls are counted by what they came to, for rules that judge by it. */
  outcomes: OutcomeCounts | undefined;

  private readonly slots = new Map<string, number>();
  private readonly ids: (string | undefined)[] = [];
  /** By slot: the services that its server names. */
  private readonly named: (readonly string[])[] = [];
  /** How many servers name a service. */
  private readonly namers = new Map<string, number>();
  private readonly byService = new Map<string, Pool>();
  private readonly byId: (Pool | undefined)[] = [];
  private readonly anywhere = new Set<number>();
  private readonly warming = new Set<number>();
  /** Where the walk over them is; it sees those that come and misses those that go. */
  private warmingWalk = this.warming.values();
  private settings: ReadonlyMap<string, PoolSettings>;
  private witness: PickWitness | undefined;
  private lastTick = Number.NaN;
  /** Pools whose waiting calls may have their turn. */
  private readonly roomy = new Set<Pool>();
  /** Services whose pool is kept by the settings. */
  private kept: ReadonlySet<string> = new Set();
  private readonly onRoom: () => void;
  private readonly clock: () => number;
  private readonly random: () => number;

  constructor(options: MeshOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.settings = options.pools ?? new Map();
    this.onRoom = options.onRoom ?? (() => {});
    this.balancers = Math.max(1, options.balancers ?? 1);
    this.leases = new LeaseTable(this, options.leaseTtlMs ?? 10_000);
    this.registry = new Registry({
      instanceId: options.instanceId,
      epoch: options.epoch,
      append: options.append,
      wallClock: options.wallClock,
      ...(options.onError === undefined ? {} : { onError: options.onError }),
    });
    this.registry.onChange((id, before, after) => this.follow(id, before, after));
    this.keepPools();
  }

  /** Who is told of picks that it wants to know of. */
  witnessPicks(witness: PickWitness): void {
    this.witness = witness;
    for (const pool of this.byService.values()) pool.witness = witness;
  }

  /** The monotonic clock that all `now` arguments are of, ms. */
  now(): number {
    return this.clock();
  }

  /** The pool of a service: its own, else that of the servers for any service; undefined where there is none. */
  pool(service: string): Pool | undefined {
    return this.byService.get(service) ?? this.byService.get(ANY_SERVICE);
  }

  pools(): Iterable<Pool> {
    return this.byService.values();
  }

  /** Slot of a server in the load table; −1: no such server. */
  slotOf(id: string): number {
    return this.slots.get(id) ?? -1;
  }

  /** Id of the server in a slot; empty where the slot is free. */
  idOf(slot: number): string {
    return this.ids[slot] ?? '';
  }

  /** A load report came. */
  report(slot: number, sample: LoadSample, now: number): void {
    this.loads.report(slot, sample, now);
  }

  /** Another balancer told what it knows of a server's load. */
  adopt(slot: number, load: AdoptedLoad, now: number): void {
    this.loads.adopt(slot, load, now);
  }

  configurePools(settings: ReadonlyMap<string, PoolSettings>): void {
    this.tellPolicies(this.settings, settings);
    this.settings = settings;
    this.keepPools();
    for (const pool of this.byService.values()) this.configure(pool);
  }

  /** Proposes an event for each entry of the settings that has another policy than before. */
  private tellPolicies(
    before: ReadonlyMap<string, PoolSettings>,
    after: ReadonlyMap<string, PoolSettings>,
  ): void {
    const policyOf = (settings: ReadonlyMap<string, PoolSettings>, service: string): PolicyName =>
      (settings.get(service) ?? settings.get(ANY_SERVICE))?.policy ?? DEFAULT_POLICY;
    for (const service of new Set([ANY_SERVICE, ...before.keys(), ...after.keys()])) {
      const was = policyOf(before, service);
      const policy = policyOf(after, service);
      if (was === policy) continue;
      const cause = `the configuration says ${policy} in place of ${was}`;
      this.registry.propose({ kind: 'policy', service, policy }, cause).catch(() => {});
    }
  }

  /** Gives calls that wait their turn where there may be room; see `onRoom`. */
  serveWaiting(now: number): void {
    for (const pool of this.roomy) {
      this.roomy.delete(pool);
      if (pool.ended) pool.queue.end(now);
      else pool.queue.serve(now);
    }
  }

  /** Calls that wait, in all pools. */
  waiting(): number {
    let waiting = 0;
    for (const pool of this.byService.values()) waiting += pool.queue.size;
    return waiting;
  }

  /** Ages scores, ends leases whose time is up, ends warm-ups. Call it about every 50 ms. */
  tick(now: number): void {
    const elapsed = now - this.lastTick;
    this.lastTick = now;
    this.leases.expire(now, LEASE_LIMITS.expiryLooks);
    if (elapsed > 0) for (const pool of this.byService.values()) pool.sweep(now, elapsed);
    this.serveWaiting(now);
    for (const pool of this.byService.values()) if (pool.queue.size > 0) pool.queue.dropLate(now);
    this.endWarmUps(now);
  }

  /** Ends warm-ups that are over, in parts: a fleet comes together, and is looked at again and again. */
  private endWarmUps(now: number): void {
    let ending: number = MESH_LIMITS.warmUpsEnded;
    for (let looks = Math.min(this.warming.size, MESH_LIMITS.warmUpLooks); looks > 0 && ending > 0; looks--) {
      let next = this.warmingWalk.next();
      if (next.done === true) {
        this.warmingWalk = this.warming.values();
        next = this.warmingWalk.next();
        if (next.done === true) return;
      }
      const slot = next.value;
      const since = now - (this.loads.warmSince[slot] as number);
      const proven = this.loads.provenSince(slot);
      if (!isWarm(proven, since)) continue;
      ending--;
      this.warming.delete(slot);
      this.endWarmUp(this.idOf(slot), proven, since);
    }
  }

  private endWarmUp(id: string, proven: number, sinceMs: number): void {
    const cause = `served ${Math.floor(proven)} calls in ${(sinceMs / 1000).toFixed(1)} s of warm-up`;
    const observation = { phase: 'active', healthy: true } as const;
    // Where it is refused the server is WARMING still, or again, and it is tried again.
    this.registry.propose({ kind: 'observe', id, observation }, cause).catch(() => {
      if (this.registry.get(id)?.state === 'WARMING') this.warming.add(this.slotOf(id));
    });
  }

  leaseEnded(_lease: number, row: number, now: number, outcome: Outcome, latencyMs: number): void {
    if (!this.loads.ended(this.leases, row, now, outcome, latencyMs)) return;
    this.outcomes?.count(this.leases.slotAt(row), outcome, now);
    const pool = this.byId[this.leases.poolAt(row)];
    if (pool === undefined) return;
    if (outcome === Outcome.SUCCESS) pool.served(latencyMs);
    if (pool.policy !== undefined) pool.tellPolicy(this.leases.slotAt(row), now, outcome, latencyMs);
  }

  /**
   * A relayed call carries nothing any more, or does so again: an open stream without messages is no load, and
   * counts only against its server's limit. What is not open or not relayed changes nothing.
   */
  rest(lease: number, rests: boolean, now: number): void {
    const { leases } = this;
    const row = leases.rowOf(lease);
    if (row < 0 || leases.kindAt(row) !== (rests ? LeaseKind.RELAYED : LeaseKind.RESTING)) return;
    if (!this.loads.setResting(leases, row, rests, now)) return;
    leases.setKind(row, rests ? LeaseKind.RESTING : LeaseKind.RELAYED);
  }

  private readonly room = (pool: Pool): void => {
    const told = this.roomy.size > 0;
    this.roomy.add(pool);
    if (!told) this.onRoom();
  };

  private follow(id: string, before: ServerView | undefined, after: ServerView | undefined): void {
    const now = this.clock();
    let slot = this.slotOf(id);
    if (after === undefined) {
      if (slot >= 0) this.forget(id, slot);
      return;
    }
    const { spec } = after;
    if (slot < 0) {
      slot = this.loads.allocate(spec.weight, spec.maxConcurrency);
      this.slots.set(id, slot);
      this.ids[slot] = id;
    }
    this.loads.describe(slot, spec.weight, spec.maxConcurrency);
    // Another process under the same name: a pod that came back elsewhere.
    if (before !== undefined && before.spec.address !== spec.address) this.loads.restart(slot);
    const warms = after.state === 'WARMING';
    const begins = warms && before?.state !== 'WARMING';
    if (begins) this.loads.warmUp(slot, now);
    if (warms) this.warming.add(slot);
    else this.warming.delete(slot);
    // Drawn once a newcomer and for all its pools: B balancers must not all send it their first call.
    const newcomer = begins && this.random() * this.balancers < 1;
    this.enroll(slot, after, begins ? newcomer : undefined, now);
  }

  /** Puts a server into the pools that its services name, and out of all others. */
  private enroll(slot: number, view: ServerView, newcomer: boolean | undefined, now: number): void {
    const services = view.spec.services;
    const left = this.named[slot] ?? [];
    this.named[slot] = services;
    // What it names now is counted before what it named before, so that no pool ends in between.
    for (const service of services) this.open(service, now);
    const any = services.includes(ANY_SERVICE);
    if (any) this.anywhere.add(slot);
    else if (this.anywhere.delete(slot)) {
      for (const pool of this.byService.values()) if (!services.includes(pool.service)) pool.remove(slot);
    }
    for (const service of left) {
      if (!any && !services.includes(service)) this.byService.get(service)?.remove(slot);
      this.close(service);
    }
    for (const pool of any ? this.byService.values() : services.map(service => this.byService.get(service))) {
      if (pool?.has(slot)) pool.change(slot, view, newcomer, now);
      else pool?.add(slot, view, newcomer ?? false, now);
    }
  }

  /** One more server names a service. */
  private open(service: string, now: number): void {
    const count = this.namers.get(service) ?? 0;
    this.namers.set(service, count + 1);
    if (count > 0) return;
    const ended = this.byId.indexOf(undefined);
    const pool = new Pool(service, ended < 0 ? this.byId.length : ended, this.loads, this.leases, this.room);
    this.byId[pool.id] = pool;
    this.byService.set(service, pool);
    pool.witness = this.witness;
    this.configure(pool);
    if (service === ANY_SERVICE) return;
    for (const slot of this.anywhere) {
      const view = this.registry.get(this.idOf(slot));
      if (view !== undefined) pool.add(slot, view, false, now);
    }
  }

  /** One server less names a service; a pool that nobody names ends, whoever serves everything. */
  private close(service: string): void {
    const count = (this.namers.get(service) ?? 0) - 1;
    if (count > 0) {
      this.namers.set(service, count);
      return;
    }
    this.namers.delete(service);
    const pool = this.byService.get(service);
    if (pool === undefined) return;
    for (const slot of [...pool.members()]) pool.remove(slot);
    this.byService.delete(service);
    this.byId[pool.id] = undefined;
    pool.ended = true;
    if (pool.queue.size > 0) this.room(pool);
  }

  /** Opens the pools that the settings keep, and lets go of those that they keep no more. */
  private keepPools(): void {
    const before = this.kept;
    const kept = new Set<string>();
    for (const [service, { queue }] of this.settings) if (queue?.whenDown === 'wait') kept.add(service);
    this.kept = kept;
    for (const service of kept) if (!before.has(service)) this.open(service, this.clock());
    for (const service of before) if (!kept.has(service)) this.close(service);
  }

  private forget(id: string, slot: number): void {
    this.warming.delete(slot);
    for (const member of [...this.loads.membersOf(slot)]) member.pool.remove(slot);
    this.anywhere.delete(slot);
    for (const service of this.named[slot] ?? []) this.close(service);
    this.named[slot] = [];
    this.loads.release(slot);
    this.slots.delete(id);
    this.ids[slot] = undefined;
  }

  private configure(pool: Pool): void {
    const settings = this.settings.get(pool.service) ?? this.settings.get(ANY_SERVICE) ?? DEFAULT_POOL;
    pool.zoneFactor = settings.zoneFactor;
    pool.usePolicy(settings.policy ?? DEFAULT_POLICY, this.random, this.clock());
    const { size, maxWaitMs, whenDown } = settings.queue ?? DEFAULT_QUEUE;
    pool.queue.limit = size;
    pool.queue.maxWaitMs = maxWaitMs;
    pool.queue.waitsWhenDown = whenDown === 'wait';
  }
}
