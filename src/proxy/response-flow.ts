/** The response of a call on its way to the caller: what the backend's frames mean, what is held up, what is credited. */
import { parseStatus, Status, statusName, statusOfHttp } from '../grpc/status.ts';
import { type HeaderList, NameKind } from '../http2/http2.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Call } from './call.ts';
import { Field } from './fields.ts';

export class ResponseFlow {
  /** The backend has ended its side of the stream. */
  ended = false;
  /** The caller was given the head. */
  begun = false;
  private readonly call: Call;
  private readonly queue = new ByteQueue();
  private held: HeaderList | undefined;

  constructor(call: Call) {
    this.call = call;
  }

  /** The backend has answered all, and the caller has not taken it yet. */
  get isHeldUp(): boolean {
    return this.held !== undefined;
  }

  clear(): void {
    this.queue.clear(false);
    this.ended = this.begun = false;
    this.held = undefined;
  }

  /** Another backend is to answer. */
  rewind(): void {
    this.ended = false;
  }

  // From the backend

  head(list: HeaderList, endStream: boolean): void {
    const { call } = this;
    const grpcStatus = list.find(Field.GRPC_STATUS);
    const type = list.find(NameKind.CONTENT_TYPE);
    const isGrpc = list.status === 200 && type >= 0 && list.valueStartsWith(type, 'application/grpc');
    if (!isGrpc && grpcStatus < 0) {
      const what = type < 0 ? 'no content-type' : list.value(type).slice(0, 100);
      const status = statusOfHttp(list.status);
      const why = `answered HTTP ${list.status} with ${what} instead of gRPC`;
      if (!call.retried(status, undefined, why)) call.fail(status, why);
    } else if (!endStream) {
      this.begin(list);
    } else if (grpcStatus < 0) {
      call.fail(Status.UNKNOWN, 'ended the call without a grpc-status');
    } else {
      this.finish(list, grpcStatus, true);
    }
  }

  /** Gives the caller the head. What has been answered in part is not sent again. */
  begin(list: HeaderList): void {
    const { call } = this;
    call.forgetRequest();
    this.begun = true;
    call.caller?.sendHead(call.callerStream, call, list, false);
  }

  data(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const { queue, call } = this;
    const { caller, facts } = call;
    facts.responseBytes += end - start;
    if (call.isObserved) facts.response.push(buffer, start, end);
    const taken =
      queue.pending === 0 && caller !== undefined
        ? caller.sendData(call.callerStream, buffer, start, end, false)
        : 0;
    if (taken > 0) call.creditBackend(taken);
    if (taken < end - start) queue.push(buffer, start + taken, end);
    if (!endStream) return;
    this.ended = true;
    call.fail(Status.INTERNAL, 'ended the call without trailers');
  }

  trailers(list: HeaderList): void {
    const grpcStatus = list.find(Field.GRPC_STATUS);
    this.ended = true;
    if (grpcStatus < 0) this.call.fail(Status.UNKNOWN, 'ended the call without a grpc-status');
    else this.finish(list, grpcStatus, false);
  }

  private finish(list: HeaderList, at: number, isHead: boolean): void {
    const { call } = this;
    this.ended = true;
    const { buffer, start, end } = list.field(at);
    const status = parseStatus(buffer, start, end);
    call.reported(list);
    if (isHead && call.retried(status, list, `answered ${statusName(status)}`)) return;
    const now = call.leave(status, '');
    // What the caller has not taken yet comes first.
    if (this.queue.pending > 0) {
      this.held = list.kept();
      call.facts.status = status;
    } else {
      call.deliver(list, status, isHead, now);
    }
  }

  /** The caller's side has room again. */
  pump(): void {
    const { queue, call, held } = this;
    const { caller } = call;
    if (caller === undefined || call.isOver || queue.pending === 0) return;
    const taken = caller.sendData(call.callerStream, queue.buffer, queue.at, queue.end, false);
    queue.advance(taken);
    if (taken > 0) call.creditBackend(taken);
    if (queue.pending === 0 && held !== undefined) call.deliver(held, call.facts.status, false);
  }
}
