/**
 * A pool: the servers of one service in the order of their scores. One heap a zone; the pool's root is
 * the least of their roots. Picks, completions, reports and time move the scores; nothing here decides
 * about membership, which comes from the registry.
 */
import { PickFailure, type ServerState, type ServerView } from './core.ts';
import { IndexedHeap } from './heap.ts';
import type { LeaseTable } from './lease.ts';
import { POOL_LIMITS } from './limits.ts';
import type { LeaseKind, LoadTable, RowListener } from './load-table.ts';
import { chooseHashed, chooseWanted, type PickWant } from './pick.ts';
import { PoolScores } from './pool-scores.ts';
import { hashString } from './rendezvous.ts';
import { warmupCap } from './warmup.ts';
import { Zone } from './zone.ts';

export type { PickWant } from './pick.ts';

/** Flags of a member; 0 is the common case of a warm server without a limit. */
const LIMITED = 1;
const WARMING = 2;
/** Warming and before its first proof: root by rule. */
const NEWCOMER = 4;
/** Not eligible: STANDBY, DRAINING or EJECTED. */
const OUT = 8;

const STATES: readonly ServerState[] = ['STANDBY', 'WARMING', 'ACTIVE', 'DRAINING', 'EJECTED'];

export interface PoolCounts {
  standby: number;
  warming: number;
  active: number;
  draining: number;
  ejected: number;
}

export interface HeapNodeView {
  readonly slot: number;
  /** Seconds of expected wait; what the key would be without the root rule. */
  readonly score: number;
  readonly newcomer: boolean;
  readonly terms: Record<string, number>;
}

export class Pool implements RowListener {
  readonly service: string;
  /** Index among the pools of its mesh: what a lease remembers. */
  readonly id: number;
  readonly scores: PoolScores;
  /** Grows whenever members or their states change. */
  version = 0;
  /** How much worse than the pool's best a caller's own zone may be and still be taken. */
  zoneFactor = 1.5;

  // By member.
  slots = new Int32Array(0);
  hashes = new Uint32Array(0);
  private flags = new Uint8Array(0);
  private states = new Uint8Array(0);
  private zoneOf: Zone[] = [];

  private readonly memberOf = new Map<number, number>();
  private readonly freeMembers: number[] = [];
  private readonly byState = [0, 0, 0, 0, 0];
  private readonly zoneByName = new Map<string, Zone>();
  readonly zones: Zone[] = [];
  private only: Zone | undefined;
  private top = 0;
  private cursor = 0;
  private credit = 0;
  private clock = 0;
  private swept = 0;

  private readonly loads: LoadTable;
  private readonly leases: LeaseTable;

  constructor(service: string, id: number, loads: LoadTable, leases: LeaseTable) {
    this.service = service;
    this.id = id;
    this.loads = loads;
    this.leases = leases;
    this.scores = new PoolScores(loads);
  }

  get size(): number {
    return this.memberOf.size;
  }

  /** Servers that may be picked as far as their state goes. */
  get eligible(): number {
    return (this.byState[1] as number) + (this.byState[2] as number);
  }

  counts(): PoolCounts {
    const [standby = 0, warming = 0, active = 0, draining = 0, ejected = 0] = this.byState;
    return { standby, warming, active, draining, ejected };
  }

  has(slot: number): boolean {
    return this.memberOf.has(slot);
  }

  /** Slots of all members, in no order. */
  members(): Iterable<number> {
    return this.memberOf.keys();
  }

  /** A server comes into the pool. `newcomer`: it stands at the root until its first proof. */
  add(slot: number, view: ServerView, newcomer: boolean, now: number): void {
    const member = this.freeMembers.pop() ?? this.top++;
    if (member >= this.slots.length) this.grow();
    this.memberOf.set(slot, member);
    this.slots[member] = slot;
    this.hashes[member] = hashString(view.spec.id);
    this.flags[member] = OUT;
    this.zoneOf[member] = this.zone(view.spec.zone);
    this.states[member] = STATES.indexOf(view.state);
    this.tally(member, 1);
    this.loads.join(slot, this, member);
    this.scores.enter(member, slot, now);
    this.clock = Math.max(this.clock, now);
    this.setFlags(member, view, newcomer);
    this.version++;
  }

  /**
   * State or properties of a member changed; weight and limit are in its row already. `newcomer` is
   * undefined where no warm-up begins: it stays what it was.
   */
  change(slot: number, view: ServerView, newcomer: boolean | undefined, now: number): void {
    const member = this.memberOf.get(slot);
    if (member === undefined) return;
    this.tally(member, -1);
    this.states[member] = STATES.indexOf(view.state);
    this.tally(member, 1);
    this.clock = Math.max(this.clock, now);
    const from = this.zoneOf[member] as Zone;
    if (from.name !== view.spec.zone) {
      from.forget(member);
      from.members--;
      this.zoneOf[member] = this.zone(view.spec.zone);
      this.dropIfEmpty(from);
    }
    this.scores.refresh(member, slot, now);
    this.setFlags(member, view, newcomer ?? ((this.flags[member] as number) & NEWCOMER) !== 0);
    this.version++;
  }

  remove(slot: number): void {
    const member = this.memberOf.get(slot);
    if (member === undefined) return;
    this.tally(member, -1);
    const zone = this.zoneOf[member] as Zone;
    zone.forget(member);
    zone.members--;
    this.scores.leave(member);
    this.loads.leave(slot, this);
    this.memberOf.delete(slot);
    this.slots[member] = -1;
    this.flags[member] = OUT;
    this.freeMembers.push(member);
    this.dropIfEmpty(zone);
    this.version++;
  }

  /**
   * Chooses the server for a call that begins now and opens its lease.
   * @param now monotonic clock, ms
   * @returns the lease's handle (>= 0), or a `PickFailure` (< 0)
   */
  pick(now: number, kind: LeaseKind, want?: PickWant): number {
    if (now > this.clock) this.clock = now;
    if (want !== undefined) return this.pickWanted(now, kind, want);
    const zone = this.only ?? this.bestZone();
    const member = zone === undefined ? -1 : zone.order.peek();
    if (member < 0) return this.pickCapped(now, kind);
    return this.take(member, now, kind);
  }

  /** A lease of this pool was completed; its row is updated already. */
  served(latencyMs: number): void {
    this.scores.served(latencyMs);
  }

  rekey(member: number): void {
    if (this.flags[member] === 0) {
      const { order } = this.only ?? (this.zoneOf[member] as Zone);
      this.scores.keyInto(order.key, member, this.loads.own(this.slots[member] as number));
      order.rekey(member);
    } else {
      this.place(member);
    }
  }

  reported(member: number, now: number): void {
    if (now > this.clock) this.clock = now;
    const slot = this.slots[member] as number;
    this.scores.toldOf(slot);
    this.scores.refresh(member, slot, now);
    this.rekey(member);
  }

  /** The failure term of a member changed. `failed`: by a failure, which ends a newcomer's place at the root. */
  failureChanged(member: number, now: number, failed: boolean): void {
    this.scores.punish(member, this.slots[member] as number, now);
    if (failed) this.flags[member] = (this.flags[member] as number) & ~NEWCOMER;
  }

  /**
   * Computes the scores of the next members anew; all of them once a round of max(100 ms, T/4), in
   * parts that never hold a call up. `elapsedMs` is the time since the last call.
   */
  sweep(now: number, elapsedMs: number): void {
    if (now > this.clock) this.clock = now;
    if (this.top === 0) return;
    const roundMs = Math.max(POOL_LIMITS.sweepFloorMs, this.intervalMs() / 4);
    this.credit = Math.min(this.top, this.credit + (this.top * elapsedMs) / roundMs);
    let left = Math.min(POOL_LIMITS.sweepMembers, Math.floor(this.credit));
    this.credit -= left;
    for (; left > 0; left--) {
      const member = this.cursor;
      const slot = this.slots[member] as number;
      if (slot >= 0) {
        this.scores.refresh(member, slot, now);
        if (((this.flags[member] as number) & OUT) === 0) {
          this.scores.count(member, slot, now);
          this.rekey(member);
        }
        this.swept = Math.max(this.swept, this.loads.intervalMs[slot] as number);
      }
      if (++this.cursor >= this.top) {
        this.cursor = 0;
        this.scores.endRound();
      }
    }
  }

  /** The heap of a zone in array order; without a zone the one whose root is the pool's. */
  heap(now: number, zoneName?: string): { zone: string; arity: number; nodes: HeapNodeView[] } {
    const zone =
      zoneName !== undefined && zoneName !== ''
        ? this.zoneByName.get(zoneName)
        : (this.only ?? this.bestZone() ?? this.zones[0]);
    const nodes: HeapNodeView[] = [];
    if (zone === undefined) return { zone: zoneName ?? '', arity: 0, nodes };
    for (let position = 0; position < zone.order.size; position++) {
      const member = zone.order.itemAt(position);
      const slot = this.slots[member] as number;
      nodes.push({
        slot,
        score: this.scores.seconds(this.scores.key(member, this.loads.own(slot))),
        newcomer: zone.order.isRootByRule(member),
        terms: this.scores.terms(member, slot, now),
      });
    }
    return { zone: zone.name, arity: IndexedHeap.ARITY, nodes };
  }

  /** Score of a member, for people; NaN where the server is not in the pool. */
  scoreOf(slot: number): number {
    const member = this.memberOf.get(slot);
    if (member === undefined) return Number.NaN;
    return this.scores.seconds(this.scores.key(member, this.loads.own(slot)));
  }

  /** Calls in flight on a member: own ones and the estimate of the others'. */
  inFlight(member: number): number {
    return this.loads.own(this.slots[member] as number) + Math.max(0, this.scores.othersOf(member));
  }

  /** True where a member could take one more call by its own limit. */
  hasRoom(member: number): boolean {
    const limit = this.loads.maxConcurrency[this.slots[member] as number] as number;
    return limit === 0 || Math.round(this.inFlight(member)) < limit;
  }

  isOut(member: number): boolean {
    return ((this.flags[member] as number) & OUT) !== 0;
  }

  /** True where a member stands in the order. */
  isPlaced(member: number): boolean {
    return (this.zoneOf[member] as Zone).order.has(member);
  }

  weightOf(member: number): number {
    return this.loads.weight[this.slots[member] as number] as number;
  }

  zoneNamed(name: string): Zone | undefined {
    return this.zoneByName.get(name);
  }

  /** Checks every structure against the others; throws with what is wrong. For tests. */
  verify(): void {
    for (const zone of this.zones) zone.verify();
    for (const [slot, member] of this.memberOf) {
      const zone = this.zoneOf[member] as Zone;
      const where = `pool ${this.service}, slot ${slot}`;
      if (this.slots[member] !== slot) throw new Error(`${where}: member ${member} has another slot`);
      const placed = Number(zone.order.has(member)) + Number(zone.capped.has(member));
      if (this.isOut(member) && placed !== 0) throw new Error(`${where}: not eligible, yet in a heap`);
      if (!this.isOut(member) && this.hasRoom(member) !== (placed === 1)) {
        throw new Error(`${where}: has room ${this.hasRoom(member)}, placed ${placed} times`);
      }
      const key = zone.order.keyOf(member);
      const score = this.scores.key(member, this.loads.own(slot));
      if (zone.order.has(member) && !zone.order.isRootByRule(member) && key !== score) {
        throw new Error(`${where}: key ${key}, score ${score}`);
      }
    }
  }

  private take(member: number, now: number, kind: LeaseKind): number {
    const loads = this.loads;
    const slot = this.slots[member] as number;
    const lease = this.leases.begin(loads, slot, this.id, kind, now);
    const { order, capped } = this.only ?? (this.zoneOf[member] as Zone);
    if (this.flags[member] === 0) {
      this.scores.keyInto(order.key, member, loads.own(slot));
      order.rekeyPicked(member);
    } else {
      if (!order.touch(member)) capped.touch(member);
      this.place(member);
    }
    if (loads.isShared(slot)) this.tellOthers(slot);
    return lease;
  }

  private tellOthers(slot: number): void {
    const members = this.loads.membersOf(slot);
    for (let i = 0; i < members.length; i++) {
      const other = members[i] as (typeof members)[number];
      if (other.pool !== this) other.pool.rekey(other.member);
    }
  }

  private pickWanted(now: number, kind: LeaseKind, want: PickWant): number {
    let member = -1;
    if (want.hashKey !== undefined && want.hashKey !== '') member = chooseHashed(this, want);
    if (member < 0) member = chooseWanted(this, want, false);
    if (member < 0) member = chooseWanted(this, want, true);
    if (member >= 0) return this.take(member, now, kind);
    const failure = this.failure();
    if (failure !== PickFailure.ALL_FULL || want.exclude === undefined) return failure;
    for (const [slot, one] of this.memberOf) {
      if (want.exclude.includes(slot) && !this.isOut(one) && this.hasRoom(one)) return PickFailure.EXCLUDED;
    }
    return failure;
  }

  /** Where all that could be picked are warming and at their cap, caps are ignored: never no answer. */
  private pickCapped(now: number, kind: LeaseKind): number {
    let best = -1;
    let key = Number.POSITIVE_INFINITY;
    for (const zone of this.zones) {
      if (zone.capped.size > 0 && (best < 0 || zone.capped.peekKey() < key)) {
        best = zone.capped.peek();
        key = zone.capped.peekKey();
      }
    }
    return best >= 0 ? this.take(best, now, kind) : this.failure();
  }

  private failure(): PickFailure {
    if (this.memberOf.size === 0) return PickFailure.EMPTY;
    return this.eligible === 0 ? PickFailure.NONE_HEALTHY : PickFailure.ALL_FULL;
  }

  private bestZone(): Zone | undefined {
    let best: Zone | undefined;
    let key = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.zones.length; i++) {
      const zone = this.zones[i] as Zone;
      if (zone.order.size > 0 && (best === undefined || zone.order.peekKey() < key)) {
        best = zone;
        key = zone.order.peekKey();
      }
    }
    return best;
  }

  private tally(member: number, by: number): void {
    const state = this.states[member] as number;
    this.byState[state] = (this.byState[state] as number) + by;
  }

  private setFlags(member: number, view: ServerView, newcomer: boolean): void {
    let flags = 0;
    if (view.state === 'WARMING') flags = newcomer ? WARMING | NEWCOMER : WARMING;
    else if (view.state !== 'ACTIVE') flags = OUT;
    if (view.spec.maxConcurrency > 0) flags |= LIMITED;
    this.flags[member] = flags;
    this.place(member);
  }

  /** Puts a member where its flags and counts say: into the order, among the capped, or out. */
  private place(member: number): void {
    const slot = this.slots[member] as number;
    const zone = this.zoneOf[member] as Zone;
    const flags = this.flags[member] as number;
    if ((flags & OUT) !== 0 || ((flags & LIMITED) !== 0 && !this.hasRoom(member))) {
      zone.drop(member);
      return;
    }
    const own = this.loads.own(slot);
    this.scores.keyInto(zone.order.key, member, own);
    if ((flags & WARMING) !== 0) {
      const proven = this.loads.provenSince(slot);
      if (proven > 0) this.flags[member] = flags & ~NEWCOMER;
      const elapsed = this.clock - (this.loads.warmSince[slot] as number);
      if (own >= warmupCap(proven, elapsed, this.scores.meanOwn)) {
        zone.cap(member);
        return;
      }
      if (proven === 0 && (flags & NEWCOMER) !== 0) {
        zone.enthrone(member);
        return;
      }
    }
    zone.keep(member);
  }

  private intervalMs(): number {
    const interval = this.swept;
    if (this.cursor === 0) this.swept = 0;
    return interval;
  }

  private zone(name: string): Zone {
    let zone = this.zoneByName.get(name);
    if (zone === undefined) {
      zone = new Zone(name);
      this.zoneByName.set(name, zone);
      this.zones.push(zone);
      this.only = this.zones.length === 1 ? zone : undefined;
    }
    zone.members++;
    return zone;
  }

  private dropIfEmpty(zone: Zone): void {
    if (zone.members > 0) return;
    this.zoneByName.delete(zone.name);
    this.zones.splice(this.zones.indexOf(zone), 1);
    this.only = this.zones.length === 1 ? this.zones[0] : undefined;
  }

  private grow(): void {
    const size = Math.max(16, this.slots.length * 2);
    const slots = new Int32Array(size).fill(-1);
    slots.set(this.slots);
    this.slots = slots;
    const hashes = new Uint32Array(size);
    hashes.set(this.hashes);
    this.hashes = hashes;
    const flags = new Uint8Array(size).fill(OUT);
    flags.set(this.flags);
    this.flags = flags;
    const states = new Uint8Array(size);
    states.set(this.states);
    this.states = states;
    this.scores.grow(size);
  }
}
