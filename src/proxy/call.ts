/**
 * One call: what a caller's stream and a backend's stream have to do with each other. Objects are reused,
 * one a call in flight; nothing is made for a frame.
 *
 * Each side of a call is an `End`: a stream of a connection, or anything else that takes and gives what a
 * stream does. Octets are credited to one side only as the other takes them.
 */
import { PickFailure } from '../core/core.ts';
import type { PickWant, Pool } from '../core/pool.ts';
import { Status, statusName, statusOfHttp, statusOfReset } from '../grpc/status.ts';
import { ErrorCode, type HeaderList, NameKind, ResetCause } from '../http2/http2.ts';
import type { Backend } from './backend.ts';
import { ByteQueue } from './byte-queue.ts';
import type { CallHost } from './call-host.ts';
import { Field } from './fields.ts';
import { keepList } from './held-list.ts';

/** One side of a call. `stream` names the call there. */
export interface End {
  /** The head of a request or response; the last thing sent where `endStream`. */
  sendHead(stream: number, call: Call, list: HeaderList, endStream: boolean): void;
  /** Sends as much as there is room for; returns how much. Where it is less, the call's pump is called later. */
  sendData(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): number;
  sendTrailers(stream: number, list: HeaderList): void;
  /** Octets that this end gave were taken by the other. */
  credit(stream: number, octets: number): void;
  /** Ends the stream before its time. */
  abort(stream: number, code: number): void;
  /** The call has no more to do with the stream, which ends, or has ended, by itself. */
  detach(stream: number): void;
}

/** The end that answers a caller: it can also be told to make up the end of a call itself. */
export interface CallerEnd extends End {
  /** Ends the call with a status of ours: trailers, or all in one where no head was sent. */
  finish(stream: number, status: Status, message: string, headSent: boolean): void;
}

export class Call {
  /** Index in the table of calls. */
  readonly index: number;
  caller: CallerEnd | undefined;
  callerStream = -1;
  backendEnd: End | undefined;
  backendStream = -1;
  /** Where it is, or waits for a stream. */
  backend: Backend | undefined;

  pool: Pool | undefined;
  /** `/package.Service/Method`. */
  path = '';
  head: HeaderList | undefined;
  want: PickWant | undefined;
  /** Monotonic clocks, ms: when it came; when it must be over (Infinity: never). */
  received = 0;
  deadline = Number.POSITIVE_INFINITY;
  /** True where the deadline is the age that streams of its pool may reach. */
  deadlineIsAge = false;
  /** As the caller gave it, ms; NaN: none. */
  timeoutMs = Number.NaN;

  isFree = true;
  /** Counts the calls that this object has been. */
  private life = 0;
  lease = -1;
  slot = -1;
  attempts = 0;
  readonly tried: number[] = [];

  private readonly request = new ByteQueue();
  private requestTrailers: HeaderList | undefined;
  private requestEnded = false;
  private requestSent = false;
  private credited = 0;
  private sent = 0;

  private readonly response = new ByteQueue();
  private responseTrailers: HeaderList | undefined;
  private backendDone = false;
  private headSent = false;
  private over = false;

  private readonly host: CallHost;

  constructor(index: number, host: CallHost) {
    this.index = index;
    this.host = host;
  }

  /** True as long as the same request could go to another backend. */
  get replayable(): boolean {
    return this.request.keeps;
  }

  get isOver(): boolean {
    return this.over;
  }

  /** The request that stands in the fields is to be sent to whom the pool picks. */
  begin(endStream: boolean, replayable: boolean): void {
    this.clear(replayable);
    this.requestEnded = endStream;
    this.dispatch('');
  }

  /** Nobody holds it any more: it can become another call. */
  free(): void {
    this.isFree = true;
    this.life++;
    this.clear(false);
    this.backend = undefined;
    this.pool = undefined;
    this.head = undefined;
    this.want = undefined;
    this.slot = -1;
    this.deadlineIsAge = false;
  }

  private clear(replayable: boolean): void {
    this.request.clear(replayable);
    this.response.clear(false);
    this.requestEnded = this.requestSent = this.backendDone = this.headSent = this.over = false;
    this.requestTrailers = this.responseTrailers = undefined;
    this.credited = this.sent = 0;
    this.attempts = 0;
    this.tried.length = 0;
  }

  /** The request is answered by this process itself. */
  beginAt(end: End, stream: number, endStream: boolean): void {
    this.clear(false);
    this.requestEnded = endStream;
    this.opened(end, stream);
  }

  /** The request is answered by a status of ours. */
  refuse(status: Status, message: string, endStream: boolean): void {
    this.clear(false);
    this.requestEnded = endStream;
    this.end(status, message);
  }

  /** Picks a backend; `why` is what the last one failed by. */
  private dispatch(why: string): void {
    const { host } = this;
    const pool = this.pool as Pool;
    const now = host.now();
    const want = this.tried.length === 0 ? this.want : { ...this.want, exclude: this.tried };
    const lease = pool.pick(now, host.RELAYED, want);
    if (lease < 0) {
      this.end(...this.refusal(pool, lease as PickFailure, why));
      return;
    }
    this.lease = lease;
    this.slot = host.leases.slotOf(lease);
    this.attempts++;
    this.backend = host.backendOf(this.slot);
    this.backend.take(this);
  }

  private refusal(pool: Pool, failure: PickFailure, why: string): [Status, string] {
    const counts = pool.counts();
    const known = `${counts.standby} standby, ${counts.draining} draining, ${counts.ejected} ejected`;
    switch (failure) {
      case PickFailure.ALL_FULL:
        return [Status.RESOURCE_EXHAUSTED, `all backends of ${pool.service} are at their max_concurrency`];
      case PickFailure.EXCLUDED:
        return [Status.UNAVAILABLE, why];
      case PickFailure.EMPTY:
        return [Status.UNAVAILABLE, `${pool.service} has no backend`];
      default:
        return [Status.UNAVAILABLE, why || `no backend of ${pool.service} takes calls: ${known}`];
    }
  }

  /** The backend has a stream for it. */
  opened(end: End, stream: number): void {
    this.backendEnd = end;
    this.backendStream = stream;
    const whole = this.requestEnded && this.request.pending === 0 && this.requestTrailers === undefined;
    if (whole) this.requestSent = true;
    end.sendHead(stream, this, this.head as HeaderList, whole);
    if (!whole && (this.request.pending > 0 || this.requestEnded)) this.pumpRequest();
  }

  /** The backend could not be given the call; another one may. */
  unreachable(why: string): void {
    this.backend = undefined;
    this.elsewhere(why, Status.UNAVAILABLE);
  }

  // From the caller

  fromCaller(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    if (endStream) this.requestEnded = true;
    const { request } = this;
    const length = end - start;
    if (this.over) {
      this.caller?.credit(this.callerStream, length);
      return;
    }
    if (request.keeps && request.end + length > this.host.replayBytes) request.forget();
    const target = this.backendEnd;
    if (!request.keeps && request.pending === 0 && target !== undefined) {
      const taken = target.sendData(this.backendStream, buffer, start, end, endStream);
      if (taken === length && endStream) this.requestSent = true;
      this.sent += taken;
      this.creditCaller();
      if (taken < length) request.push(buffer, start + taken, end);
      return;
    }
    request.push(buffer, start, end);
    if (target !== undefined) this.pumpRequest();
  }

  callerTrailers(list: HeaderList): void {
    this.requestEnded = true;
    if (this.over) return;
    this.requestTrailers = keepList(list);
    if (this.backendEnd !== undefined) this.pumpRequest();
  }

  /** The caller gave the call up. */
  callerReset(code: number): void {
    if (this.over) return;
    this.over = true;
    this.settle(Status.CANCELLED);
    this.leaveBackend(code === ErrorCode.NO_ERROR ? ErrorCode.NO_ERROR : ErrorCode.CANCEL);
  }

  /** The backend's side has room again. */
  pumpRequest(): void {
    const { request, backendEnd } = this;
    if (backendEnd === undefined || this.requestSent) return;
    const { pending } = request;
    const last = this.requestEnded && this.requestTrailers === undefined;
    if (pending > 0 || last) {
      const taken = backendEnd.sendData(this.backendStream, request.buffer, request.at, request.end, last);
      request.advance(taken);
      this.sent += taken;
      this.creditCaller();
      if (taken < pending) return;
      if (last) this.requestSent = true;
    }
    if (this.requestTrailers !== undefined && !this.requestSent) {
      this.requestSent = true;
      backendEnd.sendTrailers(this.backendStream, this.requestTrailers);
    }
  }

  private creditCaller(): void {
    // A request that is sent a second time was credited the first time.
    const due = this.sent - this.credited;
    if (due <= 0) return;
    this.credited = this.sent;
    this.caller?.credit(this.callerStream, due);
  }

  // From the backend

  fromBackendHead(list: HeaderList, endStream: boolean): void {
    const grpcStatus = list.find(Field.GRPC_STATUS);
    const type = list.find(NameKind.CONTENT_TYPE);
    const isGrpc = list.status === 200 && type >= 0 && list.valueStartsWith(type, 'application/grpc');
    if (!isGrpc && grpcStatus < 0) {
      const what = type < 0 ? 'no content-type' : list.value(type).slice(0, 100);
      this.fail(statusOfHttp(list.status), `answered HTTP ${list.status} with ${what} instead of gRPC`);
      return;
    }
    if (endStream) {
      if (grpcStatus < 0) {
        this.fail(Status.UNKNOWN, 'ended the call without a grpc-status');
        return;
      }
      this.fromBackendEnd(list, grpcStatus, true);
      return;
    }
    // What has been answered in part cannot be sent again.
    this.request.forget();
    this.headSent = true;
    this.caller?.sendHead(this.callerStream, this, list, false);
  }

  fromBackend(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const { response } = this;
    const length = end - start;
    const whole = response.pending === 0 && this.caller !== undefined;
    const taken = whole ? (this.caller as End).sendData(this.callerStream, buffer, start, end, false) : 0;
    if (taken > 0) this.backendEnd?.credit(this.backendStream, taken);
    if (taken < length) response.push(buffer, start + taken, end);
    if (!endStream) return;
    this.backendDone = true;
    this.fail(Status.INTERNAL, 'ended the call without trailers');
  }

  fromBackendTrailers(list: HeaderList): void {
    const grpcStatus = list.find(Field.GRPC_STATUS);
    if (grpcStatus < 0) this.fail(Status.UNKNOWN, 'ended the call without a grpc-status');
    else this.fromBackendEnd(list, grpcStatus, false);
  }

  private fromBackendEnd(list: HeaderList, grpcStatus: number, isHead: boolean): void {
    this.backendDone = true;
    const status = this.host.statusOf(list, grpcStatus);
    this.host.orca(this, list);
    if (isHead && this.retry(status, list, `answered ${statusName(status)}`)) return;
    if (this.response.pending > 0) {
      this.responseTrailers = keepList(list);
      this.settle(status);
      return;
    }
    this.over = true;
    this.settle(status);
    if (isHead) this.caller?.sendHead(this.callerStream, this, list, true);
    else this.caller?.sendTrailers(this.callerStream, list);
    this.afterEnd();
  }

  /** The stream at the backend ended before its time. */
  fromBackendReset(code: number, cause: ResetCause, why: string): void {
    if (this.over || this.responseTrailers !== undefined) return;
    const untouched =
      cause === ResetCause.GOAWAY || (cause === ResetCause.PEER && code === ErrorCode.REFUSED_STREAM);
    const status = cause === ResetCause.CONNECTION ? Status.UNAVAILABLE : statusOfReset(code);
    const name = this.backend?.name ?? '';
    if (untouched && !this.headSent) {
      this.leaveBackend(ErrorCode.CANCEL);
      this.elsewhere(`${name} ${why}`, Status.UNAVAILABLE);
      return;
    }
    if (!this.headSent && this.retry(status, undefined, why)) return;
    this.fail(status, why);
  }

  /** The stream at the backend is over, in whatever way. */
  backendClosed(): void {
    this.backendEnd = undefined;
    this.backendStream = -1;
    this.host.freeIfDone(this);
  }

  /** The caller's side has room again. */
  pumpResponse(): void {
    const { response, caller } = this;
    if (caller === undefined || this.over || response.pending === 0) return;
    const taken = caller.sendData(this.callerStream, response.buffer, response.at, response.end, false);
    response.advance(taken);
    if (taken > 0) this.backendEnd?.credit(this.backendStream, taken);
    if (response.pending > 0 || this.responseTrailers === undefined) return;
    this.over = true;
    caller.sendTrailers(this.callerStream, this.responseTrailers);
    this.afterEnd();
  }

  /** The caller's stream is over, in whatever way. */
  callerClosed(): void {
    this.caller = undefined;
    this.callerStream = -1;
    if (!this.over) this.callerReset(ErrorCode.CANCEL);
    this.host.freeIfDone(this);
  }

  // Ends

  /** Its time is over. */
  expired(): void {
    if (this.deadlineIsAge) {
      this.end(Status.UNAVAILABLE, 'the stream has reached the age that its pool allows: open it again');
      return;
    }
    const where = this.backend === undefined ? '' : ` at ${this.backend.name}`;
    this.end(Status.DEADLINE_EXCEEDED, `the deadline of ${this.timeoutMs} ms is over${where}`);
  }

  /** Ends it because of what the backend did; the message says which one it was. */
  private fail(status: Status, why: string): void {
    this.end(status, `backend ${this.backend?.name ?? ''} ${why}`);
  }

  /** Ends it with a status of ours. */
  end(status: Status, message: string): void {
    if (this.over) return;
    this.over = true;
    this.settle(status);
    this.caller?.finish(this.callerStream, status, message, this.headSent);
    this.afterEnd();
  }

  /** The caller has its answer: what is left of either stream ends. */
  private afterEnd(): void {
    this.leaveBackend(ErrorCode.CANCEL);
    // RFC 9113 8.1: a server that has answered in full may ask for the rest of a request not to be sent, by
    // RST_STREAM with NO_ERROR.
    if (this.caller !== undefined && !this.requestEnded)
      this.caller.abort(this.callerStream, ErrorCode.NO_ERROR);
    this.host.freeIfDone(this);
  }

  /** Sends it to another backend, or ends it where that cannot be. */
  private elsewhere(why: string, status: Status): void {
    if (this.over) return;
    this.tried.push(this.slot);
    this.settle(status);
    this.leaveBackend(ErrorCode.CANCEL);
    if (!this.replayable || this.attempts >= this.host.attempts) {
      this.end(status, why);
      return;
    }
    this.request.rewind();
    this.requestSent = this.backendDone = false;
    this.sent = 0;
    this.dispatch(why);
  }

  /** Sends it again where the policy of its pool says so. */
  private retry(status: Status, list: HeaderList | undefined, why: string): boolean {
    const delay = this.host.mayRetry(this, status, list);
    if (delay < 0) return false;
    const said = `${this.backend?.name ?? ''} ${why}`;
    if (delay === 0) {
      this.elsewhere(said, status);
      return true;
    }
    // The backend asked for time (grpc-retry-pushback-ms).
    this.settle(status);
    this.leaveBackend(ErrorCode.CANCEL);
    this.backend = undefined;
    const life = this.life;
    setTimeout(() => {
      if (this.life === life) this.elsewhere(said, status);
    }, delay);
    return true;
  }

  private leaveBackend(code: number): void {
    const { backendEnd, backendStream, backend } = this;
    if (backendEnd !== undefined) {
      this.backendEnd = undefined;
      this.backendStream = -1;
      if (this.backendDone && this.requestSent) backendEnd.detach(backendStream);
      else backendEnd.abort(backendStream, code);
    } else {
      backend?.forget(this);
    }
  }

  /** Completes the lease: once, whatever follows. */
  private settle(status: Status): void {
    if (this.lease < 0) return;
    this.host.settle(this, status);
    this.lease = -1;
  }
}
