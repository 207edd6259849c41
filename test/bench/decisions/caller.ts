/**
 * The callers, as a process of its own: an open loop, so that a call that waits does not keep the next from coming,
 * and its waiting is counted. All ways to the servers are driven by the same library, grpc-js.
 */
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh } from 'heapmesh/client';
import { EchoRequest, EchoResponse } from '../../../src/gen/echo/v1/echo.ts';
import { type CallerJob, type CallerMessage, METHOD, type Route, SERVICE } from './messages.ts';

/** Longer than any queue that forms here takes: what waits counts as waiting, not as failed. */
const DEADLINE_MS = 20_000;
const GRAIN_MS = 1;

registerHeapmesh(grpc);
const say = (message: CallerMessage): void => {
  process.send?.(message);
};
const insecure = grpc.credentials.createInsecure();
const kept = new Map<string, grpc.Client[]>();

function clientsOf(route: Route): grpc.Client[] {
  // Else channels to the same address would share connections, and with them what a library learned of another's run.
  const own = { 'grpc.use_local_subchannel_pool': 1 };
  switch (route.kind) {
    case 'proxy':
      return [new grpc.Client(route.address, insecure, own)];
    case 'heapmesh':
      return [new grpc.Client(`heapmesh://${route.control}/${SERVICE}`, insecure, own)];
    case 'weighted-round-robin': {
      // Out-of-band reports each second, and a short black-out: the runs are short.
      const policy = { enable_oob_load_report: true, oob_load_reporting_period: '1s', blackout_period: '2s' };
      const config = JSON.stringify({ loadBalancingConfig: [{ weighted_round_robin: policy }] });
      const options = { ...own, 'grpc.service_config': config };
      return [new grpc.Client(`ipv4:${route.addresses.join(',')}`, insecure, options)];
    }
    case 'none':
      return route.addresses.map(address => new grpc.Client(address, insecure, own));
  }
}

function run({ name, route, rate, warmMs, measureMs }: CallerJob): void {
  let clients = kept.get(name);
  if (clients === undefined) {
    clients = clientsOf(route);
    kept.set(name, clients);
  }
  const all = clients;
  const latencies: number[] = [];
  const served: Record<string, number> = {};
  const failedAt: number[] = [];
  let open = 0;
  let due = performance.now();
  const measureFrom = due + warmMs;
  const end = measureFrom + measureMs;
  let measuring = false;
  const finish = (): void => say({ kind: 'done', latencies, failedAt, served });

  const call = (at: number): void => {
    const counts = at >= measureFrom;
    open++;
    const client = all[Math.floor(Math.random() * all.length)] as grpc.Client;
    client.makeUnaryRequest(
      METHOD,
      (request: EchoRequest) => Buffer.from(EchoRequest.encode(request).finish()),
      (bytes: Buffer) => EchoResponse.decode(bytes),
      { message: 'hello' },
      new grpc.Metadata(),
      { deadline: Date.now() + DEADLINE_MS },
      (error, response) => {
        open--;
        if (counts && error !== null) failedAt.push(at - measureFrom);
        else if (counts) {
          const id = response?.serverId ?? '';
          served[id] = (served[id] ?? 0) + 1;
          latencies.push(performance.now() - at);
        }
        if (open === 0 && due > end) finish();
      },
    );
  };
  const timer = setInterval(() => {
    const now = performance.now();
    if (!measuring && now >= measureFrom) {
      measuring = true;
      say({ kind: 'measuring' });
    }
    while (due <= Math.min(now, end)) {
      call(due);
      due += (-Math.log(1 - Math.random()) * 1000) / rate;
    }
    if (due <= end) return;
    clearInterval(timer);
    if (open === 0) finish();
  }, GRAIN_MS);
}

process.on('message', (job: CallerJob) => run(job));
process.on('disconnect', () => process.exit(0));
say({ kind: 'ready' });
