/** A whole balancer over a log in memory, and backends that report to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createLoadReporter, type LoadReporter, type LoadReporterOptions } from 'heapmesh/backend';
import { type Control, startControl } from '../../src/control/control.ts';
import { Mesh } from '../../src/core/mesh.ts';
import { LogLink } from '../../src/state/follow.ts';
import { MemoryLog } from '../../src/state/memory-log.ts';
import { Backend, SERVICE, type Stack } from './support.ts';

export interface Balancer {
  readonly mesh: Mesh;
  readonly control: Control;
  readonly address: string;
  readonly port: number;
  /** As if its process were killed, as far as its peers can tell. */
  kill(): Promise<void>;
}

export interface BalancerSettings {
  readonly id?: string;
  readonly port?: number;
  readonly reportIntervalMs?: number;
  readonly leaseTtlMs?: number;
  /** Control addresses of all instances. */
  readonly instances?: () => readonly string[];
}

export async function startBalancer(stack: Stack, settings: BalancerSettings = {}): Promise<Balancer> {
  const { id = 'lb-1', port = 0, reportIntervalMs = 100, leaseTtlMs = 10_000, instances } = settings;
  const log = new MemoryLog();
  const link = new LogLink(log);
  const mesh = new Mesh({
    instanceId: id,
    epoch: Date.now(),
    append: link.append,
    wallClock: Date.now,
    clock: () => performance.now(),
    random: Math.random,
    leaseTtlMs,
  });
  link.follow(mesh.registry);
  const ticker = setInterval(() => mesh.tick(performance.now()), 50);
  const control = await startControl({
    mesh,
    config: {
      instance: { id, zone: '', advertise: {} },
      control: { listen: `127.0.0.1:${port}`, reportIntervalMs, leaseTtlMs, allowBackends: [] },
      health: { reportGraceMs: 60_000, forgetAfterMs: 600_000 },
    },
    ...(instances === undefined ? {} : { instances }),
  });
  let closed: Promise<void> | undefined;
  const kill = () => {
    closed ??= control.close(0).then(() => {
      clearInterval(ticker);
      link.stop();
      return log.close();
    });
    return closed;
  };
  stack.add(control, kill);
  return { mesh, control, address: control.address, port: Number(control.address.split(':').at(-1)), kill };
}

/** A backend with its reporter. */
export async function startReporting(
  stack: Stack,
  id: string,
  balancers: readonly string[],
  options: Partial<LoadReporterOptions> = {},
): Promise<{ backend: Backend; reporter: LoadReporter }> {
  const reporter = createLoadReporter({
    id,
    services: [SERVICE],
    balancers,
    logger: { info() {}, warn() {}, error() {} },
    ...options,
  });
  const interceptors = [reporter.grpcJsInterceptor()];
  const backend = stack.add(await Backend.start(id, 0, undefined, { interceptors }), one => one.kill());
  stack.add(reporter, one => one.close());
  await reporter.start({ address: backend.address, until: 'all', timeoutMs: 10_000 });
  return { backend, reporter };
}

/** A backend as a process of its own; resolves once it is registered. */
export async function spawnBackend(
  stack: Stack,
  id: string,
  balancers: readonly string[],
): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('backend-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=heapmesh-source', file, id, balancers.join(',')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stack.add(child, async one => {
    if (one.exitCode !== null || one.signalCode !== null) return;
    const exit = once(one, 'exit');
    one.kill('SIGKILL');
    await exit;
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}
