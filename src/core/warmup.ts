/**
 * How much a server that has just come may have in flight. The cap grows with time and with proven
 * calls, the smaller counting: time alone would end while no traffic came (envoyproxy/envoy#29008),
 * calls alone would let a fast cold server be flooded.
 *
 * Time counts against those that are warm: until it is over, a server has at most its share by weight. Where none of
 * a pool is warm, as when it has just started as a whole, nobody is there that could carry the rest: such a cap would
 * keep large servers down to what small ones have, and spread few calls over all. Proven calls count there too.
 */
export const WARMUP = {
  /** Full ramp, ms. */
  windowMs: 10_000,
  /** Share of a server's part at the start: 1 % gives a small pool nothing (envoyproxy/envoy#29259). */
  floor: 0.1,
  /** Calls that a server must have served before it counts as warm. */
  minCalls: 10,
} as const;

/**
 * Most own calls in flight on a warming server, `proven` calls and `elapsedMs` into its warm-up.
 * @param fairOwn what a server of its weight has in flight on the mean; Infinity where no server of the pool is warm
 */
export function warmupCap(proven: number, elapsedMs: number, fairOwn: number): number {
  if (isWarm(proven, elapsedMs)) return Number.POSITIVE_INFINITY;
  const ramp = Math.min(1, Math.max(WARMUP.floor, elapsedMs / WARMUP.windowMs));
  return Math.max(1, Math.min(1 + Math.floor(proven), Math.ceil(ramp * fairOwn)));
}

export function isWarm(proven: number, elapsedMs: number): boolean {
  return proven >= WARMUP.minCalls && elapsedMs >= WARMUP.windowMs;
}
