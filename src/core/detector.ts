/**
 * Judges the servers of one balancer by what is seen of them, and has the registry take them out and bring
 * them back: outliers (`outlier.ts`), servers that hang (`hung.ts`), what checks and connections say, panic
 * (`panic-watch.ts`), and whether this instance should doubt itself (`suspicion.ts`). Pure: who runs it tells it the
 * time, by `look`; the balancer does each 100 ms, the simulator by its own clock.
 */
import { ANY_SERVICE, type ServerView } from './core.ts';
import { HungWatch, silentAfterMs } from './hung.ts';
import { HEALTH_LIMITS } from './limits.ts';
import type { Mesh } from './mesh.ts';
import { OutcomeCounts } from './outcome-counts.ts';
import {
  type Ejection,
  type GroupSums,
  OutlierGroup,
  type OutlierPast,
  type OutlierSettings,
} from './outlier.ts';
import { PanicWatch } from './panic-watch.ts';
import type { Pool } from './pool.ts';
import { Suspicion } from './suspicion.ts';

/** Rules for the servers of one pool. */
export interface HealthRules {
  readonly outliers: OutlierSettings;
  /** Share of healthy servers below which health is ignored; 0 is never. */
  readonly panicBelow: number;
}

export interface DetectorOptions {
  readonly mesh: Mesh;
  /** Of the pool that a server belongs to first. */
  readonly rulesOf: (service: string) => HealthRules;
  /** How far apart losses may be to speak against this instance itself, ms. */
  readonly suspicionMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** When octets of an answer came from a server last, ms; −Infinity: never. */
  readonly heardAt?: (slot: number) => number;
  /** Whether a server says its load by itself at intervals, so that silence says something. */
  readonly reports?: (id: string, view: ServerView) => boolean;
  /** The pool's health is ignored from now on, or heeded again. */
  readonly onPanic?: (pool: Pool, cause: string) => void;
  /** Who of the ejected a pool picks from may have changed. */
  readonly onAdmitted?: (pool: Pool) => void;
  /** This instance suspects itself from now on, or trusts itself again. */
  readonly onSuspicion?: (active: boolean, cause: string) => void;
}

/** Who took a server out. `unreachable`: nothing can be reached there. */
type Why = 'outlier' | 'hung' | 'checks' | 'unreachable';

interface Entry {
  slot: number;
  /** The pool by which it is judged: that of the first service it names. */
  home: string;
  why: Why | undefined;
  /** When it was taken out, ms. */
  outAt: number;
  dead: boolean;
}

/** Things that have happened since the start, as plain numbers that are read at scrape time. */
export interface DetectorCounters {
  outliers: number;
  hung: number;
  failedChecks: number;
  unreachable: number;
  returned: number;
  panics: number;
  suspicions: number;
}

export class Detector {
  readonly counters: DetectorCounters = {
    outliers: 0,
    hung: 0,
    failedChecks: 0,
    unreachable: 0,
    returned: 0,
    panics: 0,
    suspicions: 0,
  };
  private readonly options: DetectorOptions;
  private readonly mesh: Mesh;
  private readonly counts = new OutcomeCounts();
  private readonly entries = new Map<string, Entry>();
  private readonly groups = new Map<string, OutlierGroup>();
  private readonly hung = new HungWatch();
  private readonly suspicion: Suspicion;
  /** Servers that take calls. */
  private taking = 0;
  private readonly panic: PanicWatch;
  /** Servers to be observed anew, since this instance's trust in itself has changed. */
  private readonly doubts = new Set<string>();
  /** When those are tried again that an earlier life of this instance has ejected, ms. */
  private readonly recovered = new Map<string, number>();
  private lastLook = Number.NaN;
  private readonly unfollow: () => void;

  constructor(options: DetectorOptions) {
    this.options = options;
    this.mesh = options.mesh;
    this.suspicion = new Suspicion(options.suspicionMs);
    const { onPanic, onAdmitted = () => {} } = options;
    this.panic = new PanicWatch({
      mesh: this.mesh,
      panicBelow: service => options.rulesOf(service).panicBelow,
      isDead: id => this.entries.get(id)?.dead === true,
      onPanic: (pool, cause, begins) => {
        if (begins) this.counters.panics++;
        onPanic?.(pool, cause);
      },
      onAdmitted,
    });
    this.mesh.outcomes = this.counts;
    this.unfollow = this.mesh.registry.onChange((id, before, after) => this.follow(id, before, after));
    for (const view of this.mesh.registry.list()) {
      this.follow(view.spec.id, undefined, view);
      if (view.state !== 'EJECTED') continue;
      const { baseEjectionMs } = this.options.rulesOf(view.spec.services[0] ?? ANY_SERVICE).outliers;
      this.recovered.set(view.spec.id, this.mesh.now() + baseEjectionMs);
    }
  }

  /** True while this instance suspects itself: it activates nothing. */
  get suspectsItself(): boolean {
    return this.suspicion.active;
  }

  /** Servers that are out by outlier rules. */
  get outliers(): number {
    let sum = 0;
    for (const group of this.groups.values()) sum += group.ejected;
    return sum;
  }

  /** Services whose pools are in panic. */
  panicking(): string[] {
    return this.panic.panicking();
  }

  /** Rules may have changed. */
  configure(suspicionMs: number): void {
    this.suspicion.configure(suspicionMs);
    for (const [service, group] of this.groups) group.configure(this.options.rulesOf(service).outliers);
    this.panic.lookAtAll();
  }

  stop(): void {
    this.unfollow();
    this.mesh.outcomes = undefined;
  }

  /** What is due by time. @param now the mesh's clock, ms */
  look(now: number): void {
    const stalled = now - this.lastLook > HEALTH_LIMITS.stallMs;
    this.lastLook = now;
    // Nobody was heard while this process stood still.
    if (stalled) this.hung.clear();
    this.lookAtOutliers(now);
    this.lookForHung(now);
    this.panic.look(now);
    this.spreadDoubts();
    for (const [id, due] of this.recovered) {
      if (due > now) continue;
      this.recovered.delete(id);
      if ((this.mesh.registry.get(id)?.sources.length ?? 0) > 0) {
        this.bringBack(id, 'tried again: ejected before this instance started');
      }
    }
  }

  /** Nothing can be reached at a server's address. */
  unreachable(id: string, cause: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    entry.dead = true;
    this.takeOut(id, entry, 'unreachable', cause);
  }

  /** A server is reached again, by the one who found it unreachable. */
  reachable(id: string, cause: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    entry.dead = false;
    if (entry.why === 'unreachable' || entry.why === undefined) this.bringBack(id, cause);
  }

  /** Health checks of a server have failed as often as is allowed. `dead`: it cannot even be reached. */
  failedChecks(id: string, cause: string, dead: boolean): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    entry.dead = dead;
    this.takeOut(id, entry, dead ? 'unreachable' : 'checks', cause);
  }

  /** Health checks of a server have passed as often as is asked for. */
  passedChecks(id: string, cause: string): void {
    const entry = this.entries.get(id);
    const view = this.mesh.registry.get(id);
    if (entry === undefined || view === undefined) return;
    entry.dead = false;
    if (view.state === 'EJECTED') {
      // One that nobody claims any more comes back when somebody does. That a server is well by its own word says
      // nothing against calls that failed: an outlier waits until its time is over.
      if (view.sources.length > 0 && entry.why !== 'outlier') this.bringBack(id, cause);
    } else if (!view.healthy && view.state !== 'DRAINING') {
      this.observe(id, view.state === 'ACTIVE' ? 'active' : 'warming', true, cause);
    }
  }

  private takeOut(id: string, entry: Entry, why: Exclude<Why, 'outlier'>, cause: string): void {
    const view = this.mesh.registry.get(id);
    if (view === undefined || view.state === 'DRAINING') return;
    const takes = view.state === 'ACTIVE' || view.state === 'WARMING';
    // A hung server that turns out to be dead is dead, and an outlier whose checks fail waits for those.
    if (takes || view.state === 'EJECTED') {
      if (entry.why !== why) this.panic.changed(view);
      entry.why = why;
      if (takes) entry.outAt = this.mesh.now();
      this.recovered.delete(id);
    }
    if (!takes && !view.healthy) return;
    if (takes && why === 'hung') this.counters.hung++;
    else if (takes && why === 'checks') this.counters.failedChecks++;
    else if (takes) this.counters.unreachable++;
    this.observe(id, 'ejected', false, cause);
  }

  private bringBack(id: string, cause: string): void {
    const view = this.mesh.registry.get(id);
    const entry = this.entries.get(id);
    if (view?.state !== 'EJECTED' || entry === undefined) return;
    if (this.groups.get(entry.home)?.isEjected(entry.slot) === true) {
      // An outlier that was dead or failed its checks meanwhile: that is over, its time for failed calls is not.
      entry.why = 'outlier';
      this.panic.changed(view);
      this.observe(id, 'ejected', true, `${cause}, and is out still for calls that failed`);
      return;
    }
    this.counters.returned++;
    this.observe(id, 'warming', true, cause);
  }

  private observe(
    id: string,
    phase: 'warming' | 'active' | 'ejected',
    healthy: boolean,
    cause: string,
  ): void {
    this.mesh.registry
      .propose({ kind: 'observe', id, observation: { phase, healthy } }, cause)
      .catch(() => {});
  }

  private follow(id: string, before: ServerView | undefined, after: ServerView | undefined): void {
    const now = this.mesh.now();
    if (after === undefined) {
      this.gone(id, before);
      return;
    }
    let entry = this.entries.get(id);
    const slot = this.mesh.slotOf(id);
    const home = after.spec.services[0] ?? ANY_SERVICE;
    if (entry === undefined || entry.slot !== slot || entry.home !== home) {
      const past = entry === undefined ? undefined : this.leaveGroup(entry);
      entry = { why: undefined, outAt: now, dead: false, ...entry, slot, home };
      this.entries.set(id, entry);
      this.groupOf(home).add(slot, takesCalls(after), past);
    }
    const took = takesCalls(before);
    const takes = takesCalls(after);
    if (took !== takes) this.taking += takes ? 1 : -1;
    if (before?.state === after.state && before.sources.length === after.sources.length) return;
    const group = this.groupOf(home);
    group.setEligible(slot, takes);
    this.hung.forget(slot);
    if (after.state === 'EJECTED') {
      // By somebody else, such as the end of its report stream.
      if (entry.why === undefined) {
        entry.why = after.healthy ? 'outlier' : 'unreachable';
        entry.dead = !after.healthy;
        entry.outAt = now;
      }
      if (took && entry.why !== 'outlier') this.lost(id, now);
    } else {
      entry.why = undefined;
      entry.dead = false;
      group.readmit(slot);
      this.settle(id, takes ? 'answered' : 'gone');
    }
    this.panic.changed(after);
    if (took && !takes) this.panic.left(after, now);
  }

  private gone(id: string, before: ServerView | undefined): void {
    const entry = this.entries.get(id);
    if (takesCalls(before)) this.taking--;
    if (entry !== undefined) {
      this.leaveGroup(entry);
      this.hung.forget(entry.slot);
    }
    this.entries.delete(id);
    this.doubts.delete(id);
    this.recovered.delete(id);
    this.settle(id, 'gone');
    if (before !== undefined) {
      this.panic.changed(before);
      this.panic.left(before, this.mesh.now());
    }
  }

  // Outliers

  private groupOf(service: string): OutlierGroup {
    let group = this.groups.get(service);
    if (group === undefined) {
      group = new OutlierGroup(this.options.rulesOf(service).outliers, this.counts, this.options.random);
      this.groups.set(service, group);
    }
    return group;
  }

  private leaveGroup({ home, slot }: Entry): OutlierPast | undefined {
    const group = this.groups.get(home);
    const past = group?.remove(slot);
    if (group?.size === 0) this.groups.delete(home);
    return past;
  }

  private lookAtOutliers(now: number): void {
    for (const slot of this.counts.takeDue()) {
      const group = this.groups.get(this.entries.get(this.mesh.idOf(slot))?.home ?? '');
      const ejection = group?.streak(slot, now);
      if (ejection !== undefined) this.ejectOutlier(ejection);
    }
    const sumsOf = new Map<OutlierGroup, GroupSums>();
    for (const slot of this.counts.doubted) {
      if (this.counts.streak(slot) < 2) {
        this.counts.doubted.delete(slot);
        continue;
      }
      const group = this.groups.get(this.entries.get(this.mesh.idOf(slot))?.home ?? '');
      if (group?.isIdle(slot, now) !== true) continue;
      // Once a look: thousands may be doubted, in a group of thousands.
      const sums = sumsOf.get(group) ?? group.sums(now);
      sumsOf.set(group, sums);
      const ejection = group.leftAlone(slot, now, sums);
      if (ejection !== undefined) this.ejectOutlier(ejection);
    }
    for (const group of this.groups.values()) {
      const { ejections, returns } = group.look(now);
      for (const ejection of ejections) this.ejectOutlier(ejection);
      for (const slot of returns) {
        const id = this.mesh.idOf(slot);
        const entry = this.entries.get(id);
        if (entry?.why !== 'outlier') continue;
        this.bringBack(id, `its ejection is over after ${seconds(now - entry.outAt)}`);
      }
    }
  }

  private ejectOutlier({ slot, forMs, cause }: Ejection): void {
    const id = this.mesh.idOf(slot);
    const entry = this.entries.get(id);
    const view = this.mesh.registry.get(id);
    if (entry === undefined || view === undefined) return;
    entry.why = 'outlier';
    entry.outAt = this.mesh.now();
    this.counters.outliers++;
    this.observe(id, 'ejected', view.healthy, `outlier: ${cause}; out for ${seconds(forMs)}`);
  }

  // Servers that hang

  private lookForHung(now: number): void {
    const { loads, registry } = this.mesh;
    for (const [id, entry] of this.entries) {
      const { slot } = entry;
      const reportTime = loads.reportTime[slot] as number;
      if (entry.why === 'hung') {
        if (Math.max(reportTime, this.answeredAt(slot)) > entry.outAt) this.bringBack(id, 'it answers again');
        continue;
      }
      const reportAgeMs = now - reportTime;
      const reportIntervalMs = loads.intervalMs[slot] as number;
      // Most report, and one comparison is all that they cost; those that never did are at −Infinity.
      if (!(reportAgeMs > HEALTH_LIMITS.hungMs) || reportAgeMs === Number.POSITIVE_INFINITY) continue;
      const view = registry.get(id);
      if (!takesCalls(view) || this.options.reports?.(id, view) === false) continue;
      // Streams that rest expect no answer.
      const open = loads.relayed(slot) - loads.resting(slot) + loads.leased(slot);
      const evidence = { reportAgeMs, reportIntervalMs, open, answeredAt: this.answeredAt(slot) };
      if (!this.hung.look(slot, evidence, now)) continue;
      const silentFor = seconds(Math.max(reportAgeMs, silentAfterMs(reportIntervalMs)));
      this.takeOut(id, entry, 'hung', `hangs: ${open} calls open, no answer, no report for ${silentFor}`);
    }
  }

  private answeredAt(slot: number): number {
    return Math.max(this.counts.answeredAt(slot), this.options.heardAt?.(slot) ?? Number.NEGATIVE_INFINITY);
  }

  // Self-suspicion

  private lost(id: string, now: number): void {
    if (!this.suspicion.lost(id, this.taking, now)) {
      return;
    }
    const losses = [...this.suspicion.losses];
    this.counters.suspicions++;
    this.trust(
      false,
      losses,
      `${losses.length} of ${losses.length + this.taking} backends were lost at once`,
    );
  }

  private settle(id: string, how: 'answered' | 'gone'): void {
    const losses = this.suspicion.active ? [...this.suspicion.losses] : [];
    const ended = how === 'answered' ? this.suspicion.answered(id) : this.suspicion.gone(id);
    if (ended)
      this.trust(true, losses, how === 'answered' ? `${id} answers again` : 'none of the lost is left');
  }

  private trust(trusted: boolean, losses: readonly string[], cause: string): void {
    this.mesh.registry.doubting = !trusted;
    this.doubts.clear();
    for (const id of losses) this.doubts.add(id);
    this.options.onSuspicion?.(!trusted, cause);
  }

  /** Says anew what it has seen of those lost, now that it counts less, or counts again; in parts. */
  private spreadDoubts(): void {
    let left: number = HEALTH_LIMITS.doubtsAtOnce;
    for (const id of this.doubts) {
      if (left-- === 0) return;
      this.doubts.delete(id);
      const view = this.mesh.registry.get(id);
      if (view?.state === 'EJECTED') this.observe(id, 'ejected', view.healthy, view.cause);
    }
  }
}

function takesCalls(view: ServerView | undefined): view is ServerView {
  return view?.state === 'ACTIVE' || view?.state === 'WARMING';
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
