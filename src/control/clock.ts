/** Time as the control API takes it, so that tests can hand in their own. */
export interface Clock {
  /** Monotonic, ms: the clock of the core. */
  now(): number;
  /** Wall clock, ms since 1970; for people. */
  wall(): number;
  /** Calls once, `ms` from now. Returns what calls it off. */
  after(ms: number, call: () => void): () => void;
}

/** Beyond this, `setTimeout` fires at once. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, Math.min(ms, LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
