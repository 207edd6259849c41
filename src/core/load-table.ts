/**
 * One row of load a server, shared by every pool that the server is in. Columns are typed arrays,
 * indexed by slot; counts are Int32, so that the table can become a SharedArrayBuffer with one
 * column a worker. Slots are reused: a row's generation tells its lives apart.
 *
 * Own calls in flight have two columns. *Relayed* ones are exact. *Leased* ones are inferred, since a
 * caller may never report what became of its lease: at each report, the leases picked before it count
 * as at most what the report leaves room for, `max(0, reported − relayed)`; younger ones in full.
 */
import type { LoadSample } from './core.ts';
import { type CapacityCell, decayedFailure, learnCapacity, SCORE } from './score.ts';

/** A pool's side of a row: told when the row's load has changed. */
export interface RowListener {
  /** Own calls in flight or failures changed. */
  rekey(member: number): void;
  /** The failure term changed; `failed`: by a failure. A `rekey` follows. */
  failureChanged(member: number, now: number, failed: boolean): void;
  /** A report came: everything changed. */
  reported(member: number, now: number): void;
  /** The row's server leaves the pool. */
  remove(slot: number): void;
}

export interface Membership {
  readonly pool: RowListener;
  readonly member: number;
}

export const LeaseKind = { RELAYED: 0, LEASED: 1 } as const;
export type LeaseKind = (typeof LeaseKind)[keyof typeof LeaseKind];

/** What another balancer says of a server: `heapmesh.v1.ServerLoad` as numbers, ms and calls/s; NaN is unknown. */
export interface AdoptedLoad {
  readonly sequence: number;
  readonly ageMs: number;
  readonly inFlight: number;
  readonly utilization: number;
  readonly capacity: number;
  readonly others: number;
  readonly failure: number;
  readonly intervalMs: number;
}

const UNBOUNDED = 0x7fff_ffff;
const NO_MEMBERS: readonly Membership[] = [];

/** 0 for what is negative or NaN. */
function positive(value: number): number {
  // biome-ignore lint/complexity/useMathMinMax: Math.max hands NaN on, which here means "not said"
  return value > 0 ? value : 0;
}

export class LoadTable {
  /** Rows that are in use. */
  used = 0;
  /** Reports taken in, over all rows. */
  reports = 0;

  generation = new Uint32Array(0);
  relayed = new Int32Array(0);
  /** Open leases picked before the last report, and since. */
  leasedOld = new Int32Array(0);
  leasedYoung = new Int32Array(0);
  /** What the last report leaves for old leases. */
  leasedBound = new Int32Array(0);
  /** Σ of the start times of relayed calls in flight, ms, in units of 1/1024 ms so that it stays exact. */
  startSum = new Float64Array(0);
  /** Own calls served since the last report. */
  servedSince = new Float64Array(0);

  /** Time of the last report, ms; −Infinity: none in this life. */
  reportTime = new Float64Array(0);
  /** Counts reports and restarts of the row. */
  reportCount = new Uint32Array(0);
  /** Observed report interval, ms. */
  intervalMs = new Float64Array(0);
  /** R, NaN where the report did not say. */
  reported = new Float64Array(0);
  utilization = new Float64Array(0);
  rps = new Float64Array(0);
  /** o and ō; NaN before the first report. */
  others = new Float64Array(0);
  othersMean = new Float64Array(0);

  served = new Float64Array(0);
  busyS = new Float64Array(0);
  /** Learned capacity, calls/s at utilization 1; 0: unknown. */
  capacity = new Float64Array(0);
  capacityTime = new Float64Array(0);

  failure = new Float64Array(0);
  failureTime = new Float64Array(0);
  failureReported = new Float64Array(0);
  /** EWMA of own latencies of served calls, ms; NaN: none. */
  latencyMs = new Float64Array(0);
  /** Calls that prove the server: own successes and reported ones. */
  proven = new Float64Array(0);

  /** When the present warm-up began, ms, and what was proven before it. */
  warmSince = new Float64Array(0);
  private provenBefore = new Float64Array(0);

  weight = new Float64Array(0);
  maxConcurrency = new Int32Array(0);

  private members: Membership[][] = [];
  private readonly free: number[] = [];
  private readonly cell: CapacityCell = { served: 0, busyS: 0 };

  /** A row for a server, all zero and never reported. */
  allocate(weight: number, maxConcurrency: number): number {
    let slot = this.free.pop();
    if (slot === undefined) {
      slot = this.used;
      if (slot >= this.relayed.length) this.grow();
    }
    this.used++;
    this.relayed[slot] = 0;
    this.leasedOld[slot] = 0;
    this.leasedYoung[slot] = 0;
    this.reportCount[slot] = 0;
    this.startSum[slot] = 0;
    this.latencyMs[slot] = Number.NaN;
    this.weight[slot] = weight;
    this.maxConcurrency[slot] = maxConcurrency;
    this.restart(slot);
    return slot;
  }

  /** Ends a row's life: leases on it that are still open change nothing any more. */
  release(slot: number): void {
    this.generation[slot] = ((this.generation[slot] ?? 0) + 1) >>> 0;
    this.members[slot] = [];
    this.free.push(slot);
    this.used--;
  }

  /** The server began a new life under the same name: what reports and proofs told of the old one is void. */
  restart(slot: number): void {
    // Open leases are of before; the report count goes on, since they remember it.
    this.leasedOld[slot] = this.leased(slot);
    this.leasedYoung[slot] = 0;
    this.leasedBound[slot] = UNBOUNDED;
    this.reportCount[slot] = ((this.reportCount[slot] as number) + 1) >>> 0;
    this.servedSince[slot] = 0;
    this.reportTime[slot] = Number.NEGATIVE_INFINITY;
    this.intervalMs[slot] = 0;
    this.reported[slot] = Number.NaN;
    this.utilization[slot] = 0;
    this.rps[slot] = 0;
    this.others[slot] = Number.NaN;
    this.othersMean[slot] = Number.NaN;
    this.served[slot] = 0;
    this.busyS[slot] = 0;
    this.capacity[slot] = 0;
    this.capacityTime[slot] = Number.NEGATIVE_INFINITY;
    this.failure[slot] = 0;
    this.failureTime[slot] = 0;
    this.failureReported[slot] = 0;
    this.proven[slot] = 0;
    this.provenBefore[slot] = 0;
  }

  /** A warm-up begins: proofs count from now on. */
  warmUp(slot: number, now: number): void {
    this.warmSince[slot] = now;
    this.provenBefore[slot] = this.proven[slot] as number;
  }

  /** Calls proven since the present warm-up began. */
  provenSince(slot: number): number {
    return (this.proven[slot] as number) - (this.provenBefore[slot] as number);
  }

  join(slot: number, pool: RowListener, member: number): void {
    (this.members[slot] as Membership[]).push({ pool, member });
  }

  leave(slot: number, pool: RowListener): void {
    this.members[slot] = (this.members[slot] ?? []).filter(one => one.pool !== pool);
  }

  membersOf(slot: number): readonly Membership[] {
    return this.members[slot] ?? NO_MEMBERS;
  }

  /** Own calls in flight that count for the score. */
  own(slot: number): number {
    const old = this.leasedOld[slot] as number;
    const bound = this.leasedBound[slot] as number;
    return (this.relayed[slot] as number) + Math.min(old, bound) + (this.leasedYoung[slot] as number);
  }

  /** Open leases, whatever they count. */
  leased(slot: number): number {
    return (this.leasedOld[slot] as number) + (this.leasedYoung[slot] as number);
  }

  /** A call begins. Returns what `end` needs to know: the report count at its pick. */
  begin(slot: number, kind: LeaseKind, start: number): number {
    if (kind === LeaseKind.RELAYED) {
      this.relayed[slot] = (this.relayed[slot] as number) + 1;
      this.startSum[slot] = (this.startSum[slot] as number) + start;
    } else {
      this.leasedYoung[slot] = (this.leasedYoung[slot] as number) + 1;
    }
    return this.reportCount[slot] as number;
  }

  /** A call ends; the row must still be of the life in which it began. */
  end(slot: number, kind: LeaseKind, start: number, reportCount: number): void {
    if (kind === LeaseKind.RELAYED) {
      const left = (this.relayed[slot] as number) - 1;
      this.relayed[slot] = left;
      this.startSum[slot] = left === 0 ? 0 : (this.startSum[slot] as number) - start;
    } else if (reportCount === this.reportCount[slot]) {
      this.leasedYoung[slot] = (this.leasedYoung[slot] as number) - 1;
    } else {
      this.leasedOld[slot] = (this.leasedOld[slot] as number) - 1;
    }
  }

  /** An own call was served in `latencyMs`. */
  succeeded(slot: number, now: number, latencyMs: number): void {
    this.servedSince[slot] = (this.servedSince[slot] as number) + 1;
    this.proven[slot] = (this.proven[slot] as number) + 1;
    const failure = this.failure[slot] as number;
    if (failure > 0) {
      const next =
        decayedFailure(failure, now - (this.failureTime[slot] as number)) * (1 - SCORE.failureStep);
      this.failure[slot] = next < 1e-6 ? 0 : next;
      this.failureTime[slot] = now;
    }
    if (latencyMs >= 0) {
      const present = this.latencyMs[slot] as number;
      if (!Number.isNaN(present)) {
        const step = latencyMs > present ? SCORE.latencyUp : SCORE.latencyDown;
        this.latencyMs[slot] = present + step * (latencyMs - present);
      } else {
        this.latencyMs[slot] = latencyMs;
      }
    }
  }

  /** An own call failed by the server's fault. */
  failed(slot: number, now: number): void {
    const present = decayedFailure(this.failure[slot] as number, now - (this.failureTime[slot] as number));
    this.failure[slot] = present + SCORE.failureStep * (1 - present);
    this.failureTime[slot] = now;
  }

  /** f as it is now: own experience or what the last report told, whichever is worse. */
  failureNow(slot: number, now: number): number {
    const own = decayedFailure(this.failure[slot] as number, now - (this.failureTime[slot] as number));
    const told = decayedFailure(
      this.failureReported[slot] as number,
      now - (this.reportTime[slot] as number),
    );
    return Math.max(own, told);
  }

  /** Mean age of relayed calls in flight, ms; NaN where there is none. */
  meanAgeMs(slot: number, now: number): number {
    const count = this.relayed[slot] as number;
    return count > 0 ? now - (this.startSum[slot] as number) / count : Number.NaN;
  }

  /** Takes a report in and re-keys the server in every pool it is in. */
  report(slot: number, sample: LoadSample, now: number): void {
    this.reports++;
    const last = this.reportTime[slot] as number;
    const sinceMs = now - last;
    const interval = this.stampReport(slot, sinceMs, now);
    const windowMs = sample.windowMs > 0 ? sample.windowMs : sinceMs;
    const known = windowMs > 0 && windowMs < Number.POSITIVE_INFINITY;

    const rps = positive(sample.rps);
    const eps = Math.min(positive(sample.eps), rps);
    this.rps[slot] = rps;
    this.utilization[slot] = positive(sample.utilization);
    this.failureReported[slot] = rps > 0 ? eps / rps : 0;

    const inFlight = sample.inFlight >= 0 ? sample.inFlight : this.inferInFlight(slot, rps, windowMs);
    this.countOthers(slot, inFlight, interval, sinceMs, Number.NaN);
    this.reported[slot] = sample.inFlight >= 0 ? sample.inFlight : Number.NaN;

    if (known) {
      const served = ((rps - eps) * windowMs) / 1000;
      if (served > 0) this.proven[slot] = (this.proven[slot] as number) + served;
      if (sample.utilization > 0 && rps > 0) {
        const cell = this.cell;
        cell.served = this.served[slot] as number;
        cell.busyS = this.busyS[slot] as number;
        const busyS = (sample.utilization * windowMs) / 1000;
        this.capacity[slot] = learnCapacity(cell, served, busyS, windowMs, interval);
        this.served[slot] = cell.served;
        this.busyS[slot] = cell.busyS;
        this.capacityTime[slot] = now;
      }
    }
    this.announce(slot, now);
  }

  /** Takes over what another balancer learned from a report; same effect as the report itself. */
  adopt(slot: number, load: AdoptedLoad, now: number): void {
    this.reports++;
    const time = now - positive(load.ageMs);
    const sinceMs = time - (this.reportTime[slot] as number);
    const interval = this.stampReport(slot, sinceMs, time);
    if (load.intervalMs > 0) this.intervalMs[slot] = load.intervalMs;
    this.utilization[slot] = positive(load.utilization);
    this.failureReported[slot] = Math.min(1, positive(load.failure));
    this.countOthers(
      slot,
      load.inFlight >= 0 ? load.inFlight : this.own(slot),
      interval,
      sinceMs,
      load.others,
    );
    this.reported[slot] = load.inFlight;
    if (load.capacity > 0) {
      this.capacity[slot] = load.capacity;
      this.capacityTime[slot] = time;
    }
    this.announce(slot, now);
  }

  private stampReport(slot: number, sinceMs: number, time: number): number {
    const present = this.intervalMs[slot] as number;
    let interval = present;
    if (sinceMs > 0 && sinceMs < Number.POSITIVE_INFINITY) {
      // One late report must not double the interval, and a burst must not shrink it to nothing.
      interval = present === 0 ? sinceMs : present + 0.2 * (Math.min(sinceMs, 4 * present) - present);
    }
    this.intervalMs[slot] = interval;
    if (time > (this.reportTime[slot] as number)) this.reportTime[slot] = time;
    this.reportCount[slot] = ((this.reportCount[slot] as number) + 1) >>> 0;
    return interval;
  }

  /** A report without in-flight: calls that others had served, times how long a call takes here (Little's law). */
  private inferInFlight(slot: number, rps: number, windowMs: number): number {
    const latency = this.latencyMs[slot] as number;
    if (!(latency >= 0) || !(windowMs > 0) || windowMs === Number.POSITIVE_INFINITY) return this.own(slot);
    const foreign = Math.max(0, rps - ((this.servedSince[slot] as number) * 1000) / windowMs);
    return this.own(slot) + (foreign * latency) / 1000;
  }

  private countOthers(
    slot: number,
    inFlight: number,
    intervalMs: number,
    sinceMs: number,
    startMean: number,
  ): void {
    const relayed = this.relayed[slot] as number;
    const old = (this.leasedOld[slot] as number) + (this.leasedYoung[slot] as number);
    const bound = Math.max(0, Math.round(inFlight) - relayed);
    this.leasedOld[slot] = old;
    this.leasedYoung[slot] = 0;
    this.leasedBound[slot] = bound;
    const others = Math.max(0, inFlight - relayed - Math.min(old, bound));
    this.others[slot] = others;
    const mean = this.othersMean[slot] as number;
    if (!Number.isNaN(mean)) {
      const constant = Math.max(SCORE.othersFloorMs, SCORE.othersIntervals * intervalMs);
      this.othersMean[slot] = others + (mean - others) * Math.exp(-Math.max(0, sinceMs) / constant);
    } else {
      this.othersMean[slot] = startMean >= 0 ? startMean : others;
    }
    this.servedSince[slot] = 0;
  }

  private announce(slot: number, now: number): void {
    const members = this.members[slot] as Membership[];
    for (let i = 0; i < members.length; i++) {
      const one = members[i] as Membership;
      one.pool.reported(one.member, now);
    }
  }

  private grow(): void {
    const size = Math.max(16, this.relayed.length * 2);
    const wider = <T extends Float64Array | Int32Array | Uint32Array>(
      make: new (length: number) => T,
      from: T,
    ): T => {
      const to = new make(size);
      to.set(from as never);
      return to;
    };
    this.generation = wider(Uint32Array, this.generation);
    this.reportCount = wider(Uint32Array, this.reportCount);
    this.relayed = wider(Int32Array, this.relayed);
    this.leasedOld = wider(Int32Array, this.leasedOld);
    this.leasedYoung = wider(Int32Array, this.leasedYoung);
    this.leasedBound = wider(Int32Array, this.leasedBound);
    this.maxConcurrency = wider(Int32Array, this.maxConcurrency);
    this.startSum = wider(Float64Array, this.startSum);
    this.servedSince = wider(Float64Array, this.servedSince);
    this.reportTime = wider(Float64Array, this.reportTime);
    this.intervalMs = wider(Float64Array, this.intervalMs);
    this.reported = wider(Float64Array, this.reported);
    this.utilization = wider(Float64Array, this.utilization);
    this.rps = wider(Float64Array, this.rps);
    this.others = wider(Float64Array, this.others);
    this.othersMean = wider(Float64Array, this.othersMean);
    this.served = wider(Float64Array, this.served);
    this.busyS = wider(Float64Array, this.busyS);
    this.capacity = wider(Float64Array, this.capacity);
    this.capacityTime = wider(Float64Array, this.capacityTime);
    this.failure = wider(Float64Array, this.failure);
    this.failureTime = wider(Float64Array, this.failureTime);
    this.failureReported = wider(Float64Array, this.failureReported);
    this.latencyMs = wider(Float64Array, this.latencyMs);
    this.proven = wider(Float64Array, this.proven);
    this.provenBefore = wider(Float64Array, this.provenBefore);
    this.warmSince = wider(Float64Array, this.warmSince);
    this.weight = wider(Float64Array, this.weight);
    while (this.members.length < size) this.members.push([]);
  }
}
