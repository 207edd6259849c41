/**
 * One row of load a server, shared by every pool that the server is in: what calls move (`call-rows.ts`)
 * and what reports tell. Columns are typed arrays, indexed by slot. Slots are reused: a row's generation
 * tells its lives apart.
 */
import { CallRows } from './call-rows.ts';
import type { LoadSample } from './core.ts';
import { LOAD_LIMITS } from './limits.ts';
import { type CapacityCell, decayedFailure, learnCapacity, SCORE } from './score.ts';

export { LeaseKind, type RowListener } from './call-rows.ts';

/** What another balancer says of a server: `heapmesh.v1.ServerLoad` as numbers, ms and calls/s; NaN is unknown. */
export interface AdoptedLoad {
  readonly ageMs: number;
  readonly inFlight: number;
  readonly utilization: number;
  readonly capacity: number;
  readonly others: number;
  readonly failure: number;
  readonly intervalMs: number;
}

/** Of so many picks one is looked at; a power of two. */
export const PICK_AGE_SAMPLE = 8;

/** 0 for what is below `least` or NaN, `most` for what is above that: sums of believed numbers stay finite. */
function within(value: number, least: number, most: number): number {
  return value >= least ? Math.min(value, most) : 0;
}

export class LoadTable extends CallRows {
  /** Rows that are in use. */
  used = 0;
  /** Reports taken in, over all rows. */
  reports = 0;
  /**
   * Ages of the last report of what was picked: of one pick in `PICK_AGE_SAMPLE`, by the power of two of a
   * millisecond that they reach; their sum in ms.
   */
  readonly pickAges = new Float64Array(33);
  pickAgeSumMs = 0;

  /** Time of the last report, ms; −Infinity: none in this life. */
  reportTime = new Float64Array(0);
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

  failureReported = new Float64Array(0);
  /** Share of reports, of those that can be told, that say fewer in flight than we alone have there. */
  private doubt = new Float64Array(0);
  /** When the present warm-up began, ms. */
  warmSince = new Float64Array(0);

  weight = new Float64Array(0);
  maxConcurrency = new Int32Array(0);

  /** Variance of a window's completions per expected one: see `learnCapacity`. */
  private variance: number = SCORE.capacityVariance;
  /** Mean difference of the logarithms of a server's completions per utilization from one window to the next. */
  private jitter = 0;
  /** Completions per utilization of the last window; 0: none, or too few. */
  private windowRate = new Float64Array(0);
  private readonly free: number[] = [];
  private readonly capacityCell: CapacityCell = { served: 0, busyS: 0, known: false };
  private readonly failureCell = new Float64Array(1);

  /** A row for a server, all zero and never reported. */
  allocate(weight: number, maxConcurrency: number): number {
    let slot = this.free.pop();
    if (slot === undefined) {
      slot = this.used;
      if (slot >= this.weight.length) this.grow();
    }
    this.used++;
    this.beginRow(slot);
    this.describe(slot, weight, maxConcurrency);
    this.restart(slot);
    return slot;
  }

  /** The server's weight and limit as they are now; who knows of the change tells the pools. */
  describe(slot: number, weight: number, maxConcurrency: number): void {
    const { minWeight, maxWeight, inFlight } = LOAD_LIMITS;
    this.weight[slot] = weight > 0 ? Math.min(maxWeight, Math.max(minWeight, weight)) : 1;
    this.maxConcurrency[slot] = within(maxConcurrency, 0, inFlight);
  }

  /** Counts how old what is known of a picked server is; one that never reports has no age. */
  countPickAge(slot: number, now: number): void {
    const age = now - (this.reportTime[slot] as number);
    if (!(age < Number.POSITIVE_INFINITY)) return;
    // A whole power of two belongs to the bucket that it ends.
    const bucket = 32 - Math.clz32(Math.max(0, Math.ceil(age) - 1));
    this.pickAges[bucket] = (this.pickAges[bucket] as number) + 1;
    this.pickAgeSumMs += age;
  }

  /** Ends a row's life: leases on it that are still open change nothing any more. */
  release(slot: number): void {
    this.endRow(slot);
    this.free.push(slot);
    this.used--;
  }

  /** The server began a new life under the same name: what reports and proofs told of the old one is void. */
  restart(slot: number): void {
    this.restartRow(slot);
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
    this.windowRate[slot] = 0;
    this.capacityTime[slot] = Number.NEGATIVE_INFINITY;
    this.failureReported[slot] = 0;
    this.doubt[slot] = 0;
  }

  /** A warm-up begins: proofs count from now on. */
  warmUp(slot: number, now: number): void {
    this.warmSince[slot] = now;
    this.beginProof(slot);
  }

  /** f as it is now: own experience or what the last report told, whichever is worse. */
  failureNow(slot: number, now: number): number {
    this.failureInto(this.failureCell, slot, now);
    return this.failureCell[0] as number;
  }

  /** The same into a cell, for the path of a call. */
  failureInto(cell: Float64Array, slot: number, now: number): void {
    this.ownFailureInto(cell, slot, now);
    const told = this.failureReported[slot] as number;
    if (told === 0) return;
    const toldNow = decayedFailure(told, now - (this.reportTime[slot] as number));
    cell[0] = Math.max(cell[0] as number, toldNow);
  }

  /**
   * A pool tells how long its calls in flight are on the mean, over how long a call is. What one pool has seen of
   * late holds for all: their servers are the same.
   */
  tellAges(ageOverResidence: number): void {
    const { varianceOfAge, varianceFromAge, leastVariance, capacityVariance, mostVariance } = SCORE;
    const seen = varianceOfAge * ageOverResidence;
    const most = ageOverResidence > varianceFromAge ? mostVariance : capacityVariance;
    const told = Math.max(leastVariance, Math.min(most, seen));
    this.variance = Math.max(told, this.variance + 0.2 * (told - this.variance));
  }

  /** Takes a report in and re-keys the server in every pool it is in. */
  report(slot: number, sample: LoadSample, now: number): void {
    this.reports++;
    const sinceMs = now - (this.reportTime[slot] as number);
    const interval = this.stampReport(slot, sinceMs, now);
    const windowMs = sample.windowMs > 0 ? Math.min(sample.windowMs, LOAD_LIMITS.windowMs) : sinceMs;
    const known = windowMs > 0 && windowMs < Number.POSITIVE_INFINITY;

    const { inFlight: most, rate, minUtilization, maxUtilization } = LOAD_LIMITS;
    const rps = within(sample.rps, 0, rate);
    const eps = Math.min(within(sample.eps, 0, rate), rps);
    const utilization = within(sample.utilization, minUtilization, maxUtilization);
    this.rps[slot] = rps;
    this.utilization[slot] = utilization;
    this.failureReported[slot] = rps > 0 ? eps / rps : 0;

    const said = sample.inFlight >= 0 ? Math.min(sample.inFlight, most) : Number.NaN;
    const told = this.isBelieved(slot, said) ? said : Number.NaN;
    const inFlight = told >= 0 ? told : Math.min(this.inferInFlight(slot, rps, windowMs), most);
    this.countOthers(slot, inFlight, interval, sinceMs, Number.NaN);
    this.reported[slot] = told;

    if (known) {
      const served = ((rps - eps) * windowMs) / 1000;
      if (served > 0) this.prove(slot, served);
      if (utilization > 0 && rps > 0) {
        const cell = this.capacityCell;
        cell.served = this.served[slot] as number;
        cell.busyS = this.busyS[slot] as number;
        cell.known = (this.capacity[slot] as number) > 0;
        const busyS = (utilization * windowMs) / 1000;
        const noise = this.noiseWith(slot, served, busyS);
        this.capacity[slot] = learnCapacity(cell, served, busyS, windowMs, interval, this.variance, noise);
        this.served[slot] = cell.served;
        this.busyS[slot] = cell.busyS;
        this.capacityTime[slot] = now;
      }
    }
    this.announce(slot, now);
  }

  /**
   * How noisy windows of enough calls are, over all servers: by the difference of each to the one before, in which what
   * a server can do and how that changes falls out.
   */
  private noiseWith(slot: number, served: number, busyS: number): number {
    const before = this.windowRate[slot] as number;
    const rate = served >= SCORE.noiseCalls ? served / busyS : 0;
    this.windowRate[slot] = rate;
    if (before > 0 && rate > 0) {
      this.jitter += SCORE.noiseStep * (Math.abs(Math.log(rate / before)) - this.jitter);
    }
    // Of two normal values the mean difference is 2/√π times their standard deviation.
    return this.jitter * (Math.sqrt(Math.PI) / 2);
  }

  /** Takes over what another balancer learned from a report; same effect as the report itself. */
  adopt(slot: number, load: AdoptedLoad, now: number): void {
    this.reports++;
    const { inFlight: most, maxUtilization, minCapacity, maxCapacity, windowMs } = LOAD_LIMITS;
    const time = now - within(load.ageMs, 0, windowMs);
    const sinceMs = time - (this.reportTime[slot] as number);
    const interval = this.stampReport(slot, sinceMs, time);
    if (load.intervalMs > 0) this.intervalMs[slot] = within(load.intervalMs, 0, windowMs);
    this.utilization[slot] = within(load.utilization, 0, maxUtilization);
    this.failureReported[slot] = within(load.failure, 0, 1);
    const told = load.inFlight >= 0 ? Math.min(load.inFlight, most) : Number.NaN;
    const startMean = load.others >= 0 ? Math.min(load.others, most) : Number.NaN;
    this.countOthers(slot, told >= 0 ? told : this.own(slot), interval, sinceMs, startMean);
    this.reported[slot] = told;
    const capacity = within(load.capacity, minCapacity, maxCapacity);
    if (capacity > 0) {
      this.capacity[slot] = capacity;
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
    return interval;
  }

  /**
   * Whether a number in flight can be true. Of one that often has fewer than we alone have there, none is believed:
   * it would draw calls by it. A truthful one has fewer only for calls that are on the wire.
   */
  private isBelieved(slot: number, said: number): boolean {
    const own = this.relayed(slot);
    if (own > 0 && said >= 0) {
      const before = this.doubt[slot] as number;
      this.doubt[slot] = before + SCORE.doubtStep * ((said < own ? 1 : 0) - before);
    }
    return !((this.doubt[slot] as number) > SCORE.doubtMost);
  }

  /** A report without in-flight: calls that others had served, times how long a call takes here (Little's law). */
  private inferInFlight(slot: number, rps: number, windowMs: number): number {
    const latency = this.latencyOf(slot);
    if (!(latency >= 0) || !(windowMs > 0) || windowMs === Number.POSITIVE_INFINITY) return this.own(slot);
    const foreign = Math.max(0, rps - (this.servedSince(slot) * 1000) / windowMs);
    return this.own(slot) + (foreign * latency) / 1000;
  }

  private countOthers(
    slot: number,
    inFlight: number,
    intervalMs: number,
    sinceMs: number,
    startMean: number,
  ): void {
    const relayed = this.relayed(slot);
    const bound = Math.max(0, Math.round(inFlight) - relayed);
    const old = this.settleLeases(slot, bound);
    const others = Math.max(0, inFlight - relayed - Math.min(old, bound));
    this.others[slot] = others;
    const mean = this.othersMean[slot] as number;
    if (!Number.isNaN(mean)) {
      const constant = Math.max(SCORE.othersFloorMs, SCORE.othersIntervals * intervalMs);
      this.othersMean[slot] = others + (mean - others) * Math.exp(-Math.max(0, sinceMs) / constant);
    } else {
      this.othersMean[slot] = startMean >= 0 ? startMean : others;
    }
  }

  private announce(slot: number, now: number): void {
    const members = this.membersOf(slot);
    for (let i = 0; i < members.length; i++) {
      const one = members[i] as (typeof members)[number];
      one.pool.reported(one.member, now);
    }
  }

  private grow(): void {
    const size = Math.max(16, this.weight.length * 2);
    const wider = <T extends Float64Array | Int32Array>(make: new (length: number) => T, from: T): T => {
      const to = new make(size);
      to.set(from as never);
      return to;
    };
    this.maxConcurrency = wider(Int32Array, this.maxConcurrency);
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
    this.windowRate = wider(Float64Array, this.windowRate);
    this.capacityTime = wider(Float64Array, this.capacityTime);
    this.failureReported = wider(Float64Array, this.failureReported);
    this.doubt = wider(Float64Array, this.doubt);
    this.warmSince = wider(Float64Array, this.warmSince);
    this.weight = wider(Float64Array, this.weight);
    this.growRows(size);
  }
}
