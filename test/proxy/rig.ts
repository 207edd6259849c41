/** A whole balancer with a proxy in this process, and what the tests of the proxy put around it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Balancer, compose } from '../../src/cli/compose.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Logger } from '../../src/telemetry/telemetry.ts';
import { type Caller, type CallerOptions, connectCaller } from '../support/h2/caller.ts';
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/h2/upstream.ts';

export interface Rig extends Balancer {
  readonly address: string;
  /** What was logged as an error: faults of our own. */
  readonly faults: unknown[];
  caller(options?: CallerOptions): Promise<Caller>;
  /** Takes over other settings; `servers` stay. */
  configure(text: Settings): Promise<void>;
}

type Settings = Readonly<Record<string, unknown>>;

/** A server of the configuration: `a`, `b` ... by place, or with settings of its own. */
export type ServerOf = string | Settings;

function configOf(servers: readonly ServerOf[], settings: Settings) {
  const listed = servers.map((server, at) => {
    const id = String.fromCharCode(97 + at);
    return typeof server === 'string' ? { id, address: server } : { id, ...server };
  });
  const listen = { listen: '127.0.0.1:0' };
  const proxy = { ...listen, ...(settings.proxy as object | undefined) };
  // Checks would be streams that no test has made; those of test/health ask for them.
  const health = settings.health ?? { check: 'none', orca: false };
  // YAML is a superset of JSON.
  const admin = { ...listen, ...(settings.admin as object | undefined) };
  const control = { ...listen, ...(settings.control as object | undefined) };
  const text = JSON.stringify({ ...settings, health, proxy, control, admin, servers: listed });
  return loadConfig(text, { file: 'test', hostname: 'lb-1' }).config;
}

/** Starts a balancer until the test ends; then no call and no lease may be left, and nothing may have gone wrong. */
export async function startRig(
  t: TestContext,
  servers: readonly ServerOf[],
  settings: Settings = {},
): Promise<Rig> {
  const faults: unknown[] = [];
  const logger: Logger = {
    info() {},
    warn() {},
    debug() {},
    error: (message, fields) => void faults.push([message, fields]),
    level: 'info',
    setLevel() {},
  };
  const balancer = await compose(configOf(servers, settings), { logger });
  const callers: Caller[] = [];
  t.after(async () => {
    for (const caller of callers) caller.socket.destroy();
    const { mesh, proxy } = balancer;
    const left = () => ({ calls: proxy.gauges().calls, leases: mesh.leases.open, late: mesh.leases.late });
    await until(() => left().calls === 0 && left().leases === 0).catch(() => undefined);
    const rest = left();
    await balancer.close();
    assert.deepEqual(rest, { calls: 0, leases: 0, late: 0 });
    assert.deepEqual(faults, []);
  });
  return {
    ...balancer,
    address: balancer.addresses.proxy,
    faults,
    async caller(options = {}) {
      const caller = await connectCaller(balancer.addresses.proxy, options);
      callers.push(caller);
      return caller;
    },
    configure: next => balancer.apply(configOf(servers, { ...settings, ...next })),
  };
}

/** A raw backend until the test ends. */
export async function upstreamFor(t: TestContext, options: UpstreamOptions = {}): Promise<Upstream> {
  const upstream = await startUpstream(options);
  t.after(() => upstream.close());
  return upstream;
}

/** Resolves when something is so; what it waits for has no event. */
export async function until(holds: () => boolean, what = 'it', mostMs = 5_000): Promise<void> {
  const end = performance.now() + mostMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`${what} is not so after ${mostMs} ms`);
    await sleep(2);
  }
}
