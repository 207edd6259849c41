/**
 * One call: its stream on one side, a method's handler on the other.
 *
 *     begin → receive ... → (halfClosed) → closed        what the caller does
 *     write ... → end                                    what the handler does
 *
 * `done` is the moment after which the handler hears and says nothing more: it has ended the call, or the caller has.
 */
import { inflateSync, unzipSync } from 'node:zlib';
import { CONTROL } from '../core/limits.ts';
import { Any } from '../gen/google/protobuf/any.ts';
import { BadRequest } from '../gen/google/rpc/error_details.ts';
import { Status as StatusMessage } from '../gen/google/rpc/status.ts';
import { PREFIX_BYTES } from '../grpc/framing.ts';
import { MessageReader, type MessageTaker } from '../grpc/message-reader.ts';
import { Status } from '../grpc/status.ts';
import { ErrorCode, type HeaderList } from '../http2/http2.ts';
import type { Caller } from './caller.ts';
import { type Method, type Patience, type Peer, type Receiver, RpcError, type Sink } from './rpc.ts';

const BAD_REQUEST_TYPE = 'type.googleapis.com/google.rpc.BadRequest';
/** Messages up to this are put behind their prefix in a buffer that all share. */
const scratch = Buffer.allocUnsafeSlow(16 * 1024);
/** Beyond this, `setTimeout` fires at once. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

/** A message, or the rest of one, that the caller's windows have no room for. */
interface Waiting {
  readonly octets: Buffer;
  at: number;
  readonly taken: (() => void) | undefined;
}

export class ServedCall implements Sink, Peer, Patience, MessageTaker {
  private readonly caller: Caller;
  private readonly stream: number;
  private readonly method: Method;
  /** The caller's metadata; undefined where the method does not ask for it. */
  private readonly list: HeaderList | undefined;
  /** Monotonic clock, ms; Infinity: none. */
  private readonly deadline: number;
  private readonly coding: string;
  private readonly reader = new MessageReader(CONTROL.messageBytes);
  /** Octets of the reader that the server counts. */
  private counted = 0;
  /** Of a method that takes one. */
  private request: unknown;
  private requests = 0;
  private receiver: Receiver<unknown> | undefined;
  /** What a handler wants to be told at the end. */
  private gone: (() => void) | undefined;
  private timer: NodeJS.Timeout | undefined;
  private waiting: Waiting[] | undefined;
  private error: RpcError | undefined;
  /** Fields of the head beside those that all have. */
  private extra: (readonly [name: string, value: string])[] | undefined;
  private headSent = false;
  private requestEnded = false;
  private done = false;
  private isClosed = false;

  constructor(
    caller: Caller,
    stream: number,
    method: Method,
    list: HeaderList | undefined,
    deadline: number,
    coding: string,
  ) {
    this.caller = caller;
    this.stream = stream;
    this.method = method;
    this.list = list;
    this.deadline = deadline;
    this.coding = coding;
  }

  // What the caller does

  begin(endStream: boolean): void {
    const { method } = this;
    if (method.kind === 'bidi' || method.kind === 'clientStream') {
      this.guard(() => {
        this.receiver = method.open(this, this, this.caller);
      });
      this.awaitDeadline();
    }
    if (endStream) this.halfClosed();
  }

  receive(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    if (!this.done) this.read(buffer, start, end);
    if (endStream) this.halfClosed();
  }

  halfClosed(): void {
    this.requestEnded = true;
    if (this.done) return;
    if (!this.reader.atBoundary) {
      this.giveUp(new RpcError(Status.INTERNAL, 'the request ends within a message'));
      return;
    }
    const { method, receiver } = this;
    if (receiver !== undefined) {
      // Node's HTTP/2 ends a stream that is cancelled before it resets it, both in one write.
      setImmediate(() => {
        if (!this.done) this.guard(() => receiver.halfClosed());
      });
    } else if (this.requests === 0) this.end(new RpcError(Status.UNIMPLEMENTED, 'expected one message'));
    else if (method.kind === 'unary') this.handle();
    else if (method.kind === 'serverStream') this.open();
  }

  /** It has given the call up, or is gone. */
  cancelled(): void {
    if (this.done) return;
    this.done = true;
    this.tellGone();
  }

  /** The stream is over. */
  closed(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.waiting = undefined;
    this.reader.drop();
    this.count();
    if (this.method.kind === 'serverStream') this.tellGone();
  }

  /** There is room for what waits. */
  pump(): void {
    const { waiting, caller, stream } = this;
    if (waiting === undefined) return;
    const { connection } = caller;
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (!connection.isSendable(stream)) return;
      first.at += connection.sendData(stream, first.octets, first.at, first.octets.length, false);
      if (first.at < first.octets.length) return;
      waiting.shift();
      this.tellTaken(first.taken);
    }
    this.waiting = undefined;
    if (this.done) this.finish();
  }

  // Taker of messages

  get over(): boolean {
    return this.done;
  }

  message(octets: Buffer, compressed: boolean): void {
    const { method, receiver } = this;
    let request: unknown;
    try {
      request = method.decode(compressed ? this.decompress(octets) : octets);
    } catch (error) {
      this.giveUp(
        error instanceof RpcError
          ? error
          : new RpcError(Status.INTERNAL, `the request is no such message: ${(error as Error).message}`),
      );
      return;
    }
    if (receiver === undefined) {
      if (++this.requests > 1) this.end(new RpcError(Status.UNIMPLEMENTED, 'more than one message'));
      else this.request = request;
      return;
    }
    try {
      receiver.message(request);
    } catch (error) {
      this.end(this.asRpcError(error));
    }
  }

  // Peer

  get host(): string {
    return this.caller.peer.host;
  }

  get address(): string {
    return this.caller.peerAddress;
  }

  metadata(name: string): string {
    const { list } = this;
    const at = list?.findName(name) ?? -1;
    return list === undefined || at < 0 ? '' : list.value(at);
  }

  answer(name: string, value: string): void {
    this.extra ??= [];
    this.extra.push([name, value]);
  }

  // Patience

  remainingMs(): number {
    return this.deadline - this.caller.host.now();
  }

  onCancelled(listener: () => void): void {
    this.gone = listener;
  }

  // Sink

  write(message: Uint8Array, taken?: () => void): void {
    if (this.done || this.isClosed) return;
    if (!this.headSent) this.sendHead();
    const { connection } = this.caller;
    const length = PREFIX_BYTES + message.length;
    const octets = length <= scratch.length ? scratch : Buffer.allocUnsafeSlow(length);
    octets[0] = 0;
    octets.writeUInt32BE(message.length, 1);
    octets.set(message, PREFIX_BYTES);
    const at = this.waiting === undefined ? connection.sendData(this.stream, octets, 0, length, false) : 0;
    if (at === length) {
      this.tellTaken(taken);
      return;
    }
    this.waiting ??= [];
    if (octets !== scratch) this.waiting.push({ octets, at, taken });
    else this.waiting.push({ octets: Buffer.from(scratch.subarray(at, length)), at: 0, taken });
  }

  end(error?: RpcError): void {
    if (this.done) return;
    this.done = true;
    this.error = error;
    clearTimeout(this.timer);
    // A message that has begun must be whole; those behind it are of no use to who is told of an error.
    if (error !== undefined && this.waiting !== undefined) this.waiting.length = 1;
    if (this.waiting === undefined) this.finish();
  }

  private handle(): void {
    if (this.method.kind !== 'unary') return;
    try {
      const answer = this.method.handle(this.request as never, this, this);
      if (!(answer instanceof Promise)) {
        this.write(answer);
        this.end();
        return;
      }
      this.awaitDeadline();
      answer.then(
        octets => {
          this.write(octets);
          this.end();
        },
        (error: unknown) => this.end(this.asRpcError(error)),
      );
    } catch (error) {
      this.end(this.asRpcError(error));
    }
  }

  private open(): void {
    const { method } = this;
    if (method.kind !== 'serverStream') return;
    this.guard(() => {
      const gone = method.open(this.request as never, this, this);
      this.gone = gone;
      if (this.isClosed) this.tellGone();
    });
    this.awaitDeadline();
  }

  private read(buffer: Buffer, start: number, end: number): void {
    const fault = this.reader.read(buffer, start, end, this);
    if (fault === 'flag') {
      this.giveUp(new RpcError(Status.INTERNAL, 'a message begins with neither 0 nor 1: this is no gRPC'));
    } else if (fault === 'length') {
      this.giveUp(
        new RpcError(Status.RESOURCE_EXHAUSTED, `a message of more than ${CONTROL.messageBytes} octets`),
      );
    }
    if (this.reader.held === this.counted) return;
    this.count();
    if (!this.done && this.caller.host.unfinishedBytes > CONTROL.unfinishedBytes) {
      this.giveUp(
        new RpcError(Status.RESOURCE_EXHAUSTED, 'too many messages that have not come whole are held'),
      );
    }
  }

  private count(): void {
    const { held } = this.reader;
    this.caller.host.unfinishedBytes += held - this.counted;
    this.counted = held;
  }

  private decompress(octets: Buffer): Buffer {
    const { coding } = this;
    const bounded = { maxOutputLength: CONTROL.messageBytes };
    try {
      if (coding === 'gzip') return unzipSync(octets, bounded);
      if (coding === 'deflate') return inflateSync(octets, bounded);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        throw new RpcError(
          Status.RESOURCE_EXHAUSTED,
          `a message of more than ${CONTROL.messageBytes} octets`,
        );
      }
      throw new RpcError(Status.INTERNAL, `a message is not ${coding}: ${(error as Error).message}`);
    }
    if (coding === 'identity')
      throw new RpcError(Status.INTERNAL, 'a compressed message without grpc-encoding');
    throw new RpcError(Status.UNIMPLEMENTED, `grpc-encoding '${coding.slice(0, 40)}' is not known here`);
  }

  /** Ends a call by a decision of ours that its handler hears of as of a caller that has gone. */
  private giveUp(error: RpcError): void {
    if (this.done) return;
    this.tellGone();
    this.end(error);
  }

  /** Tells the handler, once, that the caller is gone. */
  private tellGone(): void {
    const { receiver, gone } = this;
    this.receiver = this.gone = undefined;
    try {
      receiver?.cancelled();
      gone?.();
    } catch (error) {
      this.asRpcError(error);
    }
  }

  private tellTaken(taken: (() => void) | undefined): void {
    if (taken === undefined) return;
    this.caller.onceSent(() => {
      if (!this.done) this.guard(taken);
    });
  }

  private awaitDeadline(): void {
    if (this.deadline === Number.POSITIVE_INFINITY || this.done) return;
    const ms = Math.max(1, Math.min(this.remainingMs(), LONGEST_TIMER_MS));
    this.timer = setTimeout(
      () => this.giveUp(new RpcError(Status.DEADLINE_EXCEEDED, 'deadline exceeded')),
      ms,
    );
  }

  private sendHead(): void {
    const { caller, stream, extra } = this;
    const { connection, host } = caller;
    this.headSent = true;
    if (extra === undefined) {
      connection.sendList(stream, host.head, false);
      return;
    }
    connection.beginHeaders(stream);
    connection.addList(host.head);
    for (const [name, value] of extra) connection.addText(host.context.names.named(name), value);
    connection.endHeaders(false);
  }

  private finish(): void {
    const { caller, stream, error, requestEnded } = this;
    const { connection, host } = caller;
    if (this.isClosed || !connection.isSendable(stream)) return;
    if (error === undefined) {
      if (!this.headSent) this.sendHead();
      connection.sendList(stream, host.ok, true);
    } else {
      const { code, message, pushbackMs } = error;
      const text = message.toWellFormed();
      host.replies.finish(connection, stream, code, text, this.headSent, pushbackMs, detailsOf(error, text));
    }
    // RFC 9113 8.1: a server that has answered in full may ask for the rest of a request not to be sent.
    if (!requestEnded) connection.reset(stream, ErrorCode.NO_ERROR);
  }

  /** Runs a handler's code; what it throws becomes the status of the call. */
  private guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.end(this.asRpcError(error));
    }
  }

  private asRpcError(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    this.caller.host.onFault(this.method.path, error);
    return new RpcError(Status.INTERNAL, 'the balancer failed on this call; its log says why');
  }
}

/** `google.rpc.Status` with the fields that are not as they must be; undefined where there is nothing to say of them. */
function detailsOf({ code, violations }: RpcError, message: string): Uint8Array | undefined {
  if (violations.length === 0) return undefined;
  const value = Buffer.from(BadRequest.encode({ fieldViolations: [...violations] }).finish());
  const detail = Any.create({ typeUrl: BAD_REQUEST_TYPE, value });
  return StatusMessage.encode({ code, message: message.slice(0, 1024), details: [detail] }).finish();
}
