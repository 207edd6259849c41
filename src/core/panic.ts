/**
 * Panic: when too few servers of a pool are healthy, the judgement is likelier wrong than the servers are,
 * and those left would drown in the traffic of all. Health is then ignored (Envoy's and finagle's panic
 * threshold).
 *
 *   judged   eligible, or ejected by a judgement (failing checks, failed calls, hung): it might work
 *   dead     ejected because nothing can be reached there: it does not
 *
 *   calm     the eligible ones are picked from
 *   judged   eligible < threshold · (eligible + judged): those ejected by judgement are picked from as well
 *   all      nobody is eligible and nobody was judged: the dead are tried, rather than to answer with nobody
 *
 * The dead never count against the living: two of three killed is no panic, and calls go to the third.
 */
export const PanicLevel = { CALM: 0, JUDGED: 1, ALL: 2 } as const;
export type PanicLevel = (typeof PanicLevel)[keyof typeof PanicLevel];

/**
 * @param eligible servers that are picked from anyway
 * @param judged servers that are ejected and might work
 * @param dead servers that are ejected, cannot be reached, and that somebody still claims
 * @param threshold share of healthy servers below which health is ignored; 0 is never
 */
export function panicLevel(eligible: number, judged: number, dead: number, threshold: number): PanicLevel {
  if (threshold <= 0) return PanicLevel.CALM;
  if (judged > 0 && eligible < threshold * (eligible + judged)) return PanicLevel.JUDGED;
  return eligible === 0 && judged === 0 && dead > 0 ? PanicLevel.ALL : PanicLevel.CALM;
}
