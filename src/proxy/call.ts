/**
 * One call: what a caller's stream and a backend's stream have to do with each other. Objects are reused,
 * one a call in flight; nothing is made for a frame.
 *
 * Octets are credited to one side only as the other takes them, so a call holds at most a stream's window in
 * each direction, and what it keeps so that its request can be sent again.
 *
 * Whatever is sent or reset may close its stream, and `callerClosed` then comes within that very call; once both
 * ends are gone the object may already be another call. So the backend is left before the caller is told its end,
 * and nothing of the object is looked at after that.
 */
import { PickFailure } from '../core/core.ts';
import { PROXY_LIMITS } from '../core/limits.ts';
import type { PickWant } from '../core/pick.ts';
import type { Pool } from '../core/pool.ts';
import { Status, statusOfReset } from '../grpc/status.ts';
import { ErrorCode, type HeaderList, type KeptList, ResetCause } from '../http2/http2.ts';
import type { Backend } from './backend.ts';
import { CallFacts, EndedBy } from './call-facts.ts';
import type { CallHost } from './call-host.ts';
import type { CallerEnd, End } from './ends.ts';
import type { Refusal } from './no-lease.ts';
import { RequestFlow } from './request-flow.ts';
import { ResponseFlow } from './response-flow.ts';
import type { Ending, WaitingCall } from './waiting-call.ts';

export class Call {
  /** Index in the table of calls. */
  readonly index: number;
  isFree = true;
  caller: CallerEnd | undefined;
  callerStream = -1;
  /** Where it is, or waits for a stream, or was last. */
  backend: Backend | undefined;

  pool: Pool | undefined;
  /** `/package.Service/Method`. */
  path = '';
  /** The head of its request: as it came, where it never changes or has come just now, and what is kept of it. */
  head: HeaderList | undefined;
  kept: KeptList | undefined;
  want: PickWant | undefined;
  /** Monotonic clock, ms: when it came, and when it was sent to where it is now. */
  received = 0;
  sentAt = 0;
  /** As the caller gave it, ms; NaN: none. */
  timeoutMs = Number.NaN;
  /** True where the deadline is the age that streams of its pool may reach. */
  deadlineIsAge = false;
  lease = -1;
  slot = -1;
  /** Its place in the queue of its pool. */
  wait: WaitingCall | undefined;
  /** What the caller is told to wait before it tries again, ms; 0: not said. */
  private pushbackMs = 0;
  /** Times that it was sent by policy, the first included. */
  attempts = 0;
  /** `traceparent` that backends get in the place of the caller's; undefined: that one goes on as it came. */
  forwards: string | undefined;
  readonly facts = new CallFacts();
  readonly response = new ResponseFlow(this);

  private readonly host: CallHost;
  /** Where it has a stream now. */
  backendEnd: End | undefined;
  private backendStream = -1;
  /** Times that it was moved because a backend did not begin it. */
  private moves = 0;
  private readonly tried: number[] = [];
  private pause: NodeJS.Timeout | undefined;

  private readonly request = new RequestFlow(this);
  private over = false;
  /** Octets that had gone through it at the last look, and whether it rests since then. */
  private octetsSeen = 0;
  private rests = false;

  constructor(index: number, host: CallHost) {
    this.index = index;
    this.host = host;
  }

  /** True as long as the same request could go to another backend. */
  get replayable(): boolean {
    return this.request.replayable;
  }

  /** The head of its request, until that of another call is asked for. */
  get requestHead(): HeaderList | undefined {
    return this.kept === undefined ? this.head : this.host.headOf(this.kept);
  }

  /** The caller has its answer. */
  get isOver(): boolean {
    return this.over;
  }

  /** The backend has answered all, whether or not the caller has taken it. */
  private get answered(): boolean {
    return this.over || this.response.isHeldUp;
  }

  /** Somebody is told of calls. */
  get isObserved(): boolean {
    return this.host.observer !== undefined;
  }

  /** It is open and no call that is just about to be answered: either side has more to say. */
  get isStream(): boolean {
    return this.backendEnd !== undefined && !this.over && (this.response.begun || !this.request.ended);
  }

  /** An end holds it. */
  get isHeld(): boolean {
    return this.caller !== undefined || this.backendEnd !== undefined;
  }

  /** The request that stands in the fields is to be sent to whom the pool picks. */
  begin(endStream: boolean): void {
    this.request.begin(endStream, true);
    this.attempts = 1;
    this.place('', false, undefined, this.received);
  }

  /** The request is answered by this process itself. */
  beginAt(end: End, stream: number, endStream: boolean): void {
    this.request.begin(endStream, false);
    this.opened(end, stream, this.received);
  }

  /** The request is answered by a status of ours. */
  refuse(status: Status, message: string, endStream: boolean): void {
    this.request.begin(endStream, false);
    this.end(status, message);
  }

  /** As new, for the next call. */
  free(): void {
    this.isFree = true;
    this.request.clear();
    this.response.clear();
    this.facts.clear();
    this.over = false;
    this.attempts = this.moves = this.pushbackMs = this.octetsSeen = 0;
    if (this.tried.length > 0) this.tried.length = 0;
    this.dropHead();
    this.backend = this.pool = this.want = this.forwards = undefined;
    this.slot = -1;
    this.timeoutMs = Number.NaN;
    this.deadlineIsAge = this.rests = false;
  }

  private dropHead(): void {
    if (this.kept !== undefined) this.host.dropHead(this.kept);
    this.head = this.kept = undefined;
  }

  // Where it goes

  /**
   * Picks a backend and gives it the call; ends the call where there is none.
   *
   * @param why what the backend before failed by, to follow its name
   * @param mayReturn whether one that was tried before may be taken where there is no other
   * @param ending what the call ends with where it cannot go anywhere
   */
  private place(why: string, mayReturn: boolean, ending: Ending | undefined, now = this.host.now()): void {
    const { host } = this;
    let pool = this.pool as Pool;
    // A pool ends with its last server, and begins anew with the next one.
    if (why !== '') pool = this.pool = host.poolOf(pool.service) ?? pool;
    // Nobody overtakes those that wait.
    const lease = pool.queue.size > 0 ? PickFailure.ALL_FULL : this.pick(pool, now, mayReturn);
    if (lease >= 0) {
      this.go(lease, now);
      return;
    }
    const refusal = host.noLease.decide(this, pool, lease as PickFailure, { why, mayReturn, ending }, now);
    if (refusal !== undefined) this.refused(refusal, ending);
  }

  private pick(pool: Pool, now: number, mayReturn: boolean): number {
    const { host, tried } = this;
    const want = tried.length === 0 ? this.want : { ...this.want, exclude: tried };
    const lease = host.pick(pool, now, want, this);
    if (lease !== PickFailure.EXCLUDED || !mayReturn) return lease;
    tried.length = 0;
    return host.pick(pool, now, this.want, this);
  }

  private go(lease: number, now: number): void {
    const { host } = this;
    this.lease = lease;
    this.slot = host.slotOf(lease);
    this.sentAt = now;
    this.backend = host.backendOf(this.slot);
    this.facts.sends++;
    host.observer?.attemptBegan(this);
    this.backend.take(this);
  }

  private refused({ status, message, pushbackMs }: Refusal, ending: Ending | undefined): void {
    this.pushbackMs = pushbackMs;
    if (ending === undefined) this.end(status, message);
    else this.conclude(ending);
  }

  // In the queue of its pool

  /** The latest time at which an answer is of use, monotonic clock, ms. */
  get deadline(): number {
    return Number.isNaN(this.timeoutMs) ? Number.POSITIVE_INFINITY : this.received + this.timeoutMs;
  }

  /** It is the next; see `Waiter`. */
  turn({ pool, attempt }: WaitingCall, now: number): boolean | 'left' {
    const { noLease } = this.host;
    const lease = this.pick(pool, now, attempt.mayReturn);
    if (lease < 0 && pool.mayWait(lease as PickFailure)) return false;
    this.endWait();
    if (lease >= 0) this.go(lease, now);
    else this.refused(noLease.refusal(pool, lease as PickFailure, attempt.why), attempt.ending);
    return lease >= 0 ? true : 'left';
  }

  waitedInVain({ pool, attempt }: WaitingCall, now: number): void {
    this.endWait();
    this.refused(this.host.noLease.late(pool, attempt.why, this.facts.queuedMs, now), attempt.ending);
  }

  poolEnded({ pool, attempt: { why, mayReturn, ending } }: WaitingCall): void {
    this.endWait();
    this.pool = this.host.poolOf(pool.service) ?? pool;
    this.place(why, mayReturn, ending);
  }

  private endWait(): void {
    const { wait } = this;
    if (wait === undefined) return;
    this.wait = undefined;
    wait.pool.queue.leave(wait.ticket);
    this.facts.queuedMs += this.host.now() - wait.since;
  }

  // At a backend

  /** The backend has a stream for it. @param now monotonic clock, ms */
  opened(end: End, stream: number, now: number): void {
    this.backendEnd = end;
    this.backendStream = stream;
    this.facts.openedAt = now;
    const { isBare } = this.request;
    this.request.sent = isBare;
    end.sendHead(stream, this, this.requestHead as HeaderList, isBare);
    if (!isBare) this.pumpRequest();
  }

  /** It waited for the stream that it is about to get, since it was sent there. @param now monotonic clock, ms */
  waited(now: number): void {
    this.facts.waitedMs += now - this.sentAt;
    this.host.observer?.waited(this, now - this.sentAt);
  }

  /** The backend cannot be given the call; `why` follows its name. */
  unreachable(why: string): void {
    const name = this.backend?.name ?? '';
    this.leave(Status.UNAVAILABLE, why);
    this.move(`${name} ${why}`, false);
  }

  /** A backend that has been left did not begin the call, so that another may have it, if no policy says so. */
  private move(why: string, mayReturn: boolean): void {
    if (!this.replayable || ++this.moves >= PROXY_LIMITS.transparentAttempts) {
      this.end(Status.UNAVAILABLE, `backend ${why}`);
      return;
    }
    this.rewind();
    this.place(why, mayReturn, undefined);
  }

  /** Sends it again where the policy of its pool says so. */
  retried(status: Status, list: HeaderList | undefined, why: string): boolean {
    const delay = this.host.retryAfter(this, status, list);
    if (delay < 0) return false;
    const name = this.backend?.name ?? '';
    this.attempts++;
    this.leave(status, why);
    this.rewind();
    const said = `${name} ${why}`;
    if (delay === 0) {
      this.place(said, true, { status, why: said, answer: list });
      return true;
    }
    // The backend asked for time (grpc-retry-pushback-ms).
    const ending = { status, why: said, answer: list?.kept() };
    this.pause = setTimeout(
      () => {
        this.pause = undefined;
        this.place(said, true, ending);
      },
      Math.min(delay, PROXY_LIMITS.pushbackMs),
    );
    return true;
  }

  /** What the backend that was left has had goes to another one. */
  private rewind(): void {
    // The slot of one that has left may be another's by now.
    if (this.backend?.isClosing !== true) this.tried.push(this.slot);
    this.request.rewind();
    this.response.rewind();
  }

  // From the caller

  fromCaller(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    this.facts.requestBytes += end - start;
    if (this.host.observer !== undefined) this.facts.request.push(buffer, start, end);
    if (endStream) this.request.ended = true;
    // Once it is answered nobody wants the rest of it.
    if (this.answered) this.caller?.credit(this.callerStream, end - start);
    else this.request.data(buffer, start, end, this.backendEnd, this.backendStream);
  }

  callerTrailers(list: HeaderList): void {
    this.request.ended = true;
    if (!this.answered) this.request.close(list, this.backendEnd, this.backendStream);
  }

  /** The caller gave the call up. */
  callerReset(): void {
    if (this.over) return;
    this.over = true;
    const now = this.leave(Status.CANCELLED, 'was left by the caller');
    this.tellEnd(Status.CANCELLED, EndedBy.CALLER, 'the caller gave it up', now);
  }

  /** The backend's side has room again. */
  pumpRequest(): void {
    this.request.pump(this.backendEnd, this.backendStream);
  }

  // From the backend

  /** What has been answered in part is not sent again. */
  forgetRequest(): void {
    this.request.forget();
    this.dropHead();
  }

  /** The caller has taken octets of the backend's. */
  creditBackend(octets: number): void {
    this.backendEnd?.credit(this.backendStream, octets);
  }

  /** The call ended with a load report, perhaps. */
  reported(list: HeaderList): void {
    this.host.reported(this, list);
  }

  /** The stream at the backend ended before its time; `why` follows its name. */
  backendReset(code: number, cause: ResetCause, why: string): void {
    if (this.over) return;
    const refused = cause === ResetCause.PEER && code === ErrorCode.REFUSED_STREAM;
    if ((refused || cause === ResetCause.GOAWAY) && !this.response.begun) {
      const name = this.backend?.name ?? '';
      this.leave(Status.UNAVAILABLE, why);
      // Another connection to the same backend may do; one that refuses is asked once more, not again and again.
      this.move(`${name} ${why}`, !refused || this.moves === 0);
      return;
    }
    const status = cause === ResetCause.CONNECTION ? Status.UNAVAILABLE : statusOfReset(code);
    if (!this.response.begun && this.retried(status, undefined, why)) return;
    this.fail(status, why);
  }

  /** The stream at the backend is over, in whatever way, and the call has not left it before. */
  backendClosed(): void {
    this.backendEnd = undefined;
    this.backendStream = -1;
    if (!this.answered) this.fail(Status.INTERNAL, 'ended the call');
    else this.host.freeIfDone(this);
  }

  /** The caller's stream is over, in whatever way. */
  callerClosed(): void {
    this.caller = undefined;
    this.callerStream = -1;
    this.callerReset();
    this.host.freeIfDone(this);
  }

  /**
   * Looks whether anything went through since the last look. Without it the call rests, unless it is the backend
   * that has yet to answer: a request that is complete is being worked on.
   */
  look(now: number): void {
    const { facts, lease } = this;
    if (lease < 0 || this.backendEnd === undefined) return;
    const octets = facts.requestBytes + facts.responseBytes;
    const isQuiet = octets === this.octetsSeen && now - this.sentAt >= PROXY_LIMITS.restMs;
    this.octetsSeen = octets;
    const rests = isQuiet && (this.response.begun || !this.request.ended);
    if (rests === this.rests) return;
    this.rests = rests;
    this.host.rest(lease, rests, now);
  }

  // Ends

  /** Its time is over. */
  expired(): void {
    if (this.deadlineIsAge) {
      this.end(Status.UNAVAILABLE, 'the stream has reached the age that its pool allows: open it again');
      return;
    }
    let where = this.backend === undefined ? '' : ` at backend ${this.backend.name}`;
    if (this.wait !== undefined) where = `, spent in the queue of ${this.wait.pool.service}`;
    this.end(Status.DEADLINE_EXCEEDED, `the deadline of ${this.timeoutMs} ms is over${where}`);
  }

  /** Ends it because of what the backend did. */
  fail(status: Status, why: string): void {
    this.end(status, `backend ${this.backend?.name ?? ''} ${why}`, why);
  }

  private conclude({ status, why, answer }: Ending): void {
    if (answer === undefined) this.end(status, `backend ${why}`);
    else this.deliver(answer, status, true);
  }

  /** Ends it with a status of ours. @param why what the backend did, to follow its name; else the message says it */
  end(status: Status, message: string, why = message): void {
    if (this.over) return;
    this.over = true;
    const now = this.leave(status, why);
    this.tellEnd(status, EndedBy.PROXY, message, now);
    const { caller, callerStream } = this;
    const requestEnded = this.request.ended;
    caller?.finish(callerStream, status, message, this.response.begun, this.pushbackMs);
    this.bidFarewell(caller, callerStream, requestEnded);
  }

  /** Ends it with what the backend said, which has been left: at `now`, if just now. */
  deliver(list: HeaderList, status: Status, isHead: boolean, now = Number.NaN): void {
    this.over = true;
    this.tellEnd(status, EndedBy.BACKEND, '', now);
    const { caller, callerStream } = this;
    const requestEnded = this.request.ended;
    if (isHead) caller?.sendHead(callerStream, this, list, true);
    else caller?.sendTrailers(callerStream, list);
    this.bidFarewell(caller, callerStream, requestEnded);
  }

  private tellEnd(status: Status, by: EndedBy, message: string, now: number): void {
    const { facts, host } = this;
    if (host.observer === undefined) return;
    facts.status = status;
    facts.endedBy = by;
    facts.endedAt = Number.isNaN(now) ? host.now() : now;
    host.observer.ended(this, status, message);
  }

  private bidFarewell(caller: CallerEnd | undefined, stream: number, requestEnded: boolean): void {
    // RFC 9113 8.1: a server that has answered in full may ask for the rest of a request not to be sent, by
    // RST_STREAM with NO_ERROR. Where all was sent the stream may be over, and another's by now.
    if (caller !== undefined && !requestEnded) caller.abort(stream, ErrorCode.NO_ERROR);
    else if (!this.isFree) this.host.freeIfDone(this);
  }

  /**
   * Leaves the backend, or the queue for it; completes the lease, once, at the time that is returned, else NaN.
   * @param why what it did, to follow its name
   */
  leave(status: Status, why: string): number {
    const { backendEnd, backendStream, backend } = this;
    let now = Number.NaN;
    if (this.lease >= 0) {
      const { lease } = this;
      this.lease = -1;
      this.rests = false;
      now = this.facts.leftAt = this.host.now();
      this.host.complete(lease, status, now, now - this.sentAt);
      this.host.observer?.attemptEnded(this, status, why);
    }
    clearTimeout(this.pause);
    this.pause = undefined;
    if (this.wait !== undefined) this.endWait();
    if (backendEnd === undefined) {
      backend?.forget(this);
      return now;
    }
    this.backendEnd = undefined;
    this.backendStream = -1;
    if (this.response.ended && this.request.sent) backendEnd.detach(backendStream);
    else backendEnd.abort(backendStream, ErrorCode.CANCEL);
    return now;
  }
}
