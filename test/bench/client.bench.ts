/**
 * CPU per unary call of a grpc-js caller: `heapmesh://` beside `round_robin` over the same servers, which
 * are in another process. Rounds take turns; what counts is the median of the ratios of neighbours.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh } from 'heapmesh/client';
import { ECHO, SERVICE } from '../client/support.ts';
import { BenchSuite } from './harness.ts';

const ROUNDS = 15;
const CALLS = 4_000;
const PARALLEL = 50;

registerHeapmesh(grpc);
const suite = new BenchSuite('client');
const bytes = (value: Buffer) => value;
const message = Buffer.alloc(16);

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] as number;

function call(client: grpc.Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(ECHO.who.path, bytes, bytes, message, error =>
      error ? reject(error) : resolve(),
    );
  });
}

/** Microseconds of CPU a call. */
async function round(client: grpc.Client): Promise<number> {
  const before = process.cpuUsage();
  let left = CALLS;
  const worker = async () => {
    while (left-- > 0) await call(client);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}

for (const count of [4, 32]) {
  const group = `CPU per call, ${count} servers`;
  if (!suite.wants(group)) continue;
  const file = fileURLToPath(new URL('client-servers.ts', import.meta.url));
  const servers = spawn(process.execPath, ['--conditions=heapmesh-source', file, String(count)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(servers.stdout, 'data')) as [Buffer];
  const { balancer, servers: addresses } = JSON.parse(String(line)) as {
    balancer: string;
    servers: string[];
  };
  const insecure = grpc.credentials.createInsecure();
  const heap = new grpc.Client(`heapmesh://${balancer}/${SERVICE}`, insecure);
  const robin = new grpc.Client(`ipv4:${addresses.join(',')}`, insecure, {
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  });
  for (let warm = 0; warm < 3; warm++) for (const client of [heap, robin]) await round(client);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    // The first of a pair would else always be the same.
    const order = i % 2 === 0 ? [heap, robin] : [robin, heap];
    for (const client of order) (client === heap ? ours : theirs).push(await round(client));
  }
  const ratio = median(ours.map((one, i) => one / (theirs[i] as number)));
  suite.record({ group, name: 'round_robin', unit: 'µs', value: median(theirs) });
  suite.record({ group, name: 'heapmesh', unit: 'µs', value: median(ours) });
  suite.record({ group, name: 'heapmesh / round_robin', unit: 'times', value: ratio });
  heap.close();
  robin.close();
  const exit = once(servers, 'exit');
  servers.stdin.end();
  await exit;
}
suite.finish();
