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
import { systemClock } from './clock.ts';
import { type Method, type Patience, type Peer, type Receiver, RpcError, type Sink } from './rpc.ts';

const BAD_REQUEST_TYPE = 'type.googleapis.com/google.rpc.BadRequest';
/** Of the message that is being sent. */
const prefix = Buffer.alloc(PREFIX_BYTES);

/** A message that the caller's windows have no room for, or not for all of it. */
interface Waiting {
  /** As its handler gave it: what goes to many callers is held once. */
  readonly message: Buffer;
  /** Octets that were sent, those of the prefix counted. */
  sent: number;
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
  private waiting: Waiting[] | undefined;
  private waitingBytes = 0;
  /** Octets of both that the connection counts. */
  private counted = 0;
  /** Of a method that takes one. */
  private request: unknown;
  private requests = 0;
  private receiver: Receiver<unknown> | undefined;
  /** What a handler wants to be told at the end. */
  private gone: (() => void) | undefined;
  private callOffDeadline: (() => void) | undefined;
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
    this.callOffDeadline?.();
    this.reader.drop();
    if (this.waiting !== undefined) this.waitFor([]);
    else this.count();
    if (this.method.kind === 'serverStream') this.tellGone();
  }

  /** There is room for what waits. */
  pump(): void {
    const { waiting } = this;
    if (waiting === undefined) return;
    let next = 0;
    for (let first = waiting[0]; first !== undefined; first = waiting[++next]) {
      if (!this.caller.connection.isSendable(this.stream)) return;
      first.sent = this.send(first.message, first.sent);
      if (first.sent < PREFIX_BYTES + first.message.length) break;
      this.tellTaken(first.taken);
    }
    if (next > 0) this.waitFor(waiting.slice(next));
    if (this.done && this.waiting === undefined) this.finish();
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
    const octets = Buffer.isBuffer(message)
      ? message
      : Buffer.from(message.buffer, message.byteOffset, message.length);
    const { waiting } = this;
    const sent = waiting === undefined ? this.send(octets, 0) : 0;
    if (sent === PREFIX_BYTES + octets.length) this.tellTaken(taken);
    else this.waitFor([...(waiting ?? []), { message: octets, sent, taken }]);
  }

  end(error?: RpcError): void {
    if (this.done) return;
    this.done = true;
    this.error = error;
    this.callOffDeadline?.();
    // A message that has begun must be whole; others are of no use to who is told of an error.
    if (error !== undefined && this.waiting !== undefined) {
      this.waitFor(this.waiting.slice(0, 1).filter(({ sent }) => sent > 0));
    }
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
    this.count();
  }

  private waitFor(waiting: Waiting[]): void {
    this.waiting = waiting.length === 0 ? undefined : waiting;
    this.waitingBytes = 0;
    for (const { message } of waiting) this.waitingBytes += message.length;
    this.count();
  }

  private count(): void {
    const held = this.reader.held + this.waitingBytes;
    if (held === this.counted) return;
    this.caller.hold(held - this.counted);
    this.counted = held;
  }

  /** Sends of a message what there is room for. @returns octets that were sent by now, those of the prefix counted */
  private send(message: Buffer, sent: number): number {
    const { connection } = this.caller;
    let at = sent;
    if (at < PREFIX_BYTES) {
      prefix.writeUInt32BE(message.length, 1);
      at += connection.sendData(this.stream, prefix, at, PREFIX_BYTES, false);
      if (at < PREFIX_BYTES) return at;
    }
    return at + connection.sendData(this.stream, message, at - PREFIX_BYTES, message.length, false);
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
    // grpc doc/compression.md: such an answer must say what is known, which is in the head.
    if (!this.headSent) this.sendHead();
    throw new RpcError(Status.UNIMPLEMENTED, `grpc-encoding '${coding.slice(0, 40)}' is not known here`);
  }

  /** Ends a call by a decision of ours that its handler hears of as of a caller that has gone. */
  private giveUp(error: RpcError): void {
    if (this.done) return;
    this.end(error);
    this.tellGone();
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
    this.callOffDeadline = systemClock.after(Math.max(1, this.remainingMs()), () =>
      this.giveUp(new RpcError(Status.DEADLINE_EXCEEDED, 'deadline exceeded')),
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
