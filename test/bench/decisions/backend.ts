/**
 * A server with slots and a service time, as a process of its own. Its service time is a timer, not work, so that
 * many servers fit on few cores. It reports its load to Heapmesh, and by ORCA's out-of-band service to whoever asks.
 */
import * as grpc from '@grpc/grpc-js';
import { createLoadReporter } from 'heapmesh/backend';
import { EchoRequest, EchoResponse } from '../../../src/gen/echo/v1/echo.ts';
import {
  type BackendCommand,
  type BackendMessage,
  type BackendSettings,
  METHOD,
  SERVICE,
} from './messages.ts';

const settings = JSON.parse(process.argv[2] ?? '') as BackendSettings;
/** How often figures for ORCA are renewed: what its askers ask for, 1 s. */
const ORCA_MS = 1_000;
const FAILS_AFTER_MS = 1;

class Slots {
  slowness = 1;
  private busy = 0;
  private readonly waiting: (() => void)[] = [];
  private busyMs = 0;
  private since = performance.now();

  serve(done: () => void): void {
    if (this.busy >= settings.slots) this.waiting.push(done);
    else this.begin(done);
  }

  /** Milliseconds of busy slots since the process began. */
  busyUntilNow(): number {
    const now = performance.now();
    this.busyMs += (now - this.since) * this.busy;
    this.since = now;
    return this.busyMs;
  }

  private begin(done: () => void): void {
    this.busyUntilNow();
    this.busy++;
    setTimeout(
      () => {
        this.busyUntilNow();
        this.busy--;
        const next = this.waiting.shift();
        if (next !== undefined) this.begin(next);
        done();
      },
      -Math.log(1 - Math.random()) * settings.serviceMs * this.slowness,
    );
  }
}

/** The share of busy slots since it was asked last; each asker has its own. */
function utilizationOf(slots: Slots): () => number {
  let busy = slots.busyUntilNow();
  let at = performance.now();
  return () => {
    const busyNow = slots.busyUntilNow();
    const now = performance.now();
    const share = now > at ? (busyNow - busy) / ((now - at) * settings.slots) : 0;
    busy = busyNow;
    at = now;
    return share;
  };
}

const slots = new Slots();
let failing = false;
let ended = 0;
let failed = 0;

// One each: they are not instances of one mesh, and one reporter goes to those of one.
const reporters = settings.balancers.map(balancer =>
  createLoadReporter({
    balancers: [balancer],
    services: [SERVICE],
    id: settings.id,
    applicationUtilization: utilizationOf(slots),
  }),
);
const server = new grpc.Server({ interceptors: reporters.map(reporter => reporter.grpcJsInterceptor()) });
server.register(
  METHOD,
  (call: grpc.ServerUnaryCall<EchoRequest, EchoResponse>, answer: grpc.sendUnaryData<EchoResponse>) => {
    if (failing) {
      setTimeout(() => {
        ended++;
        failed++;
        answer({ code: grpc.status.UNAVAILABLE, details: 'told to fail' });
      }, FAILS_AFTER_MS);
      return;
    }
    slots.serve(() => {
      ended++;
      answer(null, { message: call.request.message, serverId: settings.id });
    });
  },
  (response: EchoResponse) => Buffer.from(EchoResponse.encode(response).finish()),
  (bytes: Buffer) => EchoRequest.decode(bytes),
  'unary',
);
const orca = new grpc.ServerMetricRecorder();
orca.addToServer(server);
const utilization = utilizationOf(slots);
setInterval(() => {
  orca.setApplicationUtilizationMetric(utilization());
  orca.setQpsMetric((ended * 1000) / ORCA_MS);
  orca.setEpsMetric((failed * 1000) / ORCA_MS);
  ended = failed = 0;
}, ORCA_MS);

const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
});
process.on('message', (command: BackendCommand) => {
  if (command.kind === 'slowness') slots.slowness = command.factor;
  else failing = command.on;
});
process.on('disconnect', () => process.exit(0));
await Promise.all(reporters.map(reporter => reporter.start({ address: `127.0.0.1:${port}` })));
process.send?.({ kind: 'ready', address: `127.0.0.1:${port}` } satisfies BackendMessage);
