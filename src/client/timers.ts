/** Timers of an SDK: none of them keeps the process alive, unless somebody waits for what it does. */

// The longest that a timer of Node.js can be.
const LONGEST_MS = 2 ** 31 - 1;

/** Like `setTimeout`, without keeping the process alive. */
export function later(ms: number, run: () => void): NodeJS.Timeout {
  return setTimeout(run, Math.min(ms, LONGEST_MS)).unref();
}

/** Keeps the process alive while anybody holds it: an awaited promise alone does not. */
export class Hold {
  #holders = 0;
  #timer: NodeJS.Timeout | undefined;

  take(): void {
    if (this.#holders++ === 0) this.#timer = setInterval(() => {}, LONGEST_MS);
  }

  release(): void {
    if (--this.#holders === 0) clearInterval(this.#timer);
  }
}
