/** What is told of a call: times, octets, messages. It lies in the call's slot, so that telling costs no object. */
import { MessageCounter } from '../grpc/framing.ts';
import { Status } from '../grpc/status.ts';

/** Whose word a call's end is. */
export const EndedBy = { BACKEND: 0, PROXY: 1, CALLER: 2 } as const;
export type EndedBy = (typeof EndedBy)[keyof typeof EndedBy];

const NAMES = ['backend', 'proxy', 'caller'] as const;

export function endedByName(by: EndedBy): (typeof NAMES)[number] {
  return NAMES[by];
}

/** Times are of the monotonic clock, ms; NaN: it has not come to that. */
export class CallFacts {
  /** When the backend of now had a stream for it, and when that one's answer began. */
  openedAt = Number.NaN;
  answeredAt = Number.NaN;
  /** When the backend that had it last had it no more; `attemptEnded` follows. */
  leftAt = Number.NaN;
  endedAt = Number.NaN;
  /** What it waited in all until a backend had a stream for it, ms. */
  waitedMs = 0;
  /** What it waited in all in the queue of its pool, ms. */
  queuedMs = 0;
  /** Times that it was given to a backend, by whatever rule. */
  sends = 0;

  /** Octets of DATA that came from the caller and from the backend; what is sent again counts once. */
  requestBytes = 0;
  responseBytes = 0;
  /** Messages in them; counted only where somebody observes the call. */
  readonly request = new MessageCounter();
  readonly response = new MessageCounter();

  /** Of its end. */
  status: Status = Status.OK;
  endedBy: EndedBy = EndedBy.PROXY;

  clear(): void {
    this.openedAt = this.answeredAt = this.leftAt = this.endedAt = Number.NaN;
    this.waitedMs = this.queuedMs = this.sends = this.requestBytes = this.responseBytes = 0;
    this.request.reset();
    this.response.reset();
  }
}
