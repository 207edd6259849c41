/** Resident memory of this process against what it may use. */
import { totalmem } from 'node:os';
import { memoryUsage } from 'node:process';
import { remember } from './remember.ts';

export class MemoryUse {
  readonly #limitBytes: () => number;

  /** `cgroupLimit` gives bytes, Infinity for none. */
  constructor(cgroupLimit: () => number, now: () => number) {
    this.#limitBytes = remember(() => Math.min(cgroupLimit(), totalmem()), now);
  }

  /** A fraction. */
  read(): number {
    return memoryUsage.rss() / this.#limitBytes();
  }
}
