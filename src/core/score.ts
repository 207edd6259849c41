/**
 * The score: a server's place in the heap. Lower is picked first. It is an expected wait in seconds:
 *
 *     score = (own + ô + δ) / c · stale + f² · L
 *
 *     own    own calls in flight, moved at once by every pick and completion
 *     ô      estimate of the calls that others have in flight there:
 *              o     = max(0, R − own at the moment of receipt), R = reported in flight, in all
 *              ō     = EWMA of o over reports, time constant max(2 s, 1.5·T), T = report interval
 *              prior = ½·ō + ½·(Σ o)·c / Σ c        own history, and the fair share by capacity
 *              ô     = prior + (o − prior)·w,  w = exp(−age / Ā),  Ā = mean age of own calls in flight, which
 *              is that of what is left of them; w is its mean over the time until ô is computed next: at a
 *              report and in each sweep
 *            of one that never reports: Σ ō · (½·c / Σ c + ½·(mean own there)/(Σ mean own)), since others
 *            see it as we do; the fair share alone, which does not fall where it idles, would starve it, and
 *            Σ o, of single looks, would lead all calls to those that report and away from them by turns
 *     δ      2: a bias towards large servers; 0.5 is best for the mean, 2 for the 99th percentile
 *     c      learned capacity in calls/s times weight, on a grid of e^0.25 around the pool's geometric
 *            mean g, so that noise in it does not send every balancer to the same server; as long as it was
 *            learned from few calls it is believed in part; the noisier reports are, the longer it remembers; of
 *            one that tells none: (mean of c · q of those that do) / q, the upper quartile of own latencies there
 *     stale  1 while reports come; when the last one is older than 1.5·T:
 *              max(1, ℓ / (1.5·W)) · max(1, ā / (3·Ā)),  ℓ latency there, W mean latency of the pool,
 *              ā mean age of own calls there
 *     f      share of failed calls, decaying over 10 s; the square forgives a single stray failure. Its step is 0.1, and
 *            at a failure times f / (4·(u + 0.5 %)) where that is more, u = the share that is usual there: from a server
 *            without failures a second one soon after the first says much, from one that fails a few calls anyway nothing
 *     L      max(1 s, 10·W): what a certain failure is worth in waiting; where all wait for seconds, 1 s is nothing
 *
 * Why so: acting on reports alone herds (Mitzenmacher, "How Useful Is Old Information?", TPDS 2000);
 * adding the last report to own calls charges the same call twice; without the failure term a server
 * that fails fast looks idle and draws all traffic (finagle's and linkerd's black hole); smoothing
 * comes from Dahlin, "Interpreting Stale Load Information" (TPDS 2000).
 */
export const SCORE = {
  /** δ, calls. */
  bias: 2,
  /** L, seconds, and the residence times that it is at least. */
  failureCostS: 1,
  failureResidences: 10,
  /** EWMA step of f per own completion. */
  failureStep: 0.1,
  /** f over this many times the usual share, and that share where there were no failures, make the step longer. */
  failureSurprise: 4,
  usualFloor: 0.005,
  /** EWMA step of the usual share. */
  usualStep: 0.002,
  /** Decay of f without completions, ms. */
  failureDecayMs: 10_000,
  /** Step of the capacity grid, natural logarithm. */
  gridStep: 0.25,
  /** Calls from which on a capacity is believed in full, and those that half of its first word is worth. */
  matureCalls: 200,
  doubtfulCalls: 20,
  /** A capacity moves on the grid only when it is this part of a step off. */
  gridHold: 0.8,
  /** Floor of the time constant of ō, ms; the other side is `othersIntervals` report intervals. */
  othersFloorMs: 2_000,
  othersIntervals: 1.5,
  /** Sum of mean own calls on those that report below which it says nothing of how many there are elsewhere. */
  ownFloor: 0.1,
  /** EWMA step a report of the doubt in its calls in flight, and the doubt above which they are not believed. */
  doubtStep: 0.1,
  doubtMost: 0.5,
  /** Floor of the memory of capacity, ms; the other side is `capacityIntervals` report intervals. */
  capacityFloorMs: 5_000,
  capacityIntervals: 3,
  /** Completions that a capacity needs before its first use. */
  capacityMinCalls: 5,
  /** Without news a capacity drifts to the pool's mean over this time, ms. */
  capacityDriftMs: 20_000,
  /**
   * Error that a capacity may have by the noise of the windows it was learned from, and the longest memory that is taken
   * for that, ms. A window contradicts what was learned where it is so many times the noise off.
   */
  capacityError: 0.05,
  capacityMostMs: 30_000,
  contradiction: 4,
  /** EWMA step of that noise a report, over all servers: one that changes must not hide by its own change. */
  noiseStep: 0.02,
  /** Completions of a window from which on it tells of that noise; in fewer it is chance. */
  noiseCalls: 20,
  /** Variance of a window's completions per expected completion, where nothing is known: 1 is Poisson, 8 bears heavy tails. */
  capacityVariance: 8,
  /**
   * That variance is that of service times over their mean squared, and the mean age of calls in flight over W is half
   * of it plus a half. So it is this many times that ratio, for safety, within these bounds. The ages of servers
   * are put together by their logarithms, and it is above `capacityVariance` for a ratio from `varianceFromAge` on only:
   * one server in trouble among ten must not put off its own discovery.
   */
  varianceOfAge: 4,
  varianceFromAge: 4,
  leastVariance: 3,
  mostVariance: 400,
  /** A report is late when older than this many intervals. */
  staleIntervals: 1.5,
  /** Latency over this many residence times, and age over this many mean ages, make a late server worse. */
  staleLatency: 1.5,
  staleAge: 3,
  /** EWMA step of the pool's residence time per own completion. */
  residenceStep: 0.02,
  /** EWMA steps of a server's own latency: up fast, down slowly. */
  latencyUp: 0.3,
  latencyDown: 0.1,
  /**
   * Of servers that tell no capacity the upper quartile of latencies speaks, which bears single long calls: its step a
   * call; how much faster and slower than the pool it may make a server look; and the residence
   * time above which it says nothing: of long streams those that have ended are the short ones.
   */
  quartileStep: 0.02,
  latencyFaster: 4,
  latencySlower: 12,
  latencyMostMs: 5_000,
  /** Residence time before anything was measured, ms. */
  residenceDefaultMs: 50,
  /** Slots that a server of unknown capacity is taken to have: only the scale against L depends on it. */
  assumedSlots: 4,
} as const;

/** Capacity state of a server; mutated in place. Rates are calls/s at utilization 1. */
export interface CapacityCell {
  /** Decayed completions without errors. */
  served: number;
  /** Decayed utilization-seconds. */
  busyS: number;
  /** True where there is a capacity already: it takes calls to be believed first, not to be believed on. */
  known: boolean;
}

/**
 * Folds one report window into a capacity. `served` are completions without errors and `busyS` is
 * utilization × window, in seconds. Returns the new capacity in calls/s, 0 while unknown.
 * One window's raw rps/utilization (gRFC A58) is too noisy; a window that contradicts what was
 * learned resets it, so that a server that slows down is believed at its first report.
 * @param variance of a window's completions per expected completion
 * @param noise standard deviation of the logarithm of a window's completions per utilization
 */
export function learnCapacity(
  cell: CapacityCell,
  served: number,
  busyS: number,
  windowMs: number,
  intervalMs: number,
  variance: number = SCORE.capacityVariance,
  noise = 0,
): number {
  const { capacityFloorMs, capacityIntervals, capacityError, capacityMostMs, contradiction } = SCORE;
  const least = Math.max(capacityFloorMs, capacityIntervals * intervalMs);
  const quiet = Math.min(capacityMostMs, windowMs * (noise / capacityError) ** 2);
  let keep = Math.exp(-windowMs / Math.max(least, quiet));
  if (cell.busyS > 0) {
    const expected = (cell.served / cell.busyS) * busyS;
    const bound = contradiction * Math.sqrt(variance * expected + 4);
    const logBound = contradiction * Math.max(noise, Math.sqrt(variance / expected));
    const isOff = Math.abs(served - expected) > bound;
    if (isOff && (noise === 0 || Math.abs(Math.log(served / expected)) > logBound)) keep = 0;
  }
  cell.served = cell.served * keep + served;
  cell.busyS = cell.busyS * keep + busyS;
  const enough = cell.known ? 1 : SCORE.capacityMinCalls;
  return cell.served >= enough && cell.busyS > 0 ? cell.served / cell.busyS : 0;
}

/** Capacity after `ageMs` without news: what was learned drifts to the pool's mean. */
export function driftedCapacity(learned: number, mean: number, ageMs: number): number {
  if (learned <= 0) return mean;
  return mean + (learned - mean) * Math.exp(-Math.max(0, ageMs) / SCORE.capacityDriftMs);
}

/**
 * The step k of the grid for a capacity, given the step it is on now (NaN: none yet).
 * @param calls that it was learned from, where it was never learned from enough: then it is believed in part, and nothing
 *   holds it, since a few calls more tell better. One that a chance made look slow would get no calls to show it.
 */
export function gridStepOf(
  capacity: number,
  mean: number,
  present: number,
  calls: number = Number.POSITIVE_INFINITY,
): number {
  const exact = Math.log(capacity / mean) / SCORE.gridStep;
  // No step is no step, not one of −0.
  if (calls < SCORE.matureCalls) return Math.round((exact * calls) / (calls + SCORE.doubtfulCalls)) + 0;
  if (!Number.isNaN(present) && Math.abs(exact - present) < SCORE.gridHold) return present;
  return Math.round(exact);
}

/**
 * ô: what others are taken to have in flight, as the mean over the time until it is computed next: from
 * `ageMs` to `ageMs + horizonMs` after the report. With calls much shorter than that a report would
 * otherwise count in full long after it is void.
 */
export function othersEstimate(
  last: number,
  prior: number,
  ageMs: number,
  residenceMs: number,
  horizonMs: number,
): number {
  const spans = horizonMs / residenceMs;
  const mean = spans > 1e-9 ? -Math.expm1(-spans) / spans : 1;
  return prior + (last - prior) * mean * Math.exp(-Math.max(0, ageMs) / residenceMs);
}

/** The factor for a server whose report is late; NaN latencies and ages say nothing. */
export function staleFactor(
  latencyMs: number,
  residenceMs: number,
  ageMs: number,
  meanAgeMs: number,
): number {
  const slow = latencyMs / (SCORE.staleLatency * residenceMs);
  const stuck = meanAgeMs > 0 ? ageMs / (SCORE.staleAge * meanAgeMs) : 0;
  return atLeastOne(slow) * atLeastOne(stuck);
}

function atLeastOne(factor: number): number {
  // biome-ignore lint/complexity/useMathMinMax: Math.max hands NaN on, which here means "nothing known"
  return factor > 1 ? factor : 1;
}

/** The step of f at a failure, f and the usual share being those before it. */
export function failureStep(failure: number, usual: number): number {
  const surprise = failure / (SCORE.failureSurprise * (usual + SCORE.usualFloor));
  return Math.min(1, SCORE.failureStep * Math.max(1, surprise));
}

/** f after `idleMs` without a completion. */
export function decayedFailure(failure: number, idleMs: number): number {
  return failure === 0 ? 0 : failure * Math.exp(-Math.max(0, idleMs) / SCORE.failureDecayMs);
}
