/** Timers of an SDK: none of them keeps the process alive, unless somebody waits for what it does. */

// The longest that a timer of Node.js can be.
const LONGEST_MS = 2 ** 31 - 1;

/** Like `setTimeout`, without keeping the process alive; `Infinity` is never. */
export function later(ms: number, run: () => void): NodeJS.Timeout | undefined {
  if (ms === Number.POSITIVE_INFINITY) return undefined;
  return setTimeout(run, Math.min(ms, LONGEST_MS)).unref();
}

/** Keeps the process alive until the promise is settled: an awaited promise alone does not. */
export async function keepAliveUntil<T>(promise: Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, LONGEST_MS);
  try {
    return await promise;
  } finally {
    clearInterval(hold);
  }
}
