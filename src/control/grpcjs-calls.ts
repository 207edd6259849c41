/**
 * The methods of `rpc.ts` as handlers of grpc-js. This file and `grpcjs-server.ts` are the only ones
 * of the control API that know that library.
 */
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { formatHostPort } from '../core/host-port.ts';
import { Any } from '../gen/google/protobuf/any.ts';
import { BadRequest } from '../gen/google/rpc/error_details.ts';
import { Status as StatusMessage } from '../gen/google/rpc/status.ts';
import { Status } from '../grpc/status.ts';
import { linkOf } from './grpcjs-link.ts';
import {
  type Method,
  type Patience,
  type Peer,
  type Receiver,
  RpcError,
  type ServerStreamMethod,
  type Sink,
  type StreamMethod,
  type UnaryMethod,
} from './rpc.ts';

/** Told of what a handler threw that is no `RpcError`: a fault of ours. */
export type OnFault = (path: string, error: unknown) => void;

const STATUS_DETAILS = 'grpc-status-details-bin';
const BAD_REQUEST_TYPE = 'type.googleapis.com/google.rpc.BadRequest';
/** A status travels in headers; peers commonly take 8 KiB of them. */
const MOST_DETAILS = 1024;

interface GrpcStatus {
  code: number;
  details: string;
  metadata: Metadata;
  name: string;
  message: string;
}

function toStatus(error: RpcError): GrpcStatus {
  // A lone surrogate, which cutting can leave, would make grpc-js throw while it escapes the text.
  const details = error.message.slice(0, MOST_DETAILS).toWellFormed();
  const metadata = new Metadata();
  if (error.pushbackMs > 0) metadata.set('grpc-retry-pushback-ms', String(error.pushbackMs));
  if (error.violations.length > 0) {
    const value = asBuffer(BadRequest.encode({ fieldViolations: [...error.violations] }).finish());
    const detail = Any.create({ typeUrl: BAD_REQUEST_TYPE, value });
    const bytes = StatusMessage.encode({ code: error.code, message: details, details: [detail] }).finish();
    metadata.set(STATUS_DETAILS, asBuffer(bytes));
  }
  return { code: error.code, details, metadata, name: 'RpcError', message: details };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

interface PeerCall {
  getPeer(): string;
  /** Infinity where there is none. */
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
}

/**
 * Reads grpc-js's `address:port`, where an IPv6 address has no brackets, when somebody first asks: few
 * handlers do. Streams ask at once, since grpc-js forgets the address with the connection.
 */
class GrpcPeer implements Peer, Patience {
  private readonly call: PeerCall;
  private text: string | undefined;

  constructor(call: PeerCall) {
    this.call = call;
  }

  static ofStream(call: PeerCall): GrpcPeer {
    const peer = new GrpcPeer(call);
    peer.text = call.getPeer();
    return peer;
  }

  remainingMs(): number {
    return Number(this.call.getDeadline()) - Date.now();
  }

  onCancelled(listener: () => void): void {
    this.call.on('cancelled', listener);
  }

  get host(): string {
    this.text ??= this.call.getPeer();
    const host = this.text.slice(0, Math.max(0, this.text.lastIndexOf(':')));
    return host.startsWith('::ffff:') && host.includes('.') ? host.slice(7) : host;
  }

  metadata(name: string): string {
    const [value = ''] = this.call.metadata.get(name);
    return value.toString();
  }

  answer(name: string, value: string): void {
    const metadata = new Metadata();
    metadata.set(name, value);
    this.call.sendMetadata(metadata);
  }

  get address(): string {
    const host = this.host;
    const port = (this.text ?? '').slice((this.text ?? '').lastIndexOf(':') + 1);
    return formatHostPort(host, port);
  }
}

/** Runs a handler's code; what it throws becomes the status of the call. */
function guarded(path: string, onFault: OnFault, end: (error: RpcError) => void, run: () => void): void {
  try {
    run();
  } catch (error) {
    end(asRpcError(path, onFault, error));
  }
}

function asRpcError(path: string, onFault: OnFault, error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  onFault(path, error);
  return new RpcError(Status.INTERNAL, 'the balancer failed on this call; its log says why');
}

function unary(method: UnaryMethod<unknown>, onFault: OnFault): handleUnaryCall<unknown, Buffer> {
  return (call, callback) => {
    try {
      const peer = new GrpcPeer(call);
      const answer = method.handle(call.request, peer, peer);
      if (answer instanceof Promise) {
        answer.then(
          bytes => callback(null, asBuffer(bytes)),
          (error: unknown) => callback(toStatus(asRpcError(method.path, onFault, error))),
        );
      } else {
        callback(null, asBuffer(answer));
      }
    } catch (error) {
      callback(toStatus(asRpcError(method.path, onFault, error)));
    }
  };
}

interface Writer {
  write(message: Buffer, taken?: () => void): boolean;
  end(): void;
  emit(event: 'error', error: GrpcStatus): boolean;
}

class StreamSink implements Sink {
  over = false;
  private readonly call: Writer;

  constructor(call: Writer) {
    this.call = call;
  }

  write(message: Uint8Array, taken?: () => void): void {
    if (this.over) return;
    if (taken === undefined) this.call.write(asBuffer(message));
    else
      this.call.write(asBuffer(message), () => {
        if (!this.over) taken();
      });
  }

  end(error?: RpcError): void {
    if (this.over) return;
    this.over = true;
    if (error === undefined) this.call.end();
    else this.call.emit('error', toStatus(error));
  }
}

/** A call that is answered once, by grpc-js's callback. */
class CallbackSink implements Sink {
  over = false;
  private answer: Buffer | undefined;
  private readonly callback: sendUnaryData<Buffer>;

  constructor(callback: sendUnaryData<Buffer>) {
    this.callback = callback;
  }

  write(message: Uint8Array): void {
    this.answer = asBuffer(message);
  }

  end(error?: RpcError): void {
    if (this.over) return;
    this.over = true;
    if (error === undefined) this.callback(null, this.answer ?? Buffer.alloc(0));
    else this.callback(toStatus(error));
  }
}

function serverStream(
  method: ServerStreamMethod<unknown>,
  onFault: OnFault,
): handleServerStreamingCall<unknown, Buffer> {
  return call => {
    const sink = new StreamSink(call);
    guarded(
      method.path,
      onFault,
      error => sink.end(error),
      () => {
        const cancelled = method.open(call.request, GrpcPeer.ofStream(call), sink);
        // grpc-js says `cancelled` after every call, ended ones included.
        call.on('cancelled', () => {
          sink.over = true;
          cancelled();
        });
      },
    );
  };
}

interface Readable extends PeerCall {
  on(event: 'data', listener: (message: unknown) => void): unknown;
  on(event: 'end' | 'cancelled', listener: () => void): unknown;
}

function receive(
  method: StreamMethod<unknown>,
  onFault: OnFault,
  call: Readable,
  sink: Sink & { over: boolean },
): void {
  const fail = (error: RpcError) => sink.end(error);
  guarded(method.path, onFault, fail, () => {
    const receiver: Receiver<unknown> = method.open(GrpcPeer.ofStream(call), sink, linkOf(call));
    call.on('data', message => {
      if (!sink.over) guarded(method.path, onFault, fail, () => receiver.message(message));
    });
    call.on('end', () => {
      // A reset shows as an end too, and as what it is in the same turn of the event loop.
      setImmediate(() => {
        if (!sink.over) guarded(method.path, onFault, fail, () => receiver.halfClosed());
      });
    });
    call.on('cancelled', () => {
      if (sink.over) return;
      sink.over = true;
      receiver.cancelled();
    });
  });
}

/** The kind's name for grpc-js's `register`, and the handler. */
export function toHandler(method: Method, onFault: OnFault): UntypedHandleCall {
  switch (method.kind) {
    case 'unary':
      return unary(method, onFault);
    case 'serverStream':
      return serverStream(method, onFault);
    case 'clientStream': {
      const handler: handleClientStreamingCall<unknown, Buffer> = (call, callback) =>
        receive(method, onFault, call, new CallbackSink(callback));
      return handler;
    }
    case 'bidi': {
      const handler: handleBidiStreamingCall<unknown, Buffer> = call =>
        receive(method, onFault, call, new StreamSink(call));
      return handler;
    }
  }
}
