/**
 * Who is told of a call's life: `began`, then for each attempt `attemptBegan` and `attemptEnded`, at last `ended`.
 *
 * An observer is called on the path of every call: it does not throw, keeps nothing of the call beyond `ended`,
 * whose object is the next call's then, and makes no object where it need not. What there is to know stands in the
 * call and its `facts`.
 */
import type { Status } from '../grpc/status.ts';
import type { HeaderList } from '../http2/http2.ts';
import type { Call } from './call.ts';

export interface CallObserver {
  /** A request came. @param list its head, good until this returns */
  began(call: Call, list: HeaderList): void;
  /** A backend was picked; `call.forwards` may be set by now. */
  attemptBegan(call: Call): void;
  /** It got its stream after a wait of so long, ms. */
  waited(call: Call, ms: number): void;
  /** The backend that had it has it no more. @param why what it did, to follow its name; empty where it just answered */
  attemptEnded(call: Call, status: Status, why: string): void;
  /** It is open while its way ends: in words whose. */
  draining(call: Call, what: string): void;
  /** @param message as the caller is told it; empty where the backend has answered */
  ended(call: Call, status: Status, message: string): void;
}

/** One observer for several; undefined for none, so that telling nobody costs a branch. */
export function observerOf(all: readonly CallObserver[]): CallObserver | undefined {
  return all.length > 1 ? new Several(all) : all[0];
}

class Several implements CallObserver {
  private readonly all: readonly CallObserver[];

  constructor(all: readonly CallObserver[]) {
    this.all = all;
  }

  began(call: Call, list: HeaderList): void {
    for (let i = 0; i < this.all.length; i++) (this.all[i] as CallObserver).began(call, list);
  }

  attemptBegan(call: Call): void {
    for (let i = 0; i < this.all.length; i++) (this.all[i] as CallObserver).attemptBegan(call);
  }

  waited(call: Call, ms: number): void {
    for (let i = 0; i < this.all.length; i++) (this.all[i] as CallObserver).waited(call, ms);
  }

  attemptEnded(call: Call, status: Status, why: string): void {
    for (let i = 0; i < this.all.length; i++) (this.all[i] as CallObserver).attemptEnded(call, status, why);
  }

  draining(call: Call, what: string): void {
    for (let i = 0; i < this.all.length; i++) (this.all[i] as CallObserver).draining(call, what);
  }

  ended(call: Call, status: Status, message: string): void {
    for (let i = 0; i < this.all.length; i++) (this.all[i] as CallObserver).ended(call, status, message);
  }
}
