/**
 * A method of the control API, whatever engine serves it: what its handler is given and what it gives
 * back. Handlers know these types alone; `server.ts` puts them on the frame engine.
 */
import type { Status } from '../grpc/status.ts';

/** Who calls. */
export interface Peer {
  /** IP address, IPv4-mapped ones as IPv4. Empty where the transport has none. */
  readonly host: string;
  /** `host:port`, with brackets around an IPv6 host; for messages. */
  readonly address: string;
  /** What the peer has proved to be; absent without authentication. */
  readonly identity?: string;
  /** A value of the call's metadata; empty where there is none. Of unary calls. */
  metadata?(name: string): string;
  /** Adds a field to what goes before the answer; once a call. Of unary calls. */
  answer?(name: string, value: string): void;
}

/** A call that is not answered at once. */
export interface Patience {
  /** Time until the caller's deadline, ms; Infinity: it has none. */
  remainingMs(): number;
  /** Calls once where the caller gives the call up before it is answered. */
  onCancelled(listener: () => void): void;
}

/** One field of a request that is not as it must be. */
export interface FieldViolation {
  /** Path of the field, e.g. `registration.address`. */
  readonly field: string;
  /** What was expected. */
  readonly description: string;
}

/** Ends a call with a status other than OK. The message is for the caller's eyes. */
export class RpcError extends Error {
  readonly code: Status;
  /** Sent as `google.rpc.BadRequest` in `grpc-status-details-bin`. */
  readonly violations: readonly FieldViolation[];
  /** How long the caller should wait before it tries again, ms (`grpc-retry-pushback-ms`); 0: not said. */
  readonly pushbackMs: number;

  constructor(code: Status, message: string, violations: readonly FieldViolation[] = [], pushbackMs = 0) {
    super(message);
    this.code = code;
    this.violations = violations;
    this.pushbackMs = pushbackMs;
  }
}

/** The way back to a caller: encoded messages, one at a time. */
export interface Sink {
  /**
   * Hands one encoded message over; it is not to be changed any more. `taken` is called once the transport has taken it, so that the
   * next one does not wait in memory; it is not called any more after the call is over. A second
   * write before that is queued: for what is small and rare.
   */
  write(message: Uint8Array, taken?: () => void): void;
  /** Ends the call: OK, or with the error's status. Later writes and ends do nothing. */
  end(error?: RpcError): void;
}

/** Takes the requests of one streaming call. What it throws ends the call. */
export interface Receiver<Request> {
  message(request: Request): void;
  /** The caller has sent all; the call goes on until the sink is ended. */
  halfClosed(): void;
  /** The call is over without our having ended it: reset by the caller, or its connection is gone. */
  cancelled(): void;
}

/** A living connection under a call, where the engine can reach it. */
export interface Link {
  /** Calls back once, true where the peer's HTTP/2 stack answers a PING within `timeoutMs`. */
  ping(timeoutMs: number, done: (answered: boolean) => void): void;
}

interface MethodBase<Request> {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Throws where the bytes are no such message. The bytes are the engine's again when it returns: no views of them. */
  decode(bytes: Uint8Array): Request;
}

export interface UnaryMethod<Request = never> extends MethodBase<Request> {
  readonly kind: 'unary';
  /** Returns the encoded answer. Throws `RpcError`. */
  handle(request: Request, peer: Peer, patience: Patience): Uint8Array | Promise<Uint8Array>;
}

export interface ServerStreamMethod<Request = never> extends MethodBase<Request> {
  readonly kind: 'serverStream';
  /** Returns what is to be called when the caller goes away. Throws `RpcError`. */
  open(request: Request, peer: Peer, sink: Sink): () => void;
}

export interface StreamMethod<Request = never> extends MethodBase<Request> {
  /** `clientStream`: exactly one message goes back. */
  readonly kind: 'clientStream' | 'bidi';
  open(peer: Peer, sink: Sink, link: Link): Receiver<Request>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table of methods holds methods of any request type
export type Method = UnaryMethod<any> | ServerStreamMethod<any> | StreamMethod<any>;

/** What one service offers. */
export interface Service {
  /** Fully qualified name. */
  readonly name: string;
  readonly methods: readonly Method[];
}
