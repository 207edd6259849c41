/** The calls of one proxy, by a small index that a stream's tag and the heap of deadlines can hold. */
import { PROXY_LIMITS } from '../core/limits.ts';
import { Call } from './call.ts';
import type { CallHost } from './call-host.ts';

export class CallTable {
  /** Calls in flight. */
  live = 0;
  private readonly calls: (Call | undefined)[] = [];
  private readonly free: Call[] = [];
  /** Places without an object. */
  private readonly gaps: number[] = [];
  private readonly host: CallHost;

  constructor(host: CallHost) {
    this.host = host;
  }

  at(index: number): Call {
    return this.calls[index] as Call;
  }

  take(): Call {
    this.live++;
    const known = this.free.pop();
    if (known !== undefined) {
      known.isFree = false;
      return known;
    }
    const index = this.gaps.pop() ?? this.calls.length;
    const call = new Call(index, this.host);
    call.isFree = false;
    this.calls[index] = call;
    return call;
  }

  give(call: Call): void {
    this.live--;
    call.free();
    if (this.free.length < PROXY_LIMITS.callsKept) {
      this.free.push(call);
    } else {
      this.calls[call.index] = undefined;
      this.gaps.push(call.index);
    }
  }

  /** Calls back for each call in flight; it may end it. */
  each(visit: (call: Call) => void): void {
    for (const call of this.calls) if (call !== undefined && !call.isFree) visit(call);
  }
}
