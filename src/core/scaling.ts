/**
 * When a pool gets one more server, and when one that it got goes again.
 *
 *   a server fails                                    -> one for it, at once
 *   a server is over the threshold for `forMs`        -> one for all that are, after the cool-down
 *   the pool's mean is over it for `forMs` still      -> one more, after the cool-down
 *   the pool's mean is below `scaleInBelow` for `stableMs`, and would not come near the threshold with one
 *   server less                                       -> the last one that was added drains
 *
 * One that is over was answered once it got its server; it counts anew after it was relieved, which is
 * below nine tenths of the threshold. So one server that is hot by itself brings one more, not one a
 * cool-down, and ten that are over together bring one, and further ones only as long as that did not help.
 */

import { SCALING_LIMITS } from './limits.ts';
import { hashString } from './rendezvous.ts';

export interface ScalingRules {
  /** Fraction of what a server may use. */
  readonly threshold: number;
  readonly forMs: number;
  /** Least time between two changes because of load, ms. */
  readonly cooldownMs: number;
  /** Mean of the pool below which one that was added goes; 0: never. */
  readonly scaleInBelow: number;
  readonly stableMs: number;
  /** Most servers that were added and are in service. */
  readonly max: number;
}

/**
 * Servers in service: no standbys, and none that drain. Columns that are filled again for each look: thousands of
 * objects that live as long as a look takes would be made old by the collections meanwhile.
 */
export class Sightings {
  size = 0;
  readonly ids: string[] = [];
  /** 1: it is out because it fails. */
  failed = new Uint8Array(16);
  /** As last reported; NaN: unknown, or too old. */
  utilization = new Float64Array(16);

  clear(): void {
    this.size = 0;
  }

  add(id: string, failed: boolean, utilization: number): void {
    const at = this.size++;
    if (at === this.failed.length) {
      const { failed, utilization } = this;
      this.failed = new Uint8Array(2 * at);
      this.failed.set(failed);
      this.utilization = new Float64Array(2 * at);
      this.utilization.set(utilization);
    }
    this.ids[at] = id;
    this.failed[at] = failed ? 1 : 0;
    this.utilization[at] = utilization;
  }

  /** Whether it is known how loaded the server is that stands there. */
  isTold(at: number): boolean {
    return this.failed[at] === 0 && !Number.isNaN(this.utilization[at]);
  }
}

export type ScalingDecision =
  | {
      readonly kind: 'add';
      readonly because: 'failure' | 'load';
      /** Names what is answered: the same for all instances that see it. */
      readonly about: string;
      /** That fails, or is over the threshold most. */
      readonly server: string;
      /** In words for a person. */
      readonly cause: string;
    }
  | { readonly kind: 'drain'; readonly server: string; readonly cause: string };

export class ScalingRule {
  rules: ScalingRules;
  /** Mean of those that report, NaN: none does. */
  mean = Number.NaN;
  reporting = 0;

  /** Since when each server is over the threshold, ms, and whether that is answered. */
  private readonly over = new Map<string, { readonly since: number; answered: boolean }>();
  /** Servers that fail, and whether they have their replacement. */
  private readonly failed = new Map<string, { answered: boolean; retryAt: number }>();
  /** Looks so far, and by server in service the last one that saw it: a new set for each look would be garbage. */
  private looks = 0;
  private readonly seenAt = new Map<string, number>();
  /** Servers that were added for a decision of this rule. */
  private readonly mine = new Set<string>();
  private meanOverSince = Number.NaN;
  private lowSince = Number.NaN;
  private changedAt = Number.NEGATIVE_INFINITY;
  private retryAt = Number.NEGATIVE_INFINITY;

  constructor(rules: ScalingRules) {
    this.rules = rules;
  }

  /**
   * Looks at the pool; what it decides is to be told `answered` or `refused`.
   * @param servers those in service
   * @param added of them those that scaling added, the last one at the end
   * @param coming servers that are on their way
   */
  look(
    servers: Sightings,
    added: readonly string[],
    coming: number,
    now: number,
  ): readonly ScalingDecision[] {
    this.watch(servers, now);
    const decisions: ScalingDecision[] = [];
    let room = this.rules.max - added.length - coming;
    for (const [id, failure] of this.failed) {
      if (failure.answered || now < failure.retryAt || room <= 0) continue;
      room--;
      decisions.push({
        kind: 'add',
        because: 'failure',
        about: `failure of ${id}`,
        server: id,
        cause: `${id} fails`,
      });
    }
    // While some are on their way it is not known yet whether they are enough.
    if (decisions.length > 0 || coming > 0) return decisions;
    const addition = room > 0 ? this.forLoad(servers, now) : undefined;
    if (addition !== undefined) return [addition];
    const leaver = this.leaver(servers, added, now);
    return leaver === undefined ? [] : [leaver];
  }

  /** What was decided was done, here or by another instance. @param server that was added; empty where it is not known */
  answered(decision: ScalingDecision, now: number, server = ''): void {
    if (server !== '') this.mine.add(server);
    if (decision.kind === 'add' && decision.because === 'failure') {
      const failure = this.failed.get(decision.server);
      if (failure !== undefined) failure.answered = true;
      this.lowSince = Number.NaN;
      return;
    }
    this.changed(now);
    // It is there for all that are over now.
    if (decision.kind === 'add') for (const each of this.over.values()) each.answered = true;
  }

  /** What was decided could not be done: it is tried again later. */
  refused(decision: ScalingDecision, now: number): void {
    const retryAt = now + SCALING_LIMITS.retryMs;
    const failure =
      decision.kind === 'add' && decision.because === 'failure' && this.failed.get(decision.server);
    if (failure) {
      // A look while it was under way has taken it for answered.
      failure.answered = false;
      failure.retryAt = retryAt;
    } else this.retryAt = retryAt;
  }

  private changed(now: number): void {
    this.changedAt = now;
    this.meanOverSince = this.lowSince = Number.NaN;
  }

  /**
   * One that another instance or an operator has added relieves as well as one of this rule's, but only what was over
   * before: an overload that is seen for the first time with it there came in spite of it.
   */
  private meet(now: number): void {
    const before = [...this.over.values()].filter(({ since }) => since < now);
    if (before.length === 0 && !(this.meanOverSince < now)) {
      this.lowSince = Number.NaN;
      return;
    }
    this.changed(now);
    for (const each of before) each.answered = true;
  }

  private watch(servers: Sightings, now: number): void {
    const { threshold, scaleInBelow } = this.rules;
    const { seenAt } = this;
    let sum = 0;
    this.reporting = 0;
    const look = ++this.looks;
    let isMet = false;
    for (let n = 0; n < servers.size; n++) {
      const id = servers.ids[n] as string;
      if (look > 1 && !isMet && !seenAt.has(id) && !this.mine.has(id)) isMet = true;
      seenAt.set(id, look);
      if (servers.failed[n] === 0) this.failed.delete(id);
      else if (!this.failed.has(id)) this.failed.set(id, { answered: false, retryAt: now });
      if (!servers.isTold(n)) {
        this.over.delete(id);
        continue;
      }
      const utilization = servers.utilization[n] as number;
      sum += utilization;
      this.reporting++;
      if (utilization < threshold * SCALING_LIMITS.relief) this.over.delete(id);
      else if (utilization > threshold && !this.over.has(id))
        this.over.set(id, { since: now, answered: false });
    }
    if (isMet) this.meet(now);
    if (seenAt.size > servers.size) {
      for (const [id, at] of seenAt) if (at !== look) this.left(id);
    }
    this.mean = this.reporting > 0 ? sum / this.reporting : Number.NaN;
    this.meanOverSince = sinceWhen(this.meanOverSince, this.mean > threshold, now);
    this.lowSince = sinceWhen(this.lowSince, this.mean < scaleInBelow, now);
  }

  /** A server is not in service any more. */
  private left(id: string): void {
    this.seenAt.delete(id);
    this.over.delete(id);
    this.failed.delete(id);
    this.mine.delete(id);
  }

  private forLoad(servers: Sightings, now: number): ScalingDecision | undefined {
    const { threshold, forMs, cooldownMs } = this.rules;
    if (now < this.retryAt || now - this.changedAt < cooldownMs) return undefined;
    const meanMs = now - this.meanOverSince;
    let worst = -1;
    let worstMs = 0;
    let most = -1;
    const utilization = (at: number): number => servers.utilization[at] as number;
    for (let n = 0; n < servers.size; n++) {
      if (!servers.isTold(n)) continue;
      if (most < 0 || utilization(n) > utilization(most)) most = n;
      const over = this.over.get(servers.ids[n] as string);
      if (over === undefined || over.answered || now - over.since < forMs) continue;
      if (worst >= 0 && utilization(worst) >= utilization(n)) continue;
      worst = n;
      worstMs = now - over.since;
    }
    const mean = `mean of the pool ${percent(this.mean)}`;
    const limit = `threshold ${percent(threshold)}`;
    if (worst >= 0) {
      const server = servers.ids[worst] as string;
      const cause = `${server} is at ${percent(utilization(worst))} and has been over the ${limit} for ${seconds(worstMs)}; ${mean}`;
      return { kind: 'add', because: 'load', about: aboutLoad(servers), server, cause };
    }
    if (most < 0 || !(meanMs >= forMs)) return undefined;
    const cause = `${mean}, over the ${limit} for ${seconds(meanMs)} still`;
    return {
      kind: 'add',
      because: 'load',
      about: aboutLoad(servers),
      server: servers.ids[most] as string,
      cause,
    };
  }

  private leaver(servers: Sightings, added: readonly string[], now: number): ScalingDecision | undefined {
    const { threshold, scaleInBelow, stableMs, cooldownMs } = this.rules;
    const last = added.at(-1);
    if (last === undefined || now < this.retryAt || now - this.changedAt < cooldownMs) return undefined;
    const lowMs = now - this.lowSince;
    // What it leaves must not bring it back.
    const afterwards = (this.mean * this.reporting) / Math.max(1, this.reporting - 1);
    if (!(lowMs >= stableMs) || afterwards >= threshold * SCALING_LIMITS.relief || servers.size < 2) {
      return undefined;
    }
    const cause = `mean of the pool ${percent(this.mean)}, below ${percent(scaleInBelow)} for ${seconds(lowMs)}: ${last} was added last`;
    return { kind: 'drain', server: last, cause };
  }
}

/** The servers in service together name an overload: with one more it is another one. */
function aboutLoad(servers: Sightings): string {
  const ids = servers.ids.slice(0, servers.size).sort();
  return `load of ${ids.length} servers (${hashString(ids.join('\n')).toString(16)})`;
}

function sinceWhen(since: number, holds: boolean, now: number): number {
  if (!holds) return Number.NaN;
  return Number.isNaN(since) ? now : since;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
