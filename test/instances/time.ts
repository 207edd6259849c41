/** A clock that goes when it is told to. */
import type { Clock } from '../../src/control/control.ts';

export class Time implements Clock {
  #now = 1_000_000;
  readonly #due: { at: number; call: () => void }[] = [];
  now = () => this.#now;
  wall = () => this.#now;
  after(ms: number, call: () => void): () => void {
    const due = { at: this.#now + ms, call };
    this.#due.push(due);
    return () => {
      const at = this.#due.indexOf(due);
      if (at >= 0) this.#due.splice(at, 1);
    };
  }
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#due.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > until) break;
      this.#due.splice(this.#due.indexOf(next), 1);
      this.#now = next.at;
      next.call();
    }
    this.#now = until;
  }
}
