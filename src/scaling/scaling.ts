/**
 * Runs the rule of scaling (`core/scaling.ts`) over all pools, and has its decisions done: additions by a
 * provider, removals by a drain. Several instances that share a log decide alike and act once: what an
 * addition answers has a name in the log, and the first answer counts.
 */
import type { ServerView } from '../core/core.ts';
import { SCALING_LIMITS } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Pool } from '../core/pool.ts';
import { type ScalingDecision, ScalingRule, type ScalingRules, Sightings } from '../core/scaling.ts';
import { Answers } from './answers.ts';
import type { Provided, Provider } from './provider.ts';

export { CommandProvider, type CommandSettings } from './command.ts';
export type { Provider } from './provider.ts';
export { StandbyProvider } from './standby.ts';

export interface ScalingOptions {
  readonly mesh: Mesh;
  readonly rules: ScalingRules;
  readonly provider: Provider;
  /** Wall clock, ms since 1970. */
  readonly wall: () => number;
  /** True while this instance takes its own blindness for the failure of others: it changes nothing. */
  readonly suspectsItself: () => boolean;
  /** Hears of each decision once it is known what came of it; of one that fails again and again, once. */
  readonly onDecision: (decision: Decided) => void;
}

/** A decision and what came of it, for people. */
export interface Decided {
  /** Wall clock, ms since 1970. */
  readonly time: number;
  readonly service: string;
  readonly kind: 'add' | 'drain';
  /** Empty for a drain. */
  readonly because: 'failure' | 'load' | '';
  readonly cause: string;
  /** That was added or drains; empty where it is not known (yet). */
  server: string;
  /** In words: `activated the standby x`; empty while it is under way. */
  result: string;
  done: boolean;
}

export interface PoolStatus {
  readonly service: string;
  /** Mean of the servers that report; NaN: none does. */
  readonly utilization: number;
  readonly reporting: number;
  readonly inService: number;
  readonly standby: number;
  /** Servers that scaling added and that are in service, the last one at the end. */
  readonly added: readonly string[];
}

export interface ScalingStatus {
  readonly provider: string;
  readonly rules: ScalingRules;
  readonly pools: readonly PoolStatus[];
  /** Oldest first. */
  readonly decisions: readonly Decided[];
}

export class Scaling {
  private readonly options: ScalingOptions;
  private rules: ScalingRules;
  private provider: Provider;
  private readonly byService = new Map<string, ScalingRule>();
  /** Servers on their way: what they answer, and for whom. */
  private readonly coming = new Map<string, string>();
  /** Servers that drain by a decision of this instance: why. */
  private readonly leaving = new Map<string, string>();
  private readonly answers: Answers;
  private readonly decisions: Decided[] = [];
  /** Of decisions that were made before, in vain: with what result. */
  private readonly told = new WeakMap<Decided, string>();
  private readonly looker: NodeJS.Timeout;
  private readonly unfollow: () => void;
  private soon = false;
  /** The look that is under way, where it goes on, and whether another one is wanted behind it. */
  private looking: Generator<void> | undefined;
  private pause: NodeJS.Immediate | undefined;
  private again = false;
  /** Of the pool that is looked at. */
  private readonly sightings = new Sightings();
  /** What the look has taken so far, ms, and until when no other begins because of a failure. */
  private spentMs = 0;
  private restUntil = Number.NEGATIVE_INFINITY;
  private rest: NodeJS.Timeout | undefined;

  constructor(options: ScalingOptions) {
    this.options = options;
    this.rules = options.rules;
    this.provider = options.provider;
    const { registry } = options.mesh;
    this.answers = new Answers(registry, options.provider.patienceMs);
    this.unfollow = registry.onChange((id, before, after) => this.changed(id, before, after));
    this.looker = setInterval(() => this.look(), SCALING_LIMITS.lookMs);
  }

  configure(rules: ScalingRules): void {
    this.rules = rules;
    for (const rule of this.byService.values()) rule.rules = rules;
  }

  /** Looks at all pools; where that takes long, calls have their turn in between. */
  look(): void {
    if (this.looking !== undefined) {
      this.again = true;
      return;
    }
    this.looking = this.steps();
    this.goOn();
  }

  private readonly goOn = (): void => {
    const begun = performance.now();
    this.pause = undefined;
    while (this.looking !== undefined) {
      if (this.looking.next().done === true) {
        this.looking = undefined;
        const now = performance.now();
        const tookMs = this.spentMs + now - begun;
        if (tookMs > SCALING_LIMITS.sliceMs) this.restUntil = now + SCALING_LIMITS.rest * tookMs;
        this.spentMs = 0;
        // What came meanwhile may have come too late for it.
        if (this.again) this.lookSoon();
        this.again = false;
      } else if (performance.now() - begun > SCALING_LIMITS.sliceMs) {
        this.spentMs += performance.now() - begun;
        this.pause = setImmediate(this.goOn);
        return;
      }
    }
  };

  /** At once, but for many that fail one after the other: each look goes over all servers. */
  private lookSoon(): void {
    if (this.soon) return;
    this.soon = true;
    const look = () => {
      this.soon = false;
      this.look();
    };
    const restMs = this.restUntil - performance.now();
    if (restMs > 0) this.rest = setTimeout(look, restMs);
    else queueMicrotask(look);
  }

  /** A look, in steps of a few dozen servers. */
  private *steps(): Generator<void> {
    const now = this.options.mesh.now();
    const added = this.answers.added();
    for (const service of this.byService.keys()) {
      if (this.options.mesh.pool(service)?.service !== service) this.byService.delete(service);
    }
    for (const pool of [...this.options.mesh.pools()]) {
      const rule = this.ruleOf(pool.service);
      const { sightings } = this;
      yield* this.sight(pool, now, sightings);
      const mine = added.filter(id => pool.has(this.options.mesh.slotOf(id)));
      const coming = [...this.coming.values()].filter(service => service === pool.service).length;
      for (const decision of rule.look(sightings, mine, coming, now)) {
        if (this.options.suspectsItself()) rule.refused(decision, now);
        else if (decision.kind === 'add') this.add(pool, rule, decision, now);
        else this.drain(pool, rule, decision, now);
      }
    }
  }

  status(): ScalingStatus {
    const now = this.options.mesh.now();
    const added = this.answers.added();
    const pools = [...this.options.mesh.pools()].map(pool => {
      const sightings = new Sightings();
      for (const _ of this.sight(pool, now, sightings));
      let reporting = 0;
      let sum = 0;
      for (let n = 0; n < sightings.size; n++) {
        if (!sightings.isTold(n)) continue;
        reporting++;
        sum += sightings.utilization[n] as number;
      }
      return {
        service: pool.service,
        utilization: reporting > 0 ? sum / reporting : Number.NaN,
        reporting,
        inService: sightings.size,
        standby: pool.counts().standby,
        added: added.filter(id => pool.has(this.options.mesh.slotOf(id))),
      };
    });
    return { provider: this.provider.name, rules: this.rules, pools, decisions: this.decisions };
  }

  async close(): Promise<void> {
    clearInterval(this.looker);
    clearImmediate(this.pause);
    clearTimeout(this.rest);
    this.looking = undefined;
    this.unfollow();
    await this.provider.close();
  }

  private ruleOf(service: string): ScalingRule {
    let rule = this.byService.get(service);
    if (rule === undefined) {
      rule = new ScalingRule(this.rules);
      this.byService.set(service, rule);
    }
    return rule;
  }

  /** A server that fails is looked at now, not at the next look. */
  private changed(id: string, before: ServerView | undefined, after: ServerView | undefined): void {
    const cause = this.leaving.get(id);
    if (cause !== undefined && after?.state !== 'DRAINING') {
      this.leaving.delete(id);
      const isAway = after === undefined || after.state === 'STANDBY';
      if (isAway && before?.drain?.by === 'scaling') this.provider.drained(id, cause);
    }
    if (after?.state === 'EJECTED' && before?.state !== 'EJECTED') this.lookSoon();
  }

  private *sight(pool: Pool, now: number, into: Sightings): Generator<void> {
    const { mesh } = this.options;
    into.clear();
    let looked = 0;
    for (const slot of pool.members()) {
      if ((++looked & 63) === 0) yield;
      // It may have left since the look began.
      if (!pool.has(slot)) continue;
      const id = mesh.idOf(slot);
      const state = mesh.registry.get(id)?.state;
      if (state === undefined || state === 'STANDBY' || state === 'DRAINING') continue;
      into.add(id, state === 'EJECTED', this.utilization(pool, slot, now));
    }
  }

  /** As reported; of one that does not report, the share of its `max_concurrency` that is in use. */
  private utilization(pool: Pool, slot: number, now: number): number {
    const { loads } = this.options.mesh;
    const told = loads.utilization[slot] as number;
    const intervalMs = Math.max(1_000, loads.intervalMs[slot] as number);
    const ageMs = now - (loads.reportTime[slot] as number);
    if (told > 0 && ageMs <= SCALING_LIMITS.freshIntervals * intervalMs) return told;
    const limit = loads.maxConcurrency[slot] as number;
    return limit > 0 ? pool.inFlight(pool.memberAt(slot)) / limit : Number.NaN;
  }

  private add(pool: Pool, rule: ScalingRule, decision: ScalingDecision & { kind: 'add' }, now: number): void {
    const { mesh } = this.options;
    const answer = this.answers.find(decision.about, now);
    const { name } = answer;
    if (this.coming.has(name) || answer.kind === 'served') {
      rule.answered(decision, now, answer.kind === 'none' ? '' : answer.by);
      return;
    }
    // Another instance is at it, and may end before it is done.
    if (answer.kind === 'awaited') {
      rule.refused(decision, now);
      return;
    }
    const { service } = pool;
    const { because, cause, server } = decision;
    const zone = mesh.registry.get(server)?.spec.zone ?? '';
    const decided = this.note({ service, kind: 'add', because, cause, server: '' });
    this.coming.set(name, service);
    void this.provider
      .add({ service, failure: name, because, server, zone, cause })
      .then(provided => {
        if (provided.kind === 'none') this.answers.inVain(name);
        this.provided(rule, decision, decided, provided);
      })
      .finally(() => this.coming.delete(name));
  }

  private provided(rule: ScalingRule, decision: ScalingDecision, decided: Decided, provided: Provided): void {
    const now = this.options.mesh.now();
    switch (provided.kind) {
      case 'added':
        rule.answered(decision, now, provided.id);
        this.settle(decided, provided.id, provided.how, true);
        break;
      case 'answered':
        rule.answered(decision, now, provided.by);
        this.settle(decided, provided.by, `another instance was first: ${provided.by}`, true);
        break;
      default:
        rule.refused(decision, now);
        this.settle(decided, '', `none came: ${provided.why}`, false);
    }
  }

  private drain(
    pool: Pool,
    rule: ScalingRule,
    decision: ScalingDecision & { kind: 'drain' },
    now: number,
  ): void {
    const { registry } = this.options.mesh;
    const { server: id, cause } = decision;
    const view = registry.get(id);
    if (view === undefined) return;
    rule.answered(decision, now);
    const decided = this.note({ service: pool.service, kind: 'drain', because: '', cause, server: id });
    const afterwards = view.spec.standby ? 'standby' : 'remove';
    const body = { kind: 'drain', id, by: 'scaling', timeoutMs: SCALING_LIMITS.drainMs, afterwards } as const;
    this.leaving.set(id, cause);
    const { version } = view;
    registry.propose(body, cause, [{ kind: 'version', id, version }]).then(
      ({ applied, why }) => {
        if (!applied) this.leaving.delete(id);
        const then = afterwards === 'standby' ? 'it is a standby again then' : 'it leaves then';
        this.settle(decided, id, applied ? `${id} drains; ${then}` : `not done: ${why}`, applied);
      },
      (error: Error) => {
        this.leaving.delete(id);
        this.settle(decided, id, `not done: ${error.message}`, false);
      },
    );
  }

  private note(decision: Omit<Decided, 'time' | 'result' | 'done'>): Decided {
    const { service, kind, because, cause } = decision;
    // What fails again and again is one line, not one each few seconds. Words about load have other figures each time.
    const again = this.decisions.findIndex(
      one =>
        one.result !== '' &&
        !one.done &&
        one.service === service &&
        one.kind === kind &&
        one.because === because &&
        (because === 'load' || one.cause === cause),
    );
    const [before] = again < 0 ? [] : this.decisions.splice(again, 1);
    const decided: Decided = { ...decision, time: this.options.wall(), result: '', done: false };
    if (before !== undefined) this.told.set(decided, before.result);
    this.decisions.push(decided);
    if (this.decisions.length > SCALING_LIMITS.decisions) this.decisions.shift();
    return decided;
  }

  private settle(decided: Decided, server: string, result: string, done: boolean): void {
    decided.server = server;
    decided.result = result;
    decided.done = done;
    if (done || this.told.get(decided) !== result) this.options.onDecision(decided);
  }
}
