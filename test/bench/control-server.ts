/**
 * A balancer's control API in a process of its own, for benchmarks that measure its CPU time, or a
 * bare grpc-js server that answers PickServer with bytes that were made before. Tells its parent
 * where it listens. `pick N`, `bare N`: N backends are known; `serve`: none.
 */
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { startControl } from '../../src/control/control.ts';
import { CONTROL } from '../../src/core/limits.ts';
import { Mesh } from '../../src/core/mesh.ts';
import { PickServerRequest, PickServerResponse } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { LogLink } from '../../src/state/follow.ts';
import { MemoryLog } from '../../src/state/memory-log.ts';

const SERVICE = 'echo.v1.EchoService';
const [mode, backends = '0'] = process.argv.slice(2);

if (mode === 'bare') await serveBare();
else await serveControl(Number(backends));

async function serveControl(count: number): Promise<void> {
  const link = new LogLink(new MemoryLog());
  const leaseTtlMs = 1000;
  const mesh = new Mesh({
    instanceId: 'lb-1',
    epoch: Date.now(),
    append: link.append,
    wallClock: Date.now,
    clock: () => performance.now(),
    random: Math.random,
    leaseTtlMs,
  });
  link.follow(mesh.registry);
  for (let i = 0; i < count; i++) {
    const spec = {
      id: `backend-${i}`,
      address: `127.1.${i >> 8}.${i & 255}:50051`,
      services: [SERVICE],
      weight: 1,
      zone: '',
      labels: { version: '1.4.2' },
      maxConcurrency: 0,
      standby: false,
    };
    mesh.registry.propose({ kind: 'claim', source: 'config', spec }, 'benchmark');
    mesh.registry.propose(
      { kind: 'observe', id: spec.id, observation: { phase: 'active', healthy: true } },
      'benchmark',
    );
  }
  setInterval(() => mesh.tick(performance.now()), 50);
  const control = await startControl({
    mesh,
    config: {
      instance: { id: 'lb-1', zone: '', advertise: {} },
      control: { listen: '127.0.0.1:0', reportIntervalMs: 1000, leaseTtlMs, allowBackends: [] },
      health: { reportGraceMs: 60_000, forgetAfterMs: 600_000 },
    },
  });
  process.on('message', (what: 'report' | { weight: number }) => {
    if (what !== 'report') {
      mesh.registry.propose({ kind: 'weight', id: 'backend-0', weight: what.weight }, 'benchmark');
      return;
    }
    const { rss, heapUsed } = process.memoryUsage();
    process.send?.({ ...control.counters, ...control.gauges(), rss, heapUsed, known: mesh.loads.used });
  });
  if (mode === 'report') reportOften(mesh, count);
  process.send?.({ address: control.address });
}

/** Every backend reports once a second, spread over it, without a network. */
function reportOften(mesh: Mesh, count: number): void {
  let next = 0;
  let due = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    due += ((now - last) * count) / 1000;
    last = now;
    for (; due >= 1; due--) {
      const slot = mesh.slotOf(`backend-${next}`);
      next = (next + 1) % count;
      mesh.report(
        slot,
        { inFlight: next % 20, utilization: 0.5 + (next % 7) / 20, rps: 100, eps: 0.1, windowMs: 1000 },
        now,
      );
    }
  }, 5);
}

async function serveBare(): Promise<void> {
  const bytes = Buffer.from(
    PickServerResponse.encode(
      PickServerResponse.fromPartial({
        server: {
          id: 'backend-77',
          address: '127.1.0.77:50051',
          services: [SERVICE],
          weight: 1,
          labels: { version: '1.4.2' },
          state: 3,
          score: 1.25,
          inFlight: 3,
        },
        leaseId: 'x'.repeat(40),
        leaseTtl: { seconds: 1n, nanos: 0 },
        instanceId: 'lb-1',
      }),
    ).finish(),
  );
  // The limits of the control API: what is compared is the engine.
  const server = new Server({
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': CONTROL.messageBytes,
    'grpc.max_concurrent_streams': CONTROL.streamsPerConnection,
    'grpc-node.max_session_memory': 64,
  });
  const definition = {
    PickServer: {
      path: '/heapmesh.v1.LookasideService/PickServer',
      requestStream: false,
      responseStream: false,
      requestSerialize: (request: PickServerRequest) =>
        Buffer.from(PickServerRequest.encode(request).finish()),
      requestDeserialize: (request: Buffer) => PickServerRequest.decode(request),
      responseSerialize: (response: Buffer) => response,
      responseDeserialize: (response: Buffer) => response,
    },
  };
  const implementation: UntypedServiceImplementation = {
    PickServer: (_call: unknown, callback: (error: null, answer: Buffer) => void) => callback(null, bytes),
  };
  server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  process.send?.({ address: `127.0.0.1:${port}` });
}
