/** Real servers as processes, and a whole balancer that checks them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { ROOT } from '../../scripts/lib/project.ts';
import type { ServerView } from '../../src/core/core.ts';
import { type Rig, until } from '../proxy/rig.ts';
import type { Order } from './server-process.ts';

/** Checks within moments, so that a test takes no longer. */
export const QUICK = {
  check: 'grpc',
  interval: '100ms',
  fastInterval: '50ms',
  timeout: '400ms',
  unhealthyAfter: 2,
  healthyAfter: 2,
} as const;

export interface ServerProcess {
  readonly address: string;
  readonly child: ChildProcess;
  tell(order: Order): Promise<void>;
  kill(): Promise<void>;
  /** Another process on the same port. */
  restart(): Promise<void>;
}

export async function startServer(t: TestContext, args: readonly string[] = []): Promise<ServerProcess> {
  const start = async (port: string): Promise<[ChildProcess, string]> => {
    const file = join(ROOT, 'test/health/server-process.ts');
    const child = spawn(process.execPath, [file, '--port', port, ...args], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    t.after(() => child.kill('SIGKILL'));
    if (child.stdout === null) throw new Error('no pipe');
    const [line] = await once(createInterface(child.stdout), 'line');
    return [child, String(line)];
  };
  let [child, address] = await start('0');
  return {
    address,
    get child() {
      return child;
    },
    async tell(order) {
      const told = once(child, 'message');
      child.send(order);
      await told;
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
    async restart() {
      [child, address] = await start(address.split(':')[1] as string);
    },
  };
}

export function view(rig: Rig, id: string): ServerView | undefined {
  return rig.mesh.registry.get(id);
}

export async function untilState(rig: Rig, id: string, state: string, mostMs = 10_000): Promise<string> {
  await until(() => view(rig, id)?.state === state, `${id} is ${state}`, mostMs);
  return view(rig, id)?.cause ?? '';
}

export async function readyz(rig: Rig): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://${rig.addresses.admin}/readyz`);
  return (await answer.json()) as Record<string, unknown>;
}
