/** Counts calls. Everything grows for ever but `inFlight`, so that each reader takes its own differences. */
import { Outcome } from '../core/core.ts';
import { outcomeOf, Status } from '../grpc/status.ts';

/** One call that has begun. */
export interface CallHandle {
  /** Ends the call with its gRPC status code, OK where none is given. Only the first end counts. */
  end(code?: number): void;
}

export class CallCounter {
  inFlight = 0;
  /** Calls that have ended, however. */
  ended = 0;
  /** Those of them that the backend failed: see `outcomeOf`. */
  failed = 0;
  /** Time that ended calls took, summed, ms. */
  latencyMs = 0;
  /** When the last call began, on the clock of `now`. */
  lastBegin = Number.NEGATIVE_INFINITY;
  readonly #emptyListeners = new Set<() => void>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  begin(): CallHandle {
    this.inFlight += 1;
    this.lastBegin = this.#now();
    return new Call(this, this.lastBegin);
  }

  /** Calls back whenever the last call in flight has ended. Returns what stops it. */
  whenEmpty(listener: () => void): () => void {
    this.#emptyListeners.add(listener);
    return () => this.#emptyListeners.delete(listener);
  }

  /** For `Call` alone. */
  settle(beganAt: number, code: number): void {
    this.inFlight -= 1;
    this.ended += 1;
    this.latencyMs += this.#now() - beganAt;
    if (outcomeOf(code) === Outcome.FAILURE) this.failed += 1;
    if (this.inFlight > 0) return;
    for (const listener of this.#emptyListeners) listener();
  }
}

class Call implements CallHandle {
  #counter: CallCounter | undefined;
  readonly #beganAt: number;

  constructor(counter: CallCounter, beganAt: number) {
    this.#counter = counter;
    this.#beganAt = beganAt;
  }

  end(code: number = Status.OK): void {
    const counter = this.#counter;
    this.#counter = undefined;
    counter?.settle(this.#beganAt, code);
  }
}
