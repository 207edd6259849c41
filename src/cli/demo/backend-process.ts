/**
 * A backend of the demo, run as a process of its own: an echo server with a number of slots and a
 * service time, which registers itself and reports its load by `heapmesh/backend`.
 */
import * as grpc from '@grpc/grpc-js';
import { createLoadReporter } from '../../backend/backend.ts';
import { EchoRequest, EchoResponse } from '../../gen/echo/v1/echo.ts';
import type { BackendMessage, BackendSettings } from './messages.ts';
import { demoTracer } from './tracing.ts';

const SERVICE = 'echo.v1.EchoService';
const LEAST_WINDOW_MS = 500;

/** Serves calls first come first served, so many at once, each for an exponentially distributed time. */
class Slots {
  private busy = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly count: number;
  private readonly meanMs: number;
  private busyMs = 0;
  private since = performance.now();
  private windowStart = performance.now();
  private share = 0;

  constructor(count: number, meanMs: number) {
    this.count = count;
    this.meanMs = meanMs;
  }

  /**
   * Busy share of the slots of late. Several balancers ask, each in its own time: a share since whoever
   * asked last would be one of a few ms, and as good as a throw of dice.
   */
  utilization(): number {
    this.account();
    const window = performance.now() - this.windowStart;
    if (window < LEAST_WINDOW_MS) return this.share;
    this.share = this.busyMs / (window * this.count);
    this.busyMs = 0;
    this.windowStart = performance.now();
    return this.share;
  }

  serve(done: () => void): void {
    if (this.busy >= this.count) this.waiting.push(done);
    else this.begin(done);
  }

  private begin(done: () => void): void {
    this.account();
    this.busy++;
    setTimeout(
      () => {
        this.account();
        this.busy--;
        const next = this.waiting.shift();
        if (next !== undefined) this.begin(next);
        done();
      },
      -Math.log(1 - Math.random()) * this.meanMs,
    );
  }

  private account(): void {
    const now = performance.now();
    this.busyMs += (now - this.since) * this.busy;
    this.since = now;
  }
}

function say(message: BackendMessage): void {
  process.send?.(message);
}

async function main(settings: BackendSettings): Promise<void> {
  const slots = new Slots(settings.slots, settings.serviceMs);
  const tracer = await demoTracer('demo-server', settings.id);
  const reporter = createLoadReporter({
    balancers: [settings.balancer],
    services: [SERVICE],
    id: settings.id,
    standby: settings.standby,
    applicationUtilization: () => slots.utilization(),
    ...(tracer === undefined ? {} : { tracer }),
  });
  const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor()] });
  server.register(
    `/${SERVICE}/Echo`,
    (call: grpc.ServerUnaryCall<EchoRequest, EchoResponse>, answer: grpc.sendUnaryData<EchoResponse>) =>
      slots.serve(() => answer(null, { message: call.request.message, serverId: settings.id })),
    (response: EchoResponse) => Buffer.from(EchoResponse.encode(response).finish()),
    (bytes: Buffer) => EchoRequest.decode(bytes),
    'unary',
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  await reporter.start({ address: `127.0.0.1:${port}` });
  reporter.handleSignals(server);
  say({ kind: 'ready', address: `127.0.0.1:${port}` });
}

// Without its parent a demo backend has no purpose: end rather than stay behind as an orphan.
process.on('disconnect', () => process.exit(0));
main(JSON.parse(process.argv[2] ?? '{}') as BackendSettings).catch((error: unknown) => {
  say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
  process.disconnect?.();
});
