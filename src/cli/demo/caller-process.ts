/**
 * The callers of the demo, run as a process of their own: an open loop, so that a call that has to wait
 * for a slow backend does not slow the arrival of others, and its waiting is counted.
 */
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh } from '../../client/client.ts';
import { EchoRequest, EchoResponse } from '../../gen/echo/v1/echo.ts';
import type { CallerCommand, CallerMessage, FailedCall, Route } from './messages.ts';
import { demoTracer } from './tracing.ts';

const METHOD = '/echo.v1.EchoService/Echo';
const DEADLINE_MS = 5_000;
const REPORT_EVERY_MS = 200;
/** Calls that may be open at once; beyond it a call counts as failed, since a demo must not take all memory. */
const MOST_OPEN = 5_000;
/** Failed calls of one report that are told one by one. */
const MOST_TOLD = 200;

/** The method may be repeated; the proxy does it by its pool's `retry`. */
const RETRY = {
  name: [{ service: 'echo.v1.EchoService' }],
  retryPolicy: {
    maxAttempts: 3,
    initialBackoff: '0.02s',
    maxBackoff: '0.2s',
    backoffMultiplier: 2,
    retryableStatusCodes: ['UNAVAILABLE'],
  },
};

registerHeapmesh(grpc);
const tracer = await demoTracer('demo-caller', 'callers');

let client: grpc.Client | undefined;
let rate = 0;
let open = 0;
let served: Record<string, number> = {};
let failed: Record<string, number> = {};
let failures: FailedCall[] = [];
let latencies: number[] = [];
let nextDue = performance.now();

function say(message: CallerMessage): void {
  process.send?.(message);
}

function connect(route: Route): void {
  client?.close();
  const credentials = grpc.credentials.createInsecure();
  if (route.via === 'lookaside') {
    const config = JSON.stringify({ methodConfig: [RETRY] });
    client = new grpc.Client(`heapmesh://${route.balancer}/echo.v1.EchoService`, credentials, {
      'grpc.service_config': config,
    });
    return;
  }
  if (route.via === 'proxy') {
    // Several proxies take turns.
    const config = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });
    client = new grpc.Client(route.address, credentials, { 'grpc.service_config': config });
    return;
  }
  const addresses = route.addresses.join(',');
  const config = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }], methodConfig: [RETRY] });
  client = new grpc.Client(`ipv4:${addresses}`, credentials, { 'grpc.service_config': config });
}

function call(due: number): void {
  if (client === undefined) return;
  if (open >= MOST_OPEN) {
    failed.TOO_MANY_OPEN = (failed.TOO_MANY_OPEN ?? 0) + 1;
    return;
  }
  open++;
  const beganAt = Date.now();
  const metadata = new grpc.Metadata();
  const trace = tracer?.begin({ kind: 'client', method: METHOD.slice(1) });
  if (trace !== undefined) metadata.set('traceparent', trace.context.traceparent);
  const made = client.makeUnaryRequest(
    METHOD,
    (request: EchoRequest) => Buffer.from(EchoRequest.encode(request).finish()),
    (bytes: Buffer) => EchoResponse.decode(bytes),
    { message: 'hello' },
    metadata,
    { deadline: Date.now() + DEADLINE_MS },
    (error, response) => {
      open--;
      trace?.end(error?.code ?? grpc.status.OK, error?.details);
      if (error !== null) {
        const name = grpc.status[error.code] ?? String(error.code);
        failed[name] = (failed[name] ?? 0) + 1;
        const { details } = error;
        if (failures.length < MOST_TOLD)
          failures.push({ status: name, details, beganAt, peer: made.getPeer() });
      } else {
        const id = response?.serverId ?? '';
        served[id] = (served[id] ?? 0) + 1;
        latencies.push(performance.now() - due);
      }
    },
  );
}

/** Begins every call that has become due: Poisson arrivals, whatever the timer's grain. */
function arrive(): void {
  const now = performance.now();
  if (rate <= 0) {
    nextDue = now;
    return;
  }
  while (nextDue <= now) {
    call(nextDue);
    nextDue += (-Math.log(1 - Math.random()) * 1000) / rate;
  }
}

setInterval(arrive, 2);
setInterval(() => {
  say({ kind: 'calls', served, failed, failures, latencies, open });
  served = {};
  failed = {};
  failures = [];
  latencies = [];
}, REPORT_EVERY_MS);

process.on('message', (command: CallerCommand) => {
  if (command.kind === 'rate') {
    rate = command.rate;
    nextDue = performance.now();
  } else {
    connect(command.route);
  }
});
process.on('disconnect', () => process.exit(0));
say({ kind: 'ready' });
