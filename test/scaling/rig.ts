/** A balancer with a rule that is quick, and backends as processes that say how loaded they are. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { type Balancer, compose } from '../../src/cli/compose.ts';
import { loadConfig } from '../../src/config/config.ts';
import { EchoRequest, EchoResponse } from '../../src/gen/echo/v1/echo.ts';
import type { Logger } from '../../src/telemetry/telemetry.ts';

export const SERVICE = 'echo.v1.EchoService';

export interface Backend {
  readonly process: ChildProcess;
  readonly address: string;
  /** What the balancer told it. */
  readonly told: string[];
  /** Most calls that it had at once. */
  most(): number;
  says(utilization: number): void;
}

export async function startBalancer(t: TestContext, scaling: object, more: object = {}): Promise<Balancer> {
  const listen = { listen: '127.0.0.1:0' };
  const text = JSON.stringify({
    proxy: { ...listen, drainTimeout: '500ms' },
    control: { ...listen, reportInterval: '50ms' },
    admin: listen,
    scaling,
    ...more,
  });
  const { config } = loadConfig(text, { file: 'test', hostname: 'lb-1' });
  const logger: Logger = {
    level: 'error',
    info() {},
    warn() {},
    debug() {},
    error: console.error,
    setLevel() {},
  };
  const balancer = await compose(config, { logger });
  t.after(() => balancer.close());
  return balancer;
}

export async function startBackend(
  t: TestContext,
  { addresses }: Balancer,
  id: string,
  role = '',
): Promise<Backend> {
  const child = fork(new URL('./backend-process.ts', import.meta.url), [id, addresses.control, role], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  });
  const told: string[] = [];
  let most = 0;
  child.on('message', (message: { event?: string; open?: number }) => {
    if (message.event !== undefined) told.push(message.event);
    most = Math.max(most, message.open ?? 0);
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return {
    process: child,
    address: line.toString().trim(),
    told,
    most: () => most,
    says: utilization => void child.send({ utilization }),
  };
}

export async function until(holds: () => boolean, what: string, mostMs = 10_000): Promise<void> {
  for (const end = performance.now() + mostMs; !holds(); await sleep(5)) {
    if (performance.now() > end) throw new Error(`${what} is not so after ${mostMs} ms`);
  }
}

const encode = (request: EchoRequest): Buffer => Buffer.from(EchoRequest.encode(request).finish());
const decode = (bytes: Buffer): EchoResponse => EchoResponse.decode(bytes);

export interface Chat {
  /** Ids that it heard. */
  readonly heard: string[];
  readonly ended: Promise<grpc.StatusObject>;
}

/** A unary call; resolves with the id of the server that answered. */
export function callBy(client: grpc.Client): (delayMs?: number, timeoutMs?: number) => Promise<string> {
  return (delayMs = 0, timeoutMs = 20_000) =>
    new Promise((resolve, reject) => {
      const metadata = new grpc.Metadata();
      metadata.set('delay-ms', String(delayMs));
      const options = { deadline: Date.now() + timeoutMs };
      const request = { message: 'x' };
      client.makeUnaryRequest(
        `/${SERVICE}/Echo`,
        encode,
        decode,
        request,
        metadata,
        options,
        (error, answer) => (error ? reject(error) : resolve(answer?.serverId ?? '')),
      );
    });
}

/** A caller of the proxy until the test ends. */
export function callerOf(t: TestContext, { addresses }: Balancer) {
  const client = new grpc.Client(addresses.proxy, grpc.credentials.createInsecure(), {
    'grpc.enable_retries': 0,
  });
  t.after(() => client.close());
  return {
    call: callBy(client),
    chat(): Chat {
      const stream = client.makeBidiStreamRequest(`/${SERVICE}/Chat`, encode, decode);
      const heard: string[] = [];
      stream.on('data', (answer: EchoResponse) => heard.push(answer.serverId));
      stream.on('error', () => {});
      const ended = new Promise<grpc.StatusObject>(resolve => stream.on('status', resolve));
      t.after(() => stream.cancel());
      return { heard, ended };
    },
  };
}
