/** A balancer's side of `ReportLoad` that does what a test says, and a server with calls of every kind. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as grpc from '@grpc/grpc-js';
import {
  createLoadReporter,
  type LoadReporter,
  type LoadReporterOptions,
  type ReporterEvents,
} from '../../src/backend/backend.ts';
import {
  type Registered,
  type Registration,
  ReportLoadRequest,
  ReportLoadResponse,
} from '../../src/gen/heapmesh/v1/load_report.ts';
import type { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import { durationOf, millisOf } from '../../src/grpc/duration.ts';

type RequestKind = NonNullable<ReportLoadRequest['kind']>;
type ValueOf<C extends RequestKind['$case']> = Extract<RequestKind, { $case: C }>['value'];
type ServerStream = grpc.ServerDuplexStream<ReportLoadRequest, ReportLoadResponse>;

/** What has come and nobody has taken yet, or who waits for it. */
class Inbox<T> {
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  put(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker(item);
  }

  take(): Promise<T> {
    const item = this.#items.shift();
    return item === undefined ? new Promise(resolve => this.#takers.push(resolve)) : Promise.resolve(item);
  }

  get size(): number {
    return this.#items.length;
  }
}

export class ReportStreamPeer {
  readonly messages: ReportLoadRequest[] = [];
  /** Does not end the stream when the backend has said all. */
  deaf = false;
  readonly #inbox = new Inbox<ReportLoadRequest>();
  readonly #call: ServerStream;
  /** Settles once the backend has said all or has reset the stream: Node.js shows both alike. */
  readonly ended: Promise<void>;

  constructor(call: ServerStream) {
    this.#call = call;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    call.on('data', (message: ReportLoadRequest) => {
      this.messages.push(message);
      this.#inbox.put(message);
    });
    call.on('end', () => {
      resolve();
      if (!this.deaf) call.end();
    });
    call.on('cancelled', () => resolve());
    call.on('error', () => {});
  }

  /** The next message; others than this kind are passed over. */
  async next<C extends RequestKind['$case']>(kind: C): Promise<ValueOf<C>> {
    for (;;) {
      const message = await this.#inbox.take();
      if (message.kind?.$case === kind) return message.kind.value as ValueOf<C>;
    }
  }

  /** The next load report with which the condition holds. */
  async nextLoad(holds: (load: OrcaLoadReport) => boolean = () => true): Promise<OrcaLoadReport> {
    for (;;) {
      const load = await this.next('load');
      if (holds(load)) return load;
    }
  }

  send(kind: NonNullable<ReportLoadResponse['kind']>): void {
    this.#call.write({ kind });
  }

  registered(answer: Partial<Registered> & { intervalMs?: number } = {}): void {
    const { intervalMs = 20, ...rest } = answer;
    const reportInterval = durationOf(intervalMs);
    const value = { id: 'b', instanceId: '', controlAddresses: [], reportInterval, ...rest };
    this.send({ $case: 'registered', value });
  }

  /** Awaits the registration and answers it. */
  async accept(answer: Partial<Registered> & { intervalMs?: number } = {}): Promise<Registration> {
    const registration = await this.next('registration');
    this.registered(answer);
    return registration;
  }

  /** Reads no more. */
  pause(): void {
    this.#call.pause();
  }

  end(): void {
    this.#call.end();
  }

  fail(code: grpc.status, details: string): void {
    this.#call.emit('error', { code, details });
  }
}

export class FakeBalancer {
  readonly address: string;
  readonly #server: grpc.Server;
  readonly #inbox = new Inbox<ReportStreamPeer>();
  opened = 0;

  private constructor(server: grpc.Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  /** `port` 0 is any. `onStream` takes every stream instead of `next()`. */
  static async start(onStream?: (stream: ReportStreamPeer) => void, port = 0): Promise<FakeBalancer> {
    const server = new grpc.Server();
    let balancer: FakeBalancer | undefined;
    const definition = {
      reportLoad: {
        path: '/heapmesh.v1.LoadReportService/ReportLoad',
        requestStream: true,
        responseStream: true,
        requestSerialize: (m: ReportLoadRequest) => Buffer.from(ReportLoadRequest.encode(m).finish()),
        requestDeserialize: (b: Buffer) => ReportLoadRequest.decode(b),
        responseSerialize: (m: ReportLoadResponse) => Buffer.from(ReportLoadResponse.encode(m).finish()),
        responseDeserialize: (b: Buffer) => ReportLoadResponse.decode(b),
      },
    } as const;
    server.addService(definition, {
      reportLoad: (call: ServerStream) => {
        const stream = new ReportStreamPeer(call);
        if (balancer === undefined) return;
        balancer.opened += 1;
        if (onStream === undefined) balancer.#inbox.put(stream);
        else onStream(stream);
      },
    });
    balancer = new FakeBalancer(server, `127.0.0.1:${await bind(server, port)}`);
    return balancer;
  }

  next(): Promise<ReportStreamPeer> {
    return this.#inbox.take();
  }

  /** Streams that nobody has taken. */
  get waiting(): number {
    return this.#inbox.size;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

export function bind(server: grpc.Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}

/** Listens no more once it returns, so that nothing answers there. */
export async function deadAddress(): Promise<string> {
  const server = new grpc.Server();
  const port = await bind(server);
  await new Promise<void>(resolve => server.tryShutdown(() => resolve()));
  return `127.0.0.1:${port}`;
}

export const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

export function reporterFor(
  balancers: readonly string[],
  options: Partial<LoadReporterOptions> = {},
): LoadReporter {
  return createLoadReporter({
    balancers,
    address: '127.0.0.1:50051',
    services: ['test.v1.Calls'],
    settleMs: 0,
    logger: SILENT,
    ...options,
  });
}

/** Resolves with the first event of this kind for which the condition holds. */
export function eventOf<K extends keyof ReporterEvents>(
  reporter: LoadReporter,
  event: K,
  holds: (event: ReporterEvents[K]) => boolean = () => true,
): Promise<ReporterEvents[K]> {
  return new Promise(resolve => {
    const off = reporter.on(event, value => {
      if (!holds(value)) return;
      off();
      resolve(value);
    });
  });
}

/** nice-grpc wants messages to be objects. */
export interface Text {
  readonly text: string;
}
const bytes = ({ text }: Text) => Buffer.from(text);
const message = (encoded: Buffer): Text => ({ text: encoded.toString() });
const method = <Q extends boolean, A extends boolean>(name: string, requestStream: Q, responseStream: A) => ({
  path: `/test.v1.Calls/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: message,
  responseSerialize: bytes,
  responseDeserialize: message,
});

/** A service with a method of each kind. */
export const CALLS = {
  unary: method('Unary', false, false),
  collect: method('Collect', true, false),
  tell: method('Tell', false, true),
  chat: method('Chat', true, true),
} as const;

export interface Caller {
  readonly client: grpc.Client;
  /** Cancelled where the signal is aborted. */
  unary(
    text: string,
    options?: grpc.CallOptions & { readonly signal?: AbortSignal },
  ): Promise<{ answer: string; trailer: grpc.Metadata }>;
  collect(): grpc.ClientWritableStream<Text>;
  tell(text: string): grpc.ClientReadableStream<Text>;
  chat(): grpc.ClientDuplexStream<Text, Text>;
}

/** On a connection of its own. */
export function callerOf(address: string): Caller {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const quiet = () => {};
  const { unary, collect, tell, chat } = CALLS;
  return {
    client,
    unary: (text, { signal, ...options } = {}) =>
      new Promise((resolve, reject) => {
        let answer = '';
        const done: grpc.requestCallback<Text> = (error, value) => {
          if (error !== null) reject(error);
          else answer = value?.text ?? '';
        };
        const call = client
          .makeUnaryRequest(unary.path, bytes, message, { text }, new grpc.Metadata(), options, done)
          .on('status', ({ metadata }) => resolve({ answer, trailer: metadata }));
        signal?.addEventListener('abort', () => call.cancel());
      }),
    collect: () => client.makeClientStreamRequest(collect.path, bytes, message, quiet).on('error', quiet),
    tell: text => client.makeServerStreamRequest(tell.path, bytes, message, { text }).on('error', quiet),
    chat: () => client.makeBidiStreamRequest(chat.path, bytes, message).on('error', quiet),
  };
}

/** Settles once so many calls are in flight: looks again after every turn of the event loop. */
export async function inFlight(reporter: LoadReporter, count: number): Promise<void> {
  while (reporter.state.inFlight !== count) await new Promise(resolve => setImmediate(resolve));
}

/** What a balancer makes of the calls of `use`: those that ended, and those of them that were errors. */
export async function counted(
  use: (reporter: LoadReporter) => Promise<void>,
): Promise<{ ended: number; failed: number }> {
  const balancer = await FakeBalancer.start();
  const reporter = reporterFor([balancer.address]);
  try {
    const started = reporter.start();
    const stream = await balancer.next();
    await stream.accept({ intervalMs: 10 });
    await started;
    await use(reporter);
    await inFlight(reporter, 0);
    const isLoad = ({ kind }: ReportLoadRequest) => kind?.$case === 'load';
    const sent = reporter.state.balancers[0]?.reports ?? 0;
    while (stream.messages.filter(isLoad).length < sent + 2) await stream.nextLoad();
    let ended = 0;
    let failed = 0;
    for (const { kind, window } of stream.messages) {
      if (kind?.$case !== 'load') continue;
      ended += (kind.value.rpsFractional * millisOf(window)) / 1_000;
      failed += (kind.value.eps * millisOf(window)) / 1_000;
    }
    return { ended: Math.round(ended), failed: Math.round(failed) };
  } finally {
    await reporter.close();
    balancer.stop();
  }
}

const children: ChildProcess[] = [];

/** A Node.js process that imports the package from its sources; `BALANCER` tells it where to register. */
export function run(
  args: readonly string[],
  balancer: string,
): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, ['--conditions=heapmesh-source', ...args], {
    env: { ...process.env, BALANCER: balancer, NODE_NO_WARNINGS: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return { child, output: () => output };
}

/** Those that a failed test has left. */
export function killChildren(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL');
}
