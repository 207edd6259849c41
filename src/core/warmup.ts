/**
 * How much a server that has just come may have in flight. The cap grows with time and with proven
 * calls, the smaller counting: time alone would end while no traffic came (envoyproxy/envoy#29008),
 * calls alone would let a fast cold server be flooded.
 */
export const WARMUP = {
  /** Full ramp, ms. */
  windowMs: 10_000,
  /** Share of the pool's mean at the start: 1 % gives a small pool nothing (envoyproxy/envoy#29259). */
  floor: 0.1,
  /** Calls that a server must have served before it counts as warm. */
  minCalls: 10,
} as const;

/** Most own calls in flight on a warming server, `proven` calls and `elapsedMs` into its warm-up. */
export function warmupCap(proven: number, elapsedMs: number, meanOwn: number): number {
  const ramp = Math.min(1, Math.max(WARMUP.floor, elapsedMs / WARMUP.windowMs));
  return Math.max(1, Math.min(1 + Math.floor(proven), Math.ceil(ramp * meanOwn)));
}

export function isWarm(proven: number, elapsedMs: number): boolean {
  return proven >= WARMUP.minCalls && elapsedMs >= WARMUP.windowMs;
}
