/**
 * Outlier detection: who fails calls that its neighbours serve is out for a while (gRFC A50, "gRPC xDS
 * Outlier Detection Support"; Envoy's consecutive failures besides).
 *
 *   each sweep   success rate        rate < mean − factor · σ over those with enough calls
 *                failure percentage  share of failed calls above a threshold
 *   at once      consecutive         so many failures in a row
 *                left alone          fewer in a row, and no call for `leftAloneMs` since: the score keeps calls away
 *                                    from it, so that it would never have as many; where its neighbours serve, and
 *                                    fail so few that this is no chance: (share that they fail)^streak < 10⁻⁵
 *
 *   ejected for  min(base · n, max(base, most)), n the ejections so far; each whole interval without one takes 1 off n
 *   never        once a share `maxEjected` of the group is out: "If the percentage of ejected addresses is
 *                greater than or equal to max_ejection_percent, stop". It is looked at before, so one may be out
 *                however small the group is, as with Envoy; where the rest falls out too, panic brings it back
 *
 * A group is what is compared: the servers of one pool. Pure: who is asked to be out, and for how long, is the
 * answer; `detector.ts` makes observations of it.
 */
import type { OutcomeCounts } from './outcome-counts.ts';

export interface OutlierSettings {
  /** Time between sweeps, ms. */
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  /** Share of the group above which nobody else is ejected; 0 switches all rules off. */
  readonly maxEjected: number;
  /** Failures in a row that eject; 0 is off. */
  readonly consecutiveFailures: number;
  /** Time without a call after which fewer failures in a row eject, ms; 0 is off. */
  readonly leftAloneMs: number;
  readonly successRate: {
    /** Standard deviations below the mean; 0 is off. */
    readonly factor: number;
    /** Share of those found that are ejected. */
    readonly enforced: number;
    readonly minHosts: number;
    readonly minCalls: number;
  };
  readonly failureShare: {
    /** Share of failed calls above which a server is an outlier; 0 is off. */
    readonly threshold: number;
    readonly enforced: number;
    readonly minHosts: number;
    readonly minCalls: number;
  };
}

/** The defaults of gRFC A50, both rules on; failures in a row as Envoy has them. */
export const OUTLIER_DEFAULTS: OutlierSettings = {
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjected: 0.1,
  consecutiveFailures: 5,
  leftAloneMs: 3_000,
  successRate: { factor: 1.9, enforced: 1, minHosts: 5, minCalls: 100 },
  failureShare: { threshold: 0.85, enforced: 1, minHosts: 5, minCalls: 50 },
};

/** Likelihood of a streak by chance below which it is none. */
const CHANCE = 1e-5;
/** How long a neighbour's last call may be over for it to be one that serves, as a part of `leftAloneMs`. */
const LATELY = 1 / 3;

/** A server that is to be out, and why in words. */
export interface Ejection {
  readonly slot: number;
  readonly forMs: number;
  readonly cause: string;
}

/** What a server takes along to another group. */
export interface OutlierPast {
  /** When its ejection by these rules ends, ms; −1: it is not ejected by them. */
  readonly until: number;
  /** Ejections that its time is multiplied by. */
  readonly multiplier: number;
}

interface Member {
  /** As in `OutlierPast`. */
  until: number;
  multiplier: number;
  /** It has come back since the last sweep: one that fails again at once is not the better for it. */
  isBack: boolean;
  /** In the pool's order: WARMING or ACTIVE. Others are neither judged nor part of the share. */
  eligible: boolean;
}

/** Sums over a group at one time, for those of its servers that are left alone. */
export interface GroupSums {
  /** Members that take calls, and those among them that served a call lately. */
  readonly eligible: number;
  readonly serving: number;
  /** Calls of those that take calls, in this interval. */
  readonly served: number;
  readonly failed: number;
}

export class OutlierGroup {
  private settings: OutlierSettings;
  private readonly counts: OutcomeCounts;
  private readonly random: () => number;
  private readonly members = new Map<number, Member>();
  /** Those that `until` is set for. */
  private out = 0;
  /** Those that are eligible, or ejected by these rules. */
  private judged = 0;
  private nextSweep = Number.NaN;

  /** @param random uniform in [0, 1), for rules that are enforced in part */
  constructor(settings: OutlierSettings, counts: OutcomeCounts, random: () => number) {
    this.settings = settings;
    this.counts = counts;
    this.random = random;
  }

  get size(): number {
    return this.members.size;
  }

  /** Members that are ejected by these rules. */
  get ejected(): number {
    return this.out;
  }

  configure(settings: OutlierSettings): void {
    this.settings = settings;
    for (const slot of this.members.keys()) this.counts.limit(slot, this.streakLimit);
  }

  /** @param past of another group that it was in: its ejection goes on here */
  add(slot: number, eligible: boolean, past?: OutlierPast): void {
    if (this.members.has(slot)) return;
    const { until, multiplier } = past ?? { until: -1, multiplier: 0 };
    if (until >= 0) this.out++;
    if (eligible || until >= 0) this.judged++;
    this.members.set(slot, { until, multiplier, isBack: false, eligible });
    this.counts.begin(slot, this.streakLimit);
  }

  remove(slot: number): OutlierPast | undefined {
    const member = this.members.get(slot);
    if (member === undefined) return undefined;
    const { until, multiplier } = member;
    this.readmit(slot);
    if (member.eligible) this.judged--;
    this.counts.clearStreak(slot);
    this.members.delete(slot);
    return { until, multiplier };
  }

  /** The server takes calls, or does not; whoever decided it. */
  setEligible(slot: number, eligible: boolean): void {
    const member = this.members.get(slot);
    if (member === undefined || member.eligible === eligible) return;
    member.eligible = eligible;
    // What is ejected belongs to the group all the same.
    if (member.until < 0) this.judged += eligible ? 1 : -1;
  }

  /** An ejection is over, by time or by somebody's word: failures in a row count from here. */
  readmit(slot: number): void {
    const member = this.members.get(slot);
    if (member === undefined || member.until < 0) return;
    member.until = -1;
    member.isBack = true;
    this.out--;
    if (!member.eligible) this.judged--;
    this.counts.clearStreak(slot);
  }

  isEjected(slot: number): boolean {
    return (this.members.get(slot)?.until ?? -1) >= 0;
  }

  /** A server has failed as many calls in a row as are allowed: its ejection, where one is due and possible. */
  streak(slot: number, now: number): Ejection | undefined {
    const member = this.members.get(slot);
    if (member === undefined || this.settings.consecutiveFailures === 0) return undefined;
    // It may have served one since.
    const streak = this.counts.streak(slot);
    if (streak < this.settings.consecutiveFailures) return undefined;
    const ejection = this.eject(slot, member, now, `failed ${streak} calls in a row`);
    // Refused for the share that is out already: it is due again after as many more.
    if (ejection === undefined) this.counts.clearStreak(slot);
    return ejection;
  }

  /** For `leftAlone` at the same time: made once for all whom it may be asked of, as it looks at each member. */
  sums(now: number): GroupSums {
    const lately = now - this.settings.leftAloneMs * LATELY;
    const sums = { eligible: 0, serving: 0, served: 0, failed: 0 };
    for (const [slot, { eligible }] of this.members) {
      if (!eligible) continue;
      sums.eligible++;
      sums.served += this.counts.served(slot);
      sums.failed += this.counts.failed(slot);
      if (this.counts.streak(slot) === 0 && this.counts.answeredAt(slot) >= lately) sums.serving++;
    }
    return sums;
  }

  /** A server gets calls no more, after failures. To be asked before `leftAlone`, which costs sums of all. */
  isIdle(slot: number, now: number): boolean {
    const member = this.members.get(slot);
    const { leftAloneMs } = this.settings;
    if (member === undefined || leftAloneMs === 0 || this.streakLimit === 0) return false;
    return now - this.counts.answeredAt(slot) >= leftAloneMs && member.until < 0 && member.eligible;
  }

  /** A server with failures in a row that gets no calls: its ejection, where it is one and possible. */
  leftAlone(slot: number, now: number, sums: GroupSums): Ejection | undefined {
    if (!this.isIdle(slot, now)) return undefined;
    // It does not serve lately, but it is one of them and its calls are among theirs.
    const neighbours = sums.eligible - 1;
    const served = sums.served - this.counts.served(slot);
    const failed = sums.failed - this.counts.failed(slot);
    const streak = this.counts.streak(slot);
    const chance = ((failed + 1) / (served + failed + 1)) ** streak;
    if (sums.serving * 2 <= neighbours || !(chance < CHANCE)) return undefined;
    const since = `${((now - this.counts.answeredAt(slot)) / 1_000).toFixed(1)} s ago`;
    const cause = `failed ${streak} calls in a row, the last one ${since}`;
    return this.eject(slot, this.members.get(slot) as Member, now, cause);
  }

  /** Looks at the time: sweeps where one is due. Who is ejected by it, and who may come back. */
  look(now: number): { readonly ejections: readonly Ejection[]; readonly returns: readonly number[] } {
    if (Number.isNaN(this.nextSweep) || this.nextSweep > now + this.settings.intervalMs) {
      this.nextSweep = now + this.settings.intervalMs;
    }
    const returns: number[] = [];
    if (this.out > 0) {
      for (const [slot, member] of this.members) {
        if (member.until >= 0 && member.until <= now) returns.push(slot);
      }
      for (const slot of returns) this.readmit(slot);
    }
    if (now < this.nextSweep) return { ejections: NONE, returns };
    this.nextSweep = now + this.settings.intervalMs;
    return { ejections: this.sweep(now), returns };
  }

  private sweep(now: number): Ejection[] {
    const before = this.out;
    const ejections = [...this.bySuccessRate(now), ...this.byFailureShare(now)];
    if (before === 0 && ejections.length === 0 && this.members.size === 0) return ejections;
    for (const [slot, member] of this.members) {
      this.counts.reset(slot);
      if (member.until >= 0) continue;
      if (!member.isBack && member.multiplier > 0) member.multiplier--;
      member.isBack = false;
    }
    return ejections;
  }

  /** Those with enough calls in this interval, among whom one is compared. */
  private withCalls(least: number): number[] {
    const slots: number[] = [];
    for (const [slot, member] of this.members) {
      if (member.until >= 0 || !member.eligible) continue;
      if (this.counts.served(slot) + this.counts.failed(slot) >= Math.max(1, least)) slots.push(slot);
    }
    return slots;
  }

  private bySuccessRate(now: number): Ejection[] {
    const { factor, enforced, minHosts, minCalls } = this.settings.successRate;
    if (factor === 0) return [];
    const slots = this.withCalls(minCalls);
    if (slots.length < minHosts || slots.length === 0) return [];
    const rates = slots.map(slot => 1 - this.failedShare(slot));
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
    const least = mean - factor * Math.sqrt(variance);
    return this.ejectAll(
      slots.filter((_, at) => (rates[at] as number) < least),
      enforced,
      now,
      slot => `served ${percent(1 - this.failedShare(slot))} of its calls, the pool ${percent(mean)}`,
    );
  }

  private byFailureShare(now: number): Ejection[] {
    const { threshold, enforced, minHosts, minCalls } = this.settings.failureShare;
    if (threshold === 0) return [];
    const slots = this.withCalls(minCalls);
    if (slots.length < minHosts) return [];
    return this.ejectAll(
      slots.filter(slot => this.failedShare(slot) > threshold),
      enforced,
      now,
      slot => `failed ${percent(this.failedShare(slot))} of its calls, more than ${percent(threshold)}`,
    );
  }

  /** The worst first, as not all may go. */
  private ejectAll(
    slots: number[],
    enforced: number,
    now: number,
    causeOf: (slot: number) => string,
  ): Ejection[] {
    slots.sort((a, b) => this.failedShare(b) - this.failedShare(a));
    const ejections: Ejection[] = [];
    for (const slot of slots) {
      if (enforced < 1 && this.random() >= enforced) continue;
      const ejection = this.eject(slot, this.members.get(slot) as Member, now, causeOf(slot));
      if (ejection !== undefined) ejections.push(ejection);
    }
    return ejections;
  }

  private eject(slot: number, member: Member, now: number, cause: string): Ejection | undefined {
    if (member.until >= 0 || !member.eligible) return undefined;
    if (this.out >= this.judged * this.settings.maxEjected) return undefined;
    const { baseEjectionMs, maxEjectionMs } = this.settings;
    member.multiplier++;
    const forMs = Math.min(baseEjectionMs * member.multiplier, Math.max(baseEjectionMs, maxEjectionMs));
    member.until = now + forMs;
    this.out++;
    return { slot, forMs, cause };
  }

  private failedShare(slot: number): number {
    const failed = this.counts.failed(slot);
    return failed / (failed + this.counts.served(slot));
  }

  private get streakLimit(): number {
    return this.settings.maxEjected === 0 ? 0 : this.settings.consecutiveFailures;
  }
}

const NONE: readonly Ejection[] = [];

function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0.001 && share < 0.999 ? 1 : 0)} %`;
}
