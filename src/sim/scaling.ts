/** The threshold rule of the core in the simulation: standbys that come when servers are over it, and go again. */
import { type ScalingDecision, ScalingRule, Sightings } from '../core/scaling.ts';
import type { Scaling } from './scenario.ts';
import type { Server } from './server.ts';

/** How often the rule looks, ms. */
const LOOK_MS = 500;

export interface Scalable {
  readonly servers: readonly Server[];
  /** Starts a standby, which is a newcomer to every balancer. */
  reachable(index: number): void;
  /** Tells every balancer that a server takes no more calls. */
  drain(index: number): void;
}

export class ScalingInSim {
  private readonly rule: ScalingRule;
  private readonly world: Scalable;
  private readonly windowMs: number;
  private readonly notes: Record<string, number>;
  private readonly added: number[] = [];
  private readonly sightings = new Sightings();
  private lookedAt = 0;
  /** By server: busy time at its last report, when that was, and the utilization that it told. */
  private readonly busy: Float64Array;
  private readonly told: Float64Array;
  private reportedAt = 0;

  /** @param notes takes what a run tells of it: servers added at most, and drained */
  constructor(scaling: Scaling, reportMs: number, world: Scalable, notes: Record<string, number>) {
    this.rule = new ScalingRule(scaling);
    this.world = world;
    this.windowMs = reportMs;
    this.notes = notes;
    notes.added = 0;
    notes.drained = 0;
    this.busy = new Float64Array(world.servers.length);
    this.told = new Float64Array(world.servers.length).fill(Number.NaN);
  }

  tick(now: number): void {
    if (now - this.reportedAt >= this.windowMs) this.report(now);
    if (now - this.lookedAt < LOOK_MS) return;
    this.lookedAt = now;
    const { servers } = this.world;
    const { sightings } = this;
    sightings.clear();
    for (const server of servers) {
      if (!server.present) continue;
      const utilization = this.told[server.index] as number;
      sightings.add(`${server.index}`, !server.up || server.hung, utilization);
    }
    const added = this.added.map(index => `${index}`);
    for (const decision of this.rule.look(sightings, added, 0, now)) this.carryOut(decision, now);
  }

  private report(now: number): void {
    const elapsed = now - this.reportedAt;
    this.reportedAt = now;
    for (const server of this.world.servers) {
      const busy = server.busyAt(now);
      const used = (busy - (this.busy[server.index] as number)) / (server.slots * elapsed);
      this.told[server.index] = server.present && server.up && !server.hung ? used : Number.NaN;
      this.busy[server.index] = busy;
    }
  }

  private carryOut(decision: ScalingDecision, now: number): void {
    const { world, notes } = this;
    if (decision.kind === 'drain') {
      const index = this.added.pop();
      if (index === undefined) return;
      (world.servers[index] as Server).present = false;
      world.drain(index);
      notes.drained = (notes.drained ?? 0) + 1;
      this.rule.answered(decision, now);
      return;
    }
    const standby = world.servers.find(server => !server.present && server.up && server.inFlight === 0);
    if (standby === undefined) {
      this.rule.refused(decision, now);
      return;
    }
    standby.present = true;
    this.added.push(standby.index);
    this.told[standby.index] = Number.NaN;
    notes.added = (notes.added ?? 0) + 1;
    world.reachable(standby.index);
    this.rule.answered(decision, now);
  }
}
