/**
 * The parts of the score that belong to one pool: residence time, mean capacity, the shares that prior
 * and capacity grid are taken from. Per member it keeps the score split into what moves with every call
 * and what does not, so that a pick costs one multiplication and two additions:
 *
 *     key = (own + base) · factor + penalty      base = ô + δ,  factor = stale · g / c,  penalty = f²·L·g
 *
 * The key is the score times g, the pool's mean capacity: what a member's key was computed from must not
 * depend on when that was, and g is a guess until the first capacity is learned.
 */
import { LOAD_LIMITS, POOL_LIMITS } from './limits.ts';
import type { LoadTable } from './load-table.ts';
import { driftedCapacity, gridStepOf, othersEstimate, SCORE, staleFactor } from './score.ts';

/** Shift of a member to its row of parts, and the cells of a row. */
const ROW = 2;
const BASE = 0;
const FACTOR = 1;
const PENALTY = 2;
/** Step on the capacity grid; NaN: none yet. */
const STEP = 3;

export class PoolScores {
  /** By member, four cells a row: what a call reads lies together. */
  private parts = new Float64Array(0);

  /** Own calls in flight a unit of weight, from the last round. */
  ownPerWeight = 0;
  /** W, ms. */
  residenceMs = Number.NaN;
  /** g, calls/s; NaN while no member's capacity is known. */
  private meanCapacity = Number.NaN;
  private residenceToldMs = Number.NaN;
  /** Ā, ms. */
  private meanAgeMs = 0;
  /** The same as a geometric mean over servers, ms. */
  private usualAgeMs = 0;
  /** Σ o and Σ c of eligible members that report, and how many these are. */
  private sumOthers = 0;
  /** Σ ō of the same. */
  private sumMean = 0;
  private sumCapacity = 0;
  private counting = 0;

  /** What of a member is in the sums now; its capacity is 0 where it does not count. */
  private countedOthers = new Float64Array(0);
  private countedCapacity = new Float64Array(0);
  private countedMean = new Float64Array(0);
  private countedOwn = new Float64Array(0);
  /** By member: 1 where its capacity was learned from enough calls once. */
  private mature = new Float64Array(0);
  private sumOwn = 0;

  /** By member: slow mean of own calls in flight, and when it was computed. */
  private ownMean = new Float64Array(0);
  private ownMeanTime = new Float64Array(0);

  /** Geometric mean of capacity/g · upper latency, ms, over members of known capacity; where there is none, of the latency. */
  private usualWork = Number.NaN;

  private readonly cell = new Float64Array(1);
  private readonly round = {
    weight: 0,
    own: 0,
    logs: 0,
    known: 0,
    ages: 0,
    logAges: 0,
    busy: 0,
    logWork: 0,
    works: 0,
    logLatency: 0,
    latencies: 0,
  };
  private readonly loads: LoadTable;

  constructor(loads: LoadTable) {
    this.loads = loads;
  }

  grow(capacity: number): void {
    this.parts = enlarged(this.parts, capacity << ROW);
    this.countedMean = enlarged(this.countedMean, capacity);
    this.countedOthers = enlarged(this.countedOthers, capacity);
    this.countedCapacity = enlarged(this.countedCapacity, capacity);
    this.countedOwn = enlarged(this.countedOwn, capacity);
    this.mature = enlarged(this.mature, capacity);
    this.ownMean = enlarged(this.ownMean, capacity);
    this.ownMeanTime = enlarged(this.ownMeanTime, capacity);
  }

  /** Writes a member's key into a cell: returned, it would be boxed where this is not inlined. */
  keyInto(cell: Float64Array, member: number, own: number): void {
    const { parts } = this;
    const row = member << ROW;
    cell[0] =
      (own + (parts[row + BASE] as number)) * (parts[row + FACTOR] as number) +
      (parts[row + PENALTY] as number);
  }

  key(member: number, own: number): number {
    this.keyInto(this.cell, member, own);
    return this.cell[0] as number;
  }

  /** A key as a score: seconds of expected wait. */
  seconds(key: number): number {
    return key / this.mean();
  }

  /** ô: calls that others are taken to have in flight there. */
  othersOf(member: number): number {
    return (this.parts[(member << ROW) + BASE] as number) - SCORE.bias;
  }

  /** A member comes in, its terms from what its row says. */
  enter(member: number, slot: number, eligible: boolean, now: number): void {
    this.parts[(member << ROW) + STEP] = Number.NaN;
    this.mature[member] = 0;
    this.ownMean[member] = this.loads.own(slot);
    this.ownMeanTime[member] = now;
    this.refresh(member, slot, eligible, now);
  }

  leave(member: number): void {
    this.share(member, 0, 0, 0, 0);
  }

  /** Learns W from an own call that was served. */
  served(latencyMs: number): void {
    if (!(latencyMs >= 0 && latencyMs <= LOAD_LIMITS.latencyMs)) return;
    const present = this.residenceMs;
    // As in CallRows: a choice between a number given and one computed would be boxed.
    if (Number.isNaN(present)) this.residenceMs = latencyMs;
    else this.residenceMs = present + SCORE.residenceStep * (latencyMs - present);
  }

  /** Learns W from a report by Little's law, for pools whose callers never tell a latency. */
  toldOf(slot: number): void {
    const inFlight = this.loads.reported[slot] as number;
    const rps = this.loads.rps[slot] as number;
    const residence = (inFlight * 1000) / rps;
    if (!(residence > 0 && residence <= LOAD_LIMITS.latencyMs)) return;
    const present = this.residenceToldMs;
    this.residenceToldMs = !Number.isNaN(present)
      ? present + SCORE.residenceStep * (residence - present)
      : residence;
  }

  /** Computes a member's terms anew, with everything that depends on age. */
  refresh(member: number, slot: number, eligible: boolean, now: number): void {
    const loads = this.loads;
    const learned = loads.capacity[slot] as number;
    // At once: against a guess the first servers to be known could look many times too fast or slow.
    if (learned > 0 && Number.isNaN(this.meanCapacity)) this.meanCapacity = learned;
    const mean = this.mean();
    const capacity =
      learned > 0
        ? driftedCapacity(learned, mean, now - (loads.capacityTime[slot] as number))
        : this.capacityByLatency(slot, mean);
    const { parts } = this;
    const row = member << ROW;
    const calls = loads.provenSince(slot);
    // A capacity that another balancer told has no calls of ours behind it.
    if (calls >= SCORE.matureCalls || (learned > 0 && calls === 0)) this.mature[member] = 1;
    const known = this.mature[member] === 1 ? Number.POSITIVE_INFINITY : calls;
    const step = gridStepOf(capacity, mean, parts[row + STEP] as number, known);
    parts[row + STEP] = step;
    const scaled = Math.exp(step * SCORE.gridStep) * (loads.weight[slot] as number);

    const last = loads.others[slot] as number;
    const reports = !Number.isNaN(last);
    const ownMean = this.meanOwnOf(member, slot, now);
    const othersMean = loads.othersMean[slot] as number;
    if (eligible && reports) this.share(member, last, othersMean, ownMean, scaled);
    else this.share(member, 0, 0, 0, 0);
    const fair = this.sumCapacity > 0 ? Math.max(0, (this.sumOthers * scaled) / this.sumCapacity) : 0;
    let others = fair;
    let stale = 1;
    if (!reports) {
      if (this.sumOwn > SCORE.ownFloor) {
        others = this.sumMean * (0.5 * (scaled / this.sumCapacity) + 0.5 * (ownMean / this.sumOwn));
      }
    } else {
      const age = now - (loads.reportTime[slot] as number);
      const prior = 0.5 * othersMean + 0.5 * fair;
      const interval = loads.intervalMs[slot] as number;
      others = othersEstimate(last, prior, age, this.forgetting(), sweepRoundMs(interval));
      if (interval > 0 && age > SCORE.staleIntervals * interval) {
        const ownAge = loads.meanAgeMs(slot, now);
        stale = staleFactor(loads.latencyOf(slot), this.residence(), ownAge, this.meanAgeMs);
      }
    }
    parts[row + BASE] = others + SCORE.bias;
    parts[row + FACTOR] = stale / scaled;
    this.punish(member, slot, now);
  }

  /** Computes the failure term anew. */
  punish(member: number, slot: number, now: number): void {
    this.loads.failureInto(this.cell, slot, now);
    const failure = this.cell[0] as number;
    let costS: number = SCORE.failureCostS;
    if (failure > 0) costS = Math.max(costS, (SCORE.failureResidences * this.residence()) / 1_000);
    this.parts[(member << ROW) + PENALTY] = failure * failure * costS * this.mean();
  }

  /** Capacity of a member that tells none: by how long calls take there, against the others. */
  private capacityByLatency(slot: number, mean: number): number {
    const latency = this.loads.upperLatencyOf(slot);
    if (!(latency > 0) || Number.isNaN(this.usualWork)) return mean;
    if (Math.max(this.residence(), this.meanAgeMs) > SCORE.latencyMostMs) return mean;
    const faster = this.usualWork / latency;
    return mean * Math.max(1 / SCORE.latencySlower, Math.min(SCORE.latencyFaster, faster));
  }

  /** Slow mean of own calls in flight on a member. */
  private meanOwnOf(member: number, slot: number, now: number): number {
    const own = this.loads.own(slot);
    const elapsed = now - (this.ownMeanTime[member] as number);
    this.ownMeanTime[member] = now;
    const mean = this.ownMean[member] as number;
    const next = own + (mean - own) * Math.exp(-Math.max(0, elapsed) / SCORE.othersFloorMs);
    this.ownMean[member] = next;
    return next;
  }

  /** Puts a member's part of the sums in the place of what it was; 0 of both takes it out. */
  private share(member: number, others: number, mean: number, own: number, capacity: number): void {
    const counted = this.countedCapacity[member] as number;
    if (counted > 0) this.counting--;
    if (capacity > 0) this.counting++;
    this.sumOthers += others - (this.countedOthers[member] as number);
    this.sumMean += mean - (this.countedMean[member] as number);
    this.countedMean[member] = mean;
    this.sumCapacity += capacity - counted;
    this.sumOwn += own - (this.countedOwn[member] as number);
    this.countedOthers[member] = others;
    this.countedOwn[member] = own;
    this.countedCapacity[member] = capacity;
    // What rounding leaves behind would be shared out by what rounding leaves behind.
    if (this.counting === 0) this.sumOthers = this.sumMean = this.sumCapacity = this.sumOwn = 0;
  }

  /** Counts an eligible member into the round that `endRound` closes. */
  count(slot: number, now: number): void {
    const round = this.round;
    round.weight += this.loads.weight[slot] as number;
    round.own += this.loads.own(slot);
    const learned = this.loads.capacity[slot] as number;
    if (learned > 0) {
      round.logs += Math.log(learned);
      round.known++;
    }
    const latency = this.loads.upperLatencyOf(slot);
    if (latency > 0) {
      if (learned > 0) {
        round.logWork += Math.log(learned * latency);
        round.works++;
      } else {
        round.logLatency += Math.log(latency);
        round.latencies++;
      }
    }
    const age = this.loads.meanAgeMs(slot, now);
    if (age > 0) {
      round.ages += age;
      round.logAges += Math.log(age);
      round.busy++;
    }
  }

  /** All members were counted: the means follow. */
  endRound(): void {
    const round = this.round;
    this.ownPerWeight = round.weight > 0 ? round.own / round.weight : 0;
    this.meanCapacity = round.known > 0 ? Math.exp(round.logs / round.known) : Number.NaN;
    if (round.works > 0) this.usualWork = Math.exp(round.logWork / round.works) / this.mean();
    else this.usualWork = round.latencies > 0 ? Math.exp(round.logLatency / round.latencies) : Number.NaN;
    if (round.busy > 0) {
      const age = round.ages / round.busy;
      // A slow mean: a stuck server must not pull up what it is compared with.
      this.meanAgeMs = this.meanAgeMs > 0 ? this.meanAgeMs + 0.05 * (age - this.meanAgeMs) : age;
      const usual = Math.exp(round.logAges / round.busy);
      // From what it is of exponential calls on, so that one long call at the start says nothing.
      const before = this.usualAgeMs > 0 ? this.usualAgeMs : this.residence();
      this.usualAgeMs = before + 0.02 * (usual - before);
      this.loads.tellAges(this.usualAgeMs / this.residence());
    }
    round.weight = round.own = 0;
    round.logs = round.known = round.ages = round.logAges = round.busy = 0;
    round.logWork = round.works = round.logLatency = round.latencies = 0;
  }

  /** The score's terms by name, for people. */
  terms(member: number, slot: number, now: number): Record<string, number> {
    const { parts } = this;
    const row = member << ROW;
    const loads = this.loads;
    const age = now - (loads.reportTime[slot] as number);
    const scaled = Math.exp((parts[row + STEP] as number) * SCORE.gridStep) * (loads.weight[slot] as number);
    const terms: Record<string, number> = {
      own: loads.own(slot),
      relayed: loads.relayed(slot),
      resting: loads.resting(slot),
      leased: loads.leased(slot),
      others: this.othersOf(member),
      capacity: scaled * this.mean(),
      stale: (parts[row + FACTOR] as number) * scaled,
      failure: loads.failureNow(slot, now),
      penalty_seconds: this.seconds(parts[row + PENALTY] as number),
    };
    if (age < Number.POSITIVE_INFINITY) terms.report_age_seconds = age / 1000;
    return terms;
  }

  /** Throws where the sums are not those of the members that count. */
  verify(members: { isOut(member: number): boolean; readonly slots: Int32Array }): void {
    let others = 0;
    let means = 0;
    let capacity = 0;
    let counting = 0;
    members.slots.forEach((slot, member) => {
      const counts = slot >= 0 && !members.isOut(member) && !Number.isNaN(this.loads.others[slot] as number);
      if (counts !== (this.countedCapacity[member] as number) > 0) {
        throw new Error(
          `member ${member} on slot ${slot} ${counts ? 'does not count' : 'counts'} in the sums`,
        );
      }
      others += this.countedOthers[member] as number;
      means += this.countedMean[member] as number;
      capacity += this.countedCapacity[member] as number;
      if (counts) counting++;
    });
    const near = (sum: number, exact: number): boolean => Math.abs(sum - exact) <= 1e-6 * (1 + exact);
    const isNear =
      near(this.sumOthers, others) && near(this.sumMean, means) && near(this.sumCapacity, capacity);
    if (counting !== this.counting || !isNear) {
      throw new Error(
        `sums of ${this.counting}: ${this.sumOthers}, ${this.sumMean}, ${this.sumCapacity}; of ${counting}: ${others}, ${means}, ${capacity}`,
      );
    }
  }

  /** W, ms: the best that is known. */
  residence(): number {
    if (!Number.isNaN(this.residenceMs)) return Math.max(0.01, this.residenceMs);
    if (!Number.isNaN(this.residenceToldMs)) return Math.max(0.01, this.residenceToldMs);
    return SCORE.residenceDefaultMs;
  }

  /**
   * Over what time a number in flight is forgotten: the mean age of calls in flight, which is that of what is left of
   * them. Of exponential calls it is W; where few calls are much longer than the rest, those are what is in flight.
   */
  private forgetting(): number {
    return this.meanAgeMs > 0 ? Math.max(0.01, this.meanAgeMs) : this.residence();
  }

  private mean(): number {
    return this.meanCapacity > 0 ? this.meanCapacity : (SCORE.assumedSlots * 1000) / this.residence();
  }
}

/** Time in which all members of a pool are computed anew once, by their longest report interval, ms. */
export function sweepRoundMs(intervalMs: number): number {
  return Math.max(POOL_LIMITS.sweepFloorMs, intervalMs / 4);
}

function enlarged(from: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  const to = new Float64Array(length);
  to.set(from);
  return to;
}
