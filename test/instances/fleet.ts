/** Backends and callers around several instances: what every test of instances drives, and counts. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { createLoadReporter, type LoadReporter } from 'heapmesh/backend';
import { createPickClient, type PickClient, registerHeapmesh } from 'heapmesh/client';
import { type Served, serve } from '../cli/process.ts';
import { freePort } from '../support/program.ts';

export const SERVICE = 'echo.v1.EchoService';
const METHOD = `/${SERVICE}/Echo`;
const same = (bytes: Buffer): Buffer => bytes;
/** Above `proxy.drainTimeout` and all else that a graceful end waits for. */
const STOP_WITHIN_MS = 60_000;

registerHeapmesh(grpc);

export interface Instance {
  readonly id: string;
  readonly control: string;
  readonly proxy: string;
  readonly served: Served;
  /** What `/readyz` says. */
  ready(): Promise<{ status: number; detail: Record<string, unknown> }>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface InstanceOptions {
  readonly control?: string;
  readonly proxy?: string;
  readonly flags?: readonly string[];
  /** Goes before the command, such as `ip netns exec NAME`. */
  readonly within?: readonly string[];
}

/** Starts `heapmesh serve` with this configuration (YAML below the top-level keys of the instance). */
export async function startInstance(
  id: string,
  config: string,
  options: InstanceOptions = {},
): Promise<Instance> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-instance-'));
  const file = join(folder, 'heapmesh.yaml');
  writeFileSync(file, config);
  const control = options.control ?? `127.0.0.1:${await freePort()}`;
  const proxy = options.proxy ?? `127.0.0.1:${await freePort()}`;
  const flags = ['--config', file, '--control', control, '--proxy', proxy, ...(options.flags ?? [])];
  const served = await serve(flags, options.within);
  const gone = async (signal: NodeJS.Signals): Promise<void> => {
    if (served.child.exitCode === null && served.child.signalCode === null) {
      const ended = once(served.child, 'exit');
      served.child.kill(signal);
      // One that hangs must not hang the test: it is ended, and fails it.
      const patience = setTimeout(() => served.child.kill('SIGKILL'), STOP_WITHIN_MS);
      await ended;
      clearTimeout(patience);
      if (served.child.signalCode === 'SIGKILL' && signal !== 'SIGKILL')
        throw new Error(`${id} did not end within ${STOP_WITHIN_MS / 1000} s of ${signal}`);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  return {
    id,
    control,
    proxy,
    served,
    async ready() {
      const answer = await fetch(`http://${served.admin}/readyz`);
      const body = (await answer.json()) as { detail?: Record<string, unknown> } & Record<string, unknown>;
      return { status: answer.status, detail: body.detail ?? body };
    },
    kill: () => gone('SIGKILL'),
    stop: () => gone('SIGTERM'),
  };
}

export interface Backend {
  readonly id: string;
  readonly address: string;
  readonly reporter: LoadReporter;
  stop(): Promise<void>;
}

/** A backend of this process, which registers itself. */
export async function startBackend(
  id: string,
  balancers: readonly string[],
  options: { serviceMs?: number; standby?: boolean; host?: string } = {},
): Promise<Backend> {
  const { serviceMs = 5, standby = false, host = '127.0.0.1' } = options;
  const reporter = createLoadReporter({ balancers, services: [SERVICE], id, standby, logger: silent });
  const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor()] });
  server.register(
    METHOD,
    (_call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) =>
      void setTimeout(() => answer(null, Buffer.from(id)), serviceMs),
    same,
    same,
    'unary',
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:0`, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const address = `${host}:${port}`;
  await reporter.start({ address });
  return {
    id,
    address,
    reporter,
    async stop() {
      await reporter.close();
      server.forceShutdown();
    },
  };
}

const silent = { info() {}, warn() {}, error() {} };

export interface Failure {
  readonly error: grpc.ServiceError;
  /** Where the call was when it failed. */
  readonly peer: string;
  /** Since the callers' start, ms. */
  readonly startedAt: number;
}

/** Callers that call over and over, one call after the other on each of a few lanes, and count. */
export class Callers {
  readonly failures: Failure[] = [];
  calls = 0;
  /** By backend. */
  readonly served = new Map<string, number>();
  readonly #client: grpc.Client;
  readonly #lanes: Promise<void>[];
  #over = false;

  constructor(target: string, lanes = 4, options: grpc.ChannelOptions = {}) {
    this.#client = new grpc.Client(target, grpc.credentials.createInsecure(), {
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      ...options,
    });
    this.#lanes = Array.from({ length: lanes }, () => this.#run());
  }

  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#lanes);
    this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      await this.#call();
      await sleep(2);
    }
  }

  #call(): Promise<void> {
    return new Promise(resolve => {
      const startedAt = performance.now();
      const options = { deadline: Date.now() + 10_000 };
      const call = this.#client.makeUnaryRequest(
        METHOD,
        same,
        same,
        Buffer.alloc(4),
        new grpc.Metadata(),
        options,
        (error, answer) => {
          this.calls++;
          if (error !== null) this.failures.push({ error, peer: call.getPeer(), startedAt });
          else this.served.set(String(answer), (this.served.get(String(answer)) ?? 0) + 1);
          resolve();
        },
      );
    });
  }
}

/** Callers that ask for every call (`PickServer`) and complete the lease. */
export class Pickers {
  readonly failures: unknown[] = [];
  picks = 0;
  readonly client: PickClient;
  readonly #lanes: Promise<void>[];
  #over = false;

  constructor(balancers: readonly string[], lanes = 3) {
    this.client = createPickClient({ balancers, service: SERVICE });
    this.#lanes = Array.from({ length: lanes }, () => this.#run());
  }

  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#lanes);
    await this.client.close();
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      try {
        const { lease } = await this.client.pick();
        this.picks++;
        lease.complete();
      } catch (error) {
        this.failures.push(error);
      }
      await sleep(2);
    }
  }
}

/** Looks until it holds; the test's time-out bounds it. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const start = performance.now();
  while (!(await holds())) {
    if (performance.now() - start > 60_000) throw new Error(`not within a minute: ${what}`);
    await sleep(50);
  }
}

/** Ends all in the reverse order, also where a test throws. */
export class Ending {
  readonly #ends: (() => unknown)[] = [];

  add<T>(thing: T, end: (thing: T) => unknown): T {
    this.#ends.push(() => end(thing));
    return thing;
  }

  async all(): Promise<void> {
    const errors: unknown[] = [];
    for (const end of this.#ends.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
