/**
 * A pool: the servers of one service in the order of their scores. One heap a zone; the pool's root is
 * the least of their roots. Picks, completions, reports and time move the scores; nothing here decides
 * about membership, which comes from the registry.
 */
import { type Outcome, PickFailure, type ServerView } from './core.ts';
import { bestOf, type PickWitness, wantInWords } from './decision.ts';
import type { LeaseTable } from './lease.ts';
import { POOL_LIMITS } from './limits.ts';
import { type LeaseKind, type LoadTable, PICK_AGE_SAMPLE, type RowListener } from './load-table.ts';
import { PanicLevel } from './panic.ts';
import { choose, chooseCapped, type PickWant } from './pick.ts';
import { Candidates } from './policies/candidates.ts';
import { makePolicy, type PolicyName } from './policies/policies.ts';
import type { Policy } from './policies/policy.ts';
import { PoolMembers } from './pool-members.ts';
import { PoolScores, sweepRoundMs } from './pool-scores.ts';
import { type HeapView, heapView, verifyPool } from './pool-view.ts';
import { type Expectation, WaitQueue } from './wait-queue.ts';
import { warmupCap } from './warmup.ts';
import type { Zone } from './zone.ts';

export type { PickWant } from './pick.ts';
export type { PoolCounts } from './pool-members.ts';
export type { HeapNodeView } from './pool-view.ts';

const NO_WISH: PickWant = {};

/** Flags of a member; 0 is the common case of a warm server without a limit. */
const LIMITED = 1;
const WARMING = 2;
/** Warming and before its first proof: root by rule. */
const NEWCOMER = 4;
/** Not eligible: STANDBY, DRAINING or EJECTED. */
const OUT = 8;

export class Pool extends PoolMembers implements RowListener {
  readonly service: string;
  /** Index among the pools of its mesh: what a lease remembers. */
  readonly id: number;
  readonly scores: PoolScores;
  /** Calls that wait for one of its servers. */
  readonly queue = new WaitQueue();
  /** It has ended with its last server; another may have begun in its place. */
  ended = false;
  /** How much worse than the pool's best a caller's own zone may be and still be taken. */
  zoneFactor = 1.5;
  /** How far health is ignored. */
  panicLevel: PanicLevel = PanicLevel.CALM;
  policyName: PolicyName = 'least-load';
  /** Absent where the root of the heap is taken. */
  policy: Policy | undefined;
  readonly candidates = new Candidates(this);
  /** Told of picks that it wants to know of. */
  witness: PickWitness | undefined;

  /** Picks that gave a lease, and those of them that took another server than the one before. */
  picks = 0;
  rootChanges = 0;
  private lastPicked = -1;

  /** By member. */
  private flags = new Uint8Array(0);
  private cursor = 0;
  private credit = 0;
  /** The latest time that was told, ms. */
  private clock = Number.NEGATIVE_INFINITY;
  /** The longest report interval of the sweep's present round, ms. */
  private swept = 0;

  /** Of the ejected, who is picked from all the same. */
  private admitted: ((slot: number) => boolean) | undefined;

  readonly loads: LoadTable;
  private readonly leases: LeaseTable;
  /** Told where calls that wait should look again: a member may have room, or no member is left. */
  private readonly lookAgain: (pool: Pool) => void;
  /** Calls that the members take at once, as of `slotsVersion`. */
  private slotsSum = 0;
  private slotsVersion = -1;

  constructor(
    service: string,
    id: number,
    loads: LoadTable,
    leases: LeaseTable,
    lookAgain: (pool: Pool) => void = () => {},
  ) {
    super();
    this.lookAgain = lookAgain;
    this.service = service;
    this.id = id;
    this.loads = loads;
    this.leases = leases;
    this.scores = new PoolScores(loads);
  }

  /** A server comes into the pool. `newcomer`: it stands at the root until its first proof. */
  add(slot: number, view: ServerView, newcomer: boolean, now: number): void {
    const member = this.enrol(slot, view);
    this.loads.join(slot, this, member);
    this.clock = Math.max(this.clock, now);
    this.flags[member] = flagsOf(view, newcomer, this.admits(slot));
    this.scores.enter(member, slot, !this.isOut(member), now);
    this.policy?.entered?.(member, slot, now);
    this.place(member);
  }

  /**
   * State or properties of a member changed; weight and limit are in its row already. `newcomer` is
   * undefined where no warm-up begins: it stays what it was.
   */
  change(slot: number, view: ServerView, newcomer: boolean | undefined, now: number): void {
    const member = this.memberAt(slot);
    if (member < 0) return;
    this.follow(member, view);
    this.clock = Math.max(this.clock, now);
    const flags = this.flags[member] as number;
    this.flags[member] = flagsOf(view, newcomer ?? (flags & NEWCOMER) !== 0, this.admits(slot));
    this.scores.refresh(member, slot, !this.isOut(member), now);
    // It was away and is back: for a policy that is a new life.
    if (newcomer !== undefined) this.policy?.entered?.(member, slot, now);
    this.place(member);
    if (this.queue.size > 0 && this.isDown) this.lookAgain(this);
  }

  remove(slot: number): void {
    const member = this.memberAt(slot);
    if (member < 0) return;
    this.scores.leave(member);
    this.loads.leave(slot, this);
    this.dismiss(member);
    this.flags[member] = OUT;
    if (this.queue.size > 0 && this.isDown) this.lookAgain(this);
  }

  /**
   * Chooses the server for a call that begins now and opens its lease.
   * @param now monotonic clock, ms
   * @param asker what it is for: goes to the witness of the pick, and is not looked at here
   * @returns the lease's handle (>= 0), or a `PickFailure` (< 0)
   */
  pick(now: number, kind: LeaseKind, want?: PickWant, asker?: object): number {
    if (now > this.clock) this.clock = now;
    if (want === undefined && this.policy === undefined && this.witness === undefined) {
      const zone = this.only ?? this.bestZone();
      const member = zone === undefined ? -1 : zone.order.peek();
      if (member >= 0) return this.take(member, now, kind);
    }
    return this.pickOther(now, kind, want, asker);
  }

  /**
   * Ignores health, or heeds it again (see `panic.ts`).
   * @param admits of an ejected server, whether it is picked from all the same; undefined: none is
   * @param views of the members, by slot
   */
  panic(
    level: PanicLevel,
    admits: ((slot: number) => boolean) | undefined,
    views: (slot: number) => ServerView | undefined,
    now: number,
  ): void {
    this.panicLevel = level;
    this.admitted = admits;
    for (const slot of this.members()) {
      const view = views(slot);
      if (view?.state === 'EJECTED') this.change(slot, view, undefined, now);
    }
  }

  /** Whether a server may be picked as far as its state and panic go. */
  picksFrom(slot: number): boolean {
    const member = this.memberAt(slot);
    return member >= 0 && !this.isOut(member);
  }

  private admits(slot: number): boolean {
    return this.admitted?.(slot) ?? false;
  }

  /**
   * Chooses by another policy from now on. Scores, counts and what the load table knows stay; what a policy
   * keeps for itself begins anew.
   */
  usePolicy(name: PolicyName, random: () => number, now: number): void {
    if (name === this.policyName) return;
    this.policyName = name;
    const policy = makePolicy(name, this.loads, random);
    for (const slot of this.members()) policy?.entered?.(this.memberAt(slot), slot, now);
    this.policy = policy;
  }

  /** A call of this pool ended, and its policy wants to know. */
  tellPolicy(slot: number, now: number, outcome: Outcome, latencyMs: number): void {
    const member = this.memberAt(slot);
    if (member >= 0) this.policy?.ended?.(member, now, outcome, latencyMs);
  }

  /** A lease of this pool was completed; its row is updated already. */
  served(latencyMs: number): void {
    this.scores.served(latencyMs);
    if (this.queue.size > 0) this.queue.learn(latencyMs);
  }

  /** No server takes calls. */
  get isDown(): boolean {
    return this.eligible === 0 && this.panicLevel === PanicLevel.CALM;
  }

  /** Whether a call may wait, or wait on, for what a pick has failed by. */
  mayWait(failure: PickFailure): boolean {
    if (this.queue.limit === 0 || this.ended || failure === PickFailure.EXCLUDED) return false;
    return failure === PickFailure.ALL_FULL || this.queue.waitsWhenDown;
  }

  /** What a call that comes to wait can expect; undefined where no server takes calls. */
  expectation(): Expectation | undefined {
    if (this.eligible === 0) return undefined;
    if (this.slotsVersion !== this.version) {
      this.slotsVersion = this.version;
      this.slotsSum = 0;
      for (const slot of this.members()) {
        if (!this.isOut(this.memberAt(slot)))
          this.slotsSum += Math.max(1, this.loads.maxConcurrency[slot] as number);
      }
    }
    return { slots: this.slotsSum, residenceMs: this.scores.residence() };
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
    this.scores.refresh(member, slot, !this.isOut(member), now);
    this.policy?.reported?.(member, slot, now);
    this.rekey(member);
  }

  /** The failure term of a member changed. `failed`: by a failure, which ends a newcomer's place at the root. */
  failureChanged(member: number, now: number, failed: boolean): void {
    this.scores.punish(member, this.slots[member] as number, now);
    if (failed) this.flags[member] = (this.flags[member] as number) & ~NEWCOMER;
  }

  /**
   * Computes the scores of the next members anew; all of them once a round of max(100 ms, T/4), or as
   * fast as `POOL_LIMITS.sweepMembers` lets it, in parts that never hold a call up.
   * @param elapsedMs time since the last call
   */
  sweep(now: number, elapsedMs: number): void {
    if (now > this.clock) this.clock = now;
    if (this.top === 0) return;
    const roundMs = sweepRoundMs(this.intervalMs());
    this.credit = Math.min(this.top, this.credit + (this.top * elapsedMs) / roundMs);
    let left = Math.min(POOL_LIMITS.sweepMembers, Math.floor(this.credit));
    this.credit -= left;
    for (; left > 0; left--) {
      const member = this.cursor;
      const slot = this.slots[member] as number;
      if (slot >= 0) {
        const eligible = !this.isOut(member);
        this.scores.refresh(member, slot, eligible, now);
        if (eligible) {
          this.scores.count(slot, now);
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
  heap(now: number, zoneName = '', most?: number): HeapView {
    return heapView(this, now, zoneName, most);
  }

  /** Score of a member, for people; NaN where the server is not in the pool. */
  scoreOf(slot: number): number {
    const member = this.memberAt(slot);
    return member < 0 ? Number.NaN : this.scores.seconds(this.keyOf(member));
  }

  /** The key that a member's score gives it, whatever rule it stands by. */
  keyOf(member: number): number {
    return this.scores.key(member, this.loads.own(this.slots[member] as number));
  }

  /** The key that a member had before its last call was picked. */
  keyBefore(member: number): number {
    return this.scores.key(member, Math.max(0, this.loads.own(this.slots[member] as number) - 1));
  }

  /** Calls in flight on a member: own ones and the estimate of the others'. */
  inFlight(member: number): number {
    return this.loads.own(this.slots[member] as number) + Math.max(0, this.scores.othersOf(member));
  }

  /** True where a member could take one more call by its own limit. */
  hasRoom(member: number): boolean {
    const limit = this.loads.maxConcurrency[this.slots[member] as number] as number;
    if (limit === 0) return true;
    // Streams that rest are no load, but the server has them open.
    const resting = this.loads.resting(this.slots[member] as number);
    return Math.round(this.inFlight(member)) + resting < limit;
  }

  isOut(member: number): boolean {
    return ((this.flags[member] as number) & OUT) !== 0;
  }

  weightOf(member: number): number {
    return this.loads.weight[this.slots[member] as number] as number;
  }

  /** Checks every structure against the others; throws with what is wrong. For tests. */
  verify(): void {
    verifyPool(this);
  }

  protected override grow(size: number): void {
    super.grow(size);
    const flags = new Uint8Array(size).fill(OUT);
    flags.set(this.flags);
    this.flags = flags;
    this.scores.grow(size);
  }

  private pickOther(
    now: number,
    kind: LeaseKind,
    want: PickWant | undefined,
    asker: object | undefined,
  ): number {
    if (this.witness?.wants(asker)) return this.pickWitnessed(this.witness, now, kind, want, asker);
    return this.pickBy(now, kind, want);
  }

  private pickWitnessed(
    witness: PickWitness,
    now: number,
    kind: LeaseKind,
    want: PickWant | undefined,
    asker: object | undefined,
  ): number {
    const best = bestOf(this, now, witness.idOf);
    const lease = this.pickBy(now, kind, want);
    const { service, policyName: policy, eligible, size: members } = this;
    const slot = lease < 0 ? -1 : this.leases.slotOf(lease);
    const decision = { service, lease, policy, want: wantInWords(want), members, eligible, best };
    witness.witness(decision, slot, asker);
    return lease;
  }

  private pickBy(now: number, kind: LeaseKind, want: PickWant | undefined): number {
    let chosen: number;
    if (want === undefined && this.policy === undefined) {
      const zone = this.only ?? this.bestZone();
      const member = zone === undefined ? -1 : zone.order.peek();
      if (member >= 0) return this.take(member, now, kind);
    }
    if (want !== undefined) chosen = choose(this, want, now);
    else if (this.policy !== undefined) chosen = choose(this, NO_WISH, now);
    else chosen = chooseCapped(this);
    return chosen < 0 ? chosen : this.take(chosen, now, kind);
  }

  private take(member: number, now: number, kind: LeaseKind): number {
    const loads = this.loads;
    const slot = this.slots[member] as number;
    const lease = this.leases.begin(loads, slot, this.id, kind, now);
    this.picks++;
    if (member !== this.lastPicked) {
      this.lastPicked = member;
      this.rootChanges++;
    }
    if ((lease & (PICK_AGE_SAMPLE - 1)) === 0) loads.countPickAge(slot, now);
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

  /** Puts a member where its flags and counts say: into the order, among the capped, or out. */
  private place(member: number): void {
    const slot = this.slots[member] as number;
    const zone = this.zoneOf[member] as Zone;
    const flags = this.flags[member] as number;
    if ((flags & OUT) !== 0 || ((flags & LIMITED) !== 0 && !this.hasRoom(member))) {
      zone.drop(member);
      return;
    }
    if (this.queue.size > 0 && !this.queue.serving) this.lookAgain(this);
    const own = this.loads.own(slot);
    this.scores.keyInto(zone.order.key, member, own);
    if ((flags & WARMING) !== 0) {
      const proven = this.loads.provenSince(slot);
      if (proven > 0) this.flags[member] = flags & ~NEWCOMER;
      const elapsed = this.clock - (this.loads.warmSince[slot] as number);
      const fair = this.hasWarm
        ? this.scores.ownPerWeight * (this.loads.weight[slot] as number)
        : Number.POSITIVE_INFINITY;
      if (own >= warmupCap(proven, elapsed, fair)) {
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
}

/** @param admitted it is picked from although it is ejected */
function flagsOf(view: ServerView, newcomer: boolean, admitted: boolean): number {
  let flags = 0;
  if (view.state === 'WARMING') flags = newcomer ? WARMING | NEWCOMER : WARMING;
  else if (view.state === 'EJECTED') flags = admitted ? 0 : OUT;
  else if (view.state !== 'ACTIVE') flags = OUT;
  return view.spec.maxConcurrency > 0 ? flags | LIMITED : flags;
}
