/** Backends, a balancer that says what a test tells it to, and channels, all on 127.0.0.1. */
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import {
  PickServerRequest,
  PickServerResponse,
  ReportOutcomesRequest,
  ReportOutcomesResponse,
  WatchServersRequest,
  WatchServersResponse,
} from '../../src/gen/heapmesh/v1/lookaside.ts';
import type { Server, ServerLoad } from '../../src/gen/heapmesh/v1/server.ts';
import { ServerState } from '../../src/gen/heapmesh/v1/server.ts';
import { durationOf } from '../../src/grpc/duration.ts';

export const SERVICE = 'echo.v1.EchoService';

const bytes = (value: Buffer) => value;

/** Methods without messages: what matters is who answers. */
function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/${SERVICE}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

export const ECHO = {
  /** Answers with the backend's name, after what the backend's `delayMs` says. */
  who: method('Who', false, false),
  /** Stays open until the caller half-closes. */
  talk: method('Talk', true, true),
} as const;

export type Handler = (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => void;

export class Backend {
  readonly id: string;
  readonly server: grpc.Server;
  port = 0;
  calls = 0;
  inFlight = 0;
  peak = 0;
  readonly talks = new Set<grpc.ServerDuplexStream<Buffer, Buffer>>();
  readonly seen: grpc.Metadata[] = [];
  readonly hosts: string[] = [];
  /** Instead of the answer by name. */
  handler: Handler | undefined;
  delayMs = 0;

  private constructor(id: string, options: grpc.ServerOptions) {
    this.id = id;
    this.server = new grpc.Server(options);
    this.server.addService(ECHO, {
      who: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        this.calls++;
        this.seen.push(call.metadata);
        this.hosts.push(call.getHost());
        this.peak = Math.max(this.peak, ++this.inFlight);
        const answer: grpc.sendUnaryData<Buffer> = (...given) => {
          this.inFlight--;
          done(...given);
        };
        if (this.handler !== undefined) this.handler(call, answer);
        else if (this.delayMs > 0) setTimeout(() => answer(null, Buffer.from(id)), this.delayMs);
        else answer(null, Buffer.from(id));
      },
      talk: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        this.talks.add(call);
        call.write(Buffer.from(id));
        call.on('data', () => {});
        call.on('error', () => {});
        call.on('end', () => call.end());
        call.on('close', () => this.talks.delete(call));
      },
    });
  }

  static async start(
    id: string,
    port = 0,
    credentials = grpc.ServerCredentials.createInsecure(),
    options: grpc.ServerOptions = {},
  ): Promise<Backend> {
    const backend = new Backend(id, options);
    backend.port = await bind(backend.server, `127.0.0.1:${port}`, credentials);
    return backend;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  entry(fields: Partial<Server> = {}): Server {
    return serverOf({ id: this.id, address: this.address, ...fields });
  }

  /** As a process that is killed: all connections are cut, the port is closed. */
  kill(): void {
    this.server.forceShutdown();
  }
}

export function serverOf(fields: Partial<Server> & { id: string; address: string }): Server {
  return {
    services: [SERVICE],
    weight: 1,
    zone: '',
    labels: {},
    state: ServerState.SERVER_STATE_ACTIVE,
    score: 0,
    utilization: 0,
    inFlight: 0,
    lastReportTime: undefined,
    maxConcurrency: 0,
    ...fields,
  };
}

export function loadOf(id: string, fields: Partial<ServerLoad> = {}): ServerLoad {
  return {
    id,
    sequence: 1n,
    age: durationOf(0),
    inFlight: 0,
    utilization: 0,
    capacity: 0,
    others: 0,
    failure: 0,
    interval: durationOf(1_000),
    ...fields,
  };
}

type WatchCall = grpc.ServerWritableStream<WatchServersRequest, WatchServersResponse>;
type OutcomeCall = grpc.ServerReadableStream<ReportOutcomesRequest, ReportOutcomesResponse>;

/** Says what it is told to: for what a real balancer cannot be brought to say. */
export class ScriptedBalancer {
  readonly watches = new Set<WatchCall>();
  readonly requests: WatchServersRequest[] = [];
  readonly picks: PickServerRequest[] = [];
  readonly outcomes: ReportOutcomesRequest[] = [];
  /** What a new watch gets first; undefined: nothing. */
  first: Partial<WatchServersResponse> | undefined = { upserted: [] };
  pick: (request: PickServerRequest) => Partial<PickServerResponse> | Partial<grpc.ServiceError> | undefined =
    () => ({
      code: grpc.status.UNAVAILABLE,
      details: 'no server to pick',
    });
  readonly server = new grpc.Server();
  readonly instanceId: string;
  balancers = 1;
  port = 0;
  private readonly waiting = new Set<() => void>();

  private constructor(instanceId: string) {
    this.instanceId = instanceId;
    const path = (name: string) => `/heapmesh.v1.LookasideService/${name}`;
    this.server.addService(
      {
        watch: definition(path('WatchServers'), false, true, WatchServersRequest, WatchServersResponse),
        pick: definition(path('PickServer'), false, false, PickServerRequest, PickServerResponse),
        outcomes: definition(
          path('ReportOutcomes'),
          true,
          false,
          ReportOutcomesRequest,
          ReportOutcomesResponse,
        ),
      },
      {
        watch: (call: WatchCall) => {
          this.requests.push(call.request);
          this.watches.add(call);
          call.on('cancelled', () => this.gone(call));
          call.on('close', () => this.gone(call));
          if (this.first !== undefined) call.write(this.message({ snapshot: true, ...this.first }));
          this.changed();
        },
        pick: (
          call: grpc.ServerUnaryCall<PickServerRequest, PickServerResponse>,
          done: grpc.sendUnaryData<PickServerResponse>,
        ) => {
          this.picks.push(call.request);
          const answer = this.pick(call.request);
          if (answer === undefined) return;
          if ('code' in answer) done(answer as grpc.ServiceError);
          else done(null, PickServerResponse.fromPartial({ instanceId: this.instanceId, ...answer }));
        },
        outcomes: (call: OutcomeCall, done: grpc.sendUnaryData<ReportOutcomesResponse>) => {
          let accepted = 0n;
          call.on('data', (outcome: ReportOutcomesRequest) => {
            this.outcomes.push(outcome);
            accepted++;
            this.changed();
          });
          call.on('error', () => {});
          call.on('end', () => done(null, { accepted, unknown: 0n, foreign: 0n }));
        },
      },
    );
  }

  static async start(
    instanceId = 'lb-1',
    port = 0,
    first?: Partial<WatchServersResponse>,
  ): Promise<ScriptedBalancer> {
    const balancer = new ScriptedBalancer(instanceId);
    if (first !== undefined) balancer.first = first;
    balancer.port = await bind(balancer.server, `127.0.0.1:${port}`);
    return balancer;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  target(query = ''): string {
    return `heapmesh://${this.address}/${SERVICE}${query}`;
  }

  send(message: Partial<WatchServersResponse>): void {
    for (const call of this.watches) call.write(this.message(message));
  }

  /** Resolves once the condition holds; it is looked at whenever something arrives here. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>(resolve => this.waiting.add(resolve));
  }

  kill(): void {
    this.server.forceShutdown();
  }

  private message(message: Partial<WatchServersResponse>): WatchServersResponse {
    return WatchServersResponse.fromPartial({
      balancers: this.balancers,
      instanceId: this.instanceId,
      ...message,
    });
  }

  private gone(call: WatchCall): void {
    this.watches.delete(call);
    this.changed();
  }

  private changed(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

function definition<Request, Response>(
  path: string,
  requestStream: boolean,
  responseStream: boolean,
  request: Codec<Request>,
  response: Codec<Response>,
) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: (message: Request) => Buffer.from(request.encode(message).finish()),
    requestDeserialize: (data: Buffer) => request.decode(data),
    responseSerialize: (message: Response) => Buffer.from(response.encode(message).finish()),
    responseDeserialize: (data: Buffer) => response.decode(data),
  };
}

function bind(
  server: grpc.Server,
  address: string,
  credentials = grpc.ServerCredentials.createInsecure(),
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

export type CallSettings = grpc.CallOptions & { metadata?: grpc.Metadata };

/** One call; resolves with the name of the backend that answered. */
export function who(client: grpc.Client, settings: CallSettings = {}): Promise<string> {
  const { metadata, ...options } = settings;
  const withDeadline = { ...options, deadline: options.deadline ?? Date.now() + 10_000 };
  return new Promise((resolve, reject) => {
    const { path } = ECHO.who;
    const done: grpc.requestCallback<Buffer> = (error, value) => {
      if (error !== null) reject(error);
      else resolve(String(value));
    };
    const none = Buffer.alloc(0);
    // The metadata of one copy of grpc-js is none to another.
    if (metadata === undefined) client.makeUnaryRequest(path, bytes, bytes, none, withDeadline, done);
    else client.makeUnaryRequest(path, bytes, bytes, none, metadata, withDeadline, done);
  });
}

/** An open stream and the name of its backend. */
export async function talk(
  client: grpc.Client,
): Promise<{ call: grpc.ClientDuplexStream<Buffer, Buffer>; id: string }> {
  const call = client.makeBidiStreamRequest(ECHO.talk.path, bytes, bytes, new grpc.Metadata());
  call.on('error', () => {});
  const [data] = (await once(call, 'data')) as [Buffer];
  return { call, id: String(data) };
}

/** How often each backend answered. */
export async function spread(client: grpc.Client, calls: number, parallel = 1): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let left = calls;
  const worker = async () => {
    while (left-- > 0) {
      const id = await who(client);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return counts;
}

/** Looks again until the condition holds, for what no event tells of. Fails after 10 s. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`never came true: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** Things to be ended after a test, in the reverse order. */
export class Stack {
  readonly #ends: (() => unknown)[] = [];

  add<T>(thing: T, end: (thing: T) => unknown): T {
    this.#ends.push(() => end(thing));
    return thing;
  }

  async backend(id: string, port = 0): Promise<Backend> {
    return this.add(await Backend.start(id, port), backend => backend.kill());
  }

  async balancer(
    instanceId?: string,
    port = 0,
    first?: Partial<WatchServersResponse>,
  ): Promise<ScriptedBalancer> {
    return this.add(await ScriptedBalancer.start(instanceId, port, first), balancer => balancer.kill());
  }

  client(
    target: string,
    options: grpc.ChannelOptions = {},
    credentials = grpc.credentials.createInsecure(),
  ): grpc.Client {
    return this.add(new grpc.Client(target, credentials, options), client => client.close());
  }

  async end(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}
