/**
 * gRPC's `weighted_round_robin` (gRFC A58): turns in proportion to
 *
 *     weight = qps / (utilization + eps/qps · error_utilization_penalty)
 *
 * by earliest deadline first. "Each subchannel's deadline is set to a random value in the range [0,
 * period] when first inserted"; the schedule is made anew each `weight_update_period`. A member without a
 * usable weight gets the mean of those with one; with fewer than two weights all are equal. A weight is
 * usable once reports have come for `blackout_period`, and until none came for
 * `weight_expiration_period`. An operator's weight multiplies what the report says.
 */
import { IndexedHeap } from '../heap.ts';
import type { LoadTable } from '../load-table.ts';
import type { Candidates } from './candidates.ts';
import type { Policy } from './policy.ts';

/** The defaults of A58, ms and a factor. */
const A58 = {
  blackoutMs: 10_000,
  expirationMs: 180_000,
  updateMs: 1_000,
  errorPenalty: 1,
} as const;

export class WeightedRoundRobin implements Policy {
  private readonly random: () => number;
  private readonly loads: LoadTable;
  // By member: weight, since when there were reports (`non_empty_since`), time of the last one that
  // counts (`last_updated`), and 1/weight in the present schedule.
  private weight = new Float64Array(16);
  private since = new Float64Array(16);
  private updated = new Float64Array(16);
  private period = new Float64Array(16);

  private schedule = new IndexedHeap();
  private scheduledAt = Number.NEGATIVE_INFINITY;
  private scheduledSize = -1;

  constructor(loads: LoadTable, random: () => number) {
    this.loads = loads;
    this.random = random;
  }

  entered(member: number, slot: number, now: number): void {
    if (member >= this.weight.length) this.grow(member);
    this.weight[member] = 0;
    this.since[member] = Number.POSITIVE_INFINITY;
    this.updated[member] = Number.NEGATIVE_INFINITY;
    this.scheduledSize = -1;
    this.reported(member, slot, now);
    // Of a server that reported before it came here, or before this policy did, that counts.
    if (this.since[member] === now) {
      this.since[member] = now - this.loads.reportsOf(slot) * (this.loads.intervalMs[slot] as number);
    }
  }

  reported(member: number, slot: number, now: number): void {
    const qps = this.loads.rps[slot] as number;
    const utilization = this.loads.utilization[slot] as number;
    if (!(qps > 0) || !(utilization > 0)) return;
    // eps/qps, as the table keeps it.
    const errors = this.loads.failureReported[slot] as number;
    if (this.since[member] === Number.POSITIVE_INFINITY) this.since[member] = now;
    this.updated[member] = now;
    this.weight[member] = qps / (utilization + errors * A58.errorPenalty);
  }

  choose(candidates: Candidates, now: number): number {
    const due = now - this.scheduledAt >= A58.updateMs;
    if (due || this.scheduledSize !== candidates.size) this.build(candidates, now);
    const { schedule } = this;
    for (let looked = 0; looked <= schedule.size; looked++) {
      const member = schedule.peek();
      if (member < 0) break;
      schedule.pickRoot(schedule.peekKey() + (this.period[member] as number));
      if (candidates.has(member)) return member;
    }
    // Others have come in the place of those that were scheduled.
    this.build(candidates, now);
    return schedule.peek();
  }

  private build(candidates: Candidates, now: number): void {
    this.scheduledAt = now;
    this.scheduledSize = candidates.size;
    this.schedule.clear();
    let sum = 0;
    let known = 0;
    for (let n = 0; n < candidates.size; n++) {
      const member = candidates.at(n);
      const weight = this.usable(member, now);
      this.period[member] = weight;
      sum += weight;
      if (weight > 0) known++;
    }
    const mean = known >= 2 ? sum / known : 1;
    for (let n = 0; n < candidates.size; n++) {
      const member = candidates.at(n);
      const own = this.period[member] as number;
      const weight = (known < 2 || own === 0 ? mean : own) * candidates.pool.weightOf(member);
      this.period[member] = 1 / weight;
      this.schedule.insert(member, this.random() / weight);
    }
  }

  private usable(member: number, now: number): number {
    if (now - (this.updated[member] as number) >= A58.expirationMs) {
      this.since[member] = Number.POSITIVE_INFINITY;
      return 0;
    }
    return now - (this.since[member] as number) < A58.blackoutMs ? 0 : (this.weight[member] as number);
  }

  private grow(member: number): void {
    const size = Math.max(member + 1, this.weight.length * 2);
    const wider = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(size);
      to.set(from);
      return to;
    };
    this.weight = wider(this.weight);
    this.since = wider(this.since);
    this.updated = wider(this.updated);
    this.period = wider(this.period);
  }
}
