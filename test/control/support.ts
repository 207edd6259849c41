/** Clients and servers for tests of the control API: real sockets on loopback, nothing left behind. */
import { once } from 'node:events';
import http2 from 'node:http2';
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Codec } from '../../src/control/methods.ts';
import type { Service } from '../../src/control/rpc.ts';
import { ControlServer } from '../../src/control/server.ts';
import { BadRequest } from '../../src/gen/google/rpc/error_details.ts';
import { Status as StatusMessage } from '../../src/gen/google/rpc/status.ts';

export interface Served {
  readonly address: string;
  readonly port: number;
  readonly server: ControlServer;
  readonly faults: unknown[];
}

export async function serve(
  services: readonly Service[],
  use: (served: Served) => Promise<void>,
): Promise<void> {
  const faults: unknown[] = [];
  const server = new ControlServer(services, (_path, error) => faults.push(error));
  const { port } = await server.listen('127.0.0.1', 0);
  try {
    await use({ address: `127.0.0.1:${port}`, port, server, faults });
  } finally {
    await server.close(0);
  }
}

/** A grpc-js client on a connection of its own. */
export function connect(address: string): Client {
  return new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
}

const writer =
  <T>(codec: Codec<T>) =>
  (message: T) =>
    Buffer.from(codec.encode(message).finish());
const reader =
  <T>(codec: Codec<T>) =>
  (bytes: Buffer) =>
    codec.decode(bytes);

export function call<Q, A>(
  client: Client,
  path: string,
  q: Codec<Q>,
  a: Codec<A>,
  request: Q,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<A> {
  return new Promise((resolve, reject) => {
    const options = timeoutMs < Number.POSITIVE_INFINITY ? { deadline: Date.now() + timeoutMs } : {};
    client.makeUnaryRequest(path, writer(q), reader(a), request, options, (error, answer) => {
      if (error) reject(error);
      else resolve(answer as A);
    });
  });
}

export function openServerStream<Q, A>(
  client: Client,
  path: string,
  q: Codec<Q>,
  a: Codec<A>,
  request: Q,
): ClientReadableStream<A> {
  return client.makeServerStreamRequest(path, writer(q), reader(a), request);
}

export function openBidi<Q, A>(
  client: Client,
  path: string,
  q: Codec<Q>,
  a: Codec<A>,
): ClientDuplexStream<Q, A> {
  return client.makeBidiStreamRequest(path, writer(q), reader(a));
}

export function openClientStream<Q, A>(
  client: Client,
  path: string,
  q: Codec<Q>,
  a: Codec<A>,
): { stream: ClientWritableStream<Q>; answer: Promise<A> } {
  let stream: ClientWritableStream<Q> | undefined;
  const answer = new Promise<A>((resolve, reject) => {
    stream = client.makeClientStreamRequest(path, writer(q), reader(a), (error, value) => {
      if (error) reject(error);
      else resolve(value as A);
    });
  });
  return { stream: stream as ClientWritableStream<Q>, answer };
}

export interface Ended {
  readonly code: number;
  readonly details: string;
}

/** How a stream of a client ended: its status, OK included. */
export function ended(stream: {
  on(event: 'status', listener: (status: Ended) => void): unknown;
  on(event: 'error', listener: () => void): unknown;
  resume(): unknown;
}): Promise<Ended> {
  return new Promise(resolve => {
    stream.on('error', () => {});
    stream.on('status', ({ code, details }) => resolve({ code, details }));
    stream.resume();
  });
}

/** Messages of a stream, one at a time. Ends with the stream; an error is thrown. */
export class Inbox<T> {
  private readonly items: T[] = [];
  private wake: (() => void) | undefined;
  private over: { error?: Error } | undefined;

  constructor(stream: ClientReadableStream<T> | ClientDuplexStream<unknown, T>) {
    stream.on('data', (item: T) => this.push(item));
    stream.on('error', (error: Error) => this.finish({ error }));
    stream.on('end', () => this.finish({}));
  }

  /** The next message; rejects where the stream ends first. */
  async next(): Promise<T> {
    while (this.items.length === 0) {
      if (this.over !== undefined) throw this.over.error ?? new Error('the stream has ended');
      await new Promise<void>(resolve => {
        this.wake = resolve;
      });
    }
    return this.items.shift() as T;
  }

  /** The first message, from the next one on, that is as wanted. */
  async until(wanted: (item: T) => boolean): Promise<T> {
    for (;;) {
      const item = await this.next();
      if (wanted(item)) return item;
    }
  }

  private push(item: T): void {
    this.items.push(item);
    this.wake?.();
  }

  private finish(how: { error?: Error }): void {
    this.over ??= how;
    this.wake?.();
  }
}

/** The error that a promise rejects with; fails where it resolves. */
export async function failure(promise: Promise<unknown>): Promise<ServiceError> {
  try {
    await promise;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error('expected a failure');
}

/** The fields that an error's BadRequest names. */
export function fieldsOf(error: ServiceError): string[] {
  const [bytes] = (error.metadata ?? new Metadata()).get('grpc-status-details-bin');
  if (!Buffer.isBuffer(bytes)) return [];
  const status = StatusMessage.decode(bytes);
  return status.details.flatMap(detail => BadRequest.decode(detail.value).fieldViolations.map(v => v.field));
}

/** A gRPC message frame. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** One call over a raw HTTP/2 session; resolves with what came back. */
export async function rawCall(
  session: http2.ClientHttp2Session,
  path: string,
  body: Buffer,
  headers: http2.OutgoingHttpHeaders = {},
): Promise<{ httpStatus: number; grpcStatus: number; message: string; body: Buffer }> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const seen: http2.IncomingHttpHeaders = {};
  stream.on('response', head => Object.assign(seen, head));
  stream.on('trailers', tail => Object.assign(seen, tail));
  stream.end(body);
  const parts: Buffer[] = [];
  stream.on('data', part => parts.push(part));
  await once(stream, 'close');
  return {
    httpStatus: Number(seen[':status']),
    grpcStatus: Number(seen['grpc-status'] ?? -1),
    message: decodeURIComponent(String(seen['grpc-message'] ?? '')),
    body: Buffer.concat(parts),
  };
}

export async function rawSession(
  address: string,
  settings: http2.Settings = {},
): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`http://${address}`, { settings });
  session.on('error', () => {});
  await once(session, 'connect');
  return session;
}
