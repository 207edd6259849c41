/** Waits until the last call has gone. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallCounter } from './calls.ts';
import { later } from './timers.ts';

/**
 * Resolves once no call is in flight and none has begun for `settleMs`, or when the clock says
 * `deadline`. A caller that was told of this backend before it left may call it a moment after.
 */
export async function drainCalls(
  calls: CallCounter,
  settleMs: number,
  deadline: number,
  now: () => number,
): Promise<void> {
  const begunAt = now();
  while (now() < deadline) {
    const restMs = deadline - now();
    if (calls.inFlight > 0) {
      await emptyWithin(calls, restMs);
      continue;
    }
    const quietMs = settleMs - (now() - Math.max(begunAt, calls.lastBegin));
    if (quietMs <= 0) return;
    await sleep(Math.min(quietMs, restMs));
  }
}

function emptyWithin(calls: CallCounter, ms: number): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = later(ms, done);
    const stop = calls.whenEmpty(done);
  });
}
