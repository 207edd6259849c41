/**
 * gRPC's `weighted_round_robin` (gRFC A58): weight = qps / (utilization + eps/qps · penalty) of the last
 * report; earliest deadline first, rebuilt each second. A server without a weight gets the mean.
 */
import type { LoadSample } from '../../core/core.ts';
import type { PolicyUnderTest, World } from '../balancer.ts';
import type { Random } from '../random.ts';
import { ListBalancer } from './list.ts';

const BLACKOUT_MS = 10_000;
const EXPIRATION_MS = 180_000;
const UPDATE_MS = 1_000;
const PENALTY = 1;

class OrcaWeights extends ListBalancer {
  private readonly weight: Float64Array;
  private readonly since: Float64Array;
  private readonly updated: Float64Array;
  private readonly deadline: Float64Array;
  private readonly period: Float64Array;
  private built = Number.NEGATIVE_INFINITY;
  private changed = true;

  constructor(world: World, random: Random) {
    super(world, random);
    const count = this.own.length;
    this.weight = new Float64Array(count);
    this.since = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
    this.updated = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    this.deadline = new Float64Array(count);
    this.period = new Float64Array(count);
  }

  report(server: number, { rps, eps, utilization }: LoadSample, now: number): void {
    if (!(rps > 0) || !(utilization > 0)) return;
    if (this.since[server] === Number.POSITIVE_INFINITY) this.since[server] = now;
    this.updated[server] = now;
    this.weight[server] = rps / (utilization + (eps / rps) * PENALTY);
  }

  override join(server: number, now: number): void {
    super.join(server, now);
    this.since[server] = Number.POSITIVE_INFINITY;
    this.changed = true;
  }

  override leave(server: number, now: number): void {
    super.leave(server, now);
    this.changed = true;
  }

  protected choose(now: number): number {
    if (this.changed || now - this.built >= UPDATE_MS) this.build(now);
    let best = this.list[0] as number;
    for (const server of this.list) {
      if ((this.deadline[server] as number) < (this.deadline[best] as number)) best = server;
    }
    this.deadline[best] = (this.deadline[best] as number) + (this.period[best] as number);
    return best;
  }

  private build(now: number): void {
    this.built = now;
    this.changed = false;
    let sum = 0;
    let known = 0;
    for (const server of this.list) {
      const weight = this.usable(server, now);
      this.period[server] = weight;
      sum += weight;
      if (weight > 0) known++;
    }
    const mean = known >= 2 ? sum / known : 1;
    for (const server of this.list) {
      const weight = known < 2 || this.period[server] === 0 ? mean : (this.period[server] as number);
      this.period[server] = 1 / weight;
      this.deadline[server] = this.random.next() / weight;
    }
  }

  private usable(server: number, now: number): number {
    if (now - (this.updated[server] as number) >= EXPIRATION_MS) {
      this.since[server] = Number.POSITIVE_INFINITY;
      return 0;
    }
    return now - (this.since[server] as number) < BLACKOUT_MS ? 0 : (this.weight[server] as number);
  }
}

export const ORCA_WRR: PolicyUnderTest = {
  name: 'orca-wrr',
  about: 'weighted round robin by ORCA reports (gRFC A58)',
  kind: 'peer',
  create: (world, _index, random) => new OrcaWeights(world, random),
};
