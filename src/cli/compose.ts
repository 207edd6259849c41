/** The composition root: makes the parts of a balancer from a configuration and ties them together. */
import { startAdmin } from '../admin/admin.ts';
import { type Address, parseAddress } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { systemClock } from '../control/clock.ts';
import { type Control, startControl } from '../control/control.ts';
import { ANY_SERVICE } from '../core/core.ts';
import type { RegistryEvent } from '../core/events.ts';
import { MESH_LIMITS, PROCESS_LIMITS } from '../core/limits.ts';
import { Mesh, type PoolSettings } from '../core/mesh.ts';
import { LogLink } from '../state/follow.ts';
import { MemoryLog } from '../state/memory-log.ts';
import type { Logger } from '../telemetry/telemetry.ts';
import type { Running } from './running.ts';

/** A running balancer, its core within reach of the process that embeds it. */
export interface Balancer extends Running {
  readonly mesh: Mesh;
}

/** Starts a balancer; rejects, with nothing left behind, where an address cannot be had. */
export async function compose(config: Config, options: { readonly logger: Logger }): Promise<Balancer> {
  const { logger } = options;
  const clock = systemClock;
  const onError = (error: unknown): void =>
    logger.error('a listener failed', { error: error instanceof Error ? error.stack : String(error) });
  const log = new MemoryLog({ onError });
  const link = new LogLink(log);
  const mesh = new Mesh({
    instanceId: config.instance.id,
    epoch: clock.wall(),
    append: link.append,
    wallClock: clock.wall,
    clock: clock.now,
    random: Math.random,
    leaseTtlMs: config.control.leaseTtlMs,
    pools: poolSettings(config),
    onError,
  });
  link.follow(mesh.registry);
  mesh.registry.onEvent(event => logEvent(logger, event));

  claimConfigured(mesh, config);
  const ticker = setInterval(() => mesh.tick(clock.now()), MESH_LIMITS.tickMs);
  let control: Control | undefined;
  const shut = async (graceMs: number): Promise<void> => {
    await control?.close(graceMs);
    clearInterval(ticker);
    link.stop();
    await log.close();
  };
  try {
    control = await startControl({ mesh, clock, config });
    const running = control;
    const admin = await startAdmin({
      ...(parseAddress(config.admin.listen, { anyPort: true }) as Address),
      readiness: () => ({
        ready: true,
        detail: {
          instance: config.instance.id,
          log: { kind: config.state.log, position: mesh.registry.position },
          servers: [...mesh.registry.list()].length,
        },
      }),
    });
    return {
      mesh,
      addresses: { control: control.address, admin: admin.address },
      apply: async next => {
        mesh.configurePools(poolSettings(next));
        running.reconfigure(next);
        claimConfigured(mesh, next);
      },
      close: async () => {
        await admin.close();
        await shut(PROCESS_LIMITS.closeGraceMs);
      },
    };
  } catch (error) {
    await shut(0);
    throw error;
  }
}

/** The configuration's servers are one source, which replaces its whole set at once. */
function claimConfigured(mesh: Mesh, config: Config): void {
  const body = { kind: 'replace', source: 'config', specs: config.servers } as const;
  mesh.registry.propose(body, 'named in the configuration').catch(() => {});
}

function poolSettings(config: Config): Map<string, PoolSettings> {
  return new Map(config.pools.map(pool => [pool.service || ANY_SERVICE, { zoneFactor: pool.zoneFactor }]));
}

/** One line for each change of state, with its cause. */
function logEvent(logger: Logger, event: RegistryEvent): void {
  const { kind, serverId, state, cause, position } = event;
  const fields = { server: serverId, position, ...(state === undefined ? {} : { state }) };
  if (kind === 'refused') logger.warn(`change refused: ${cause}`, fields);
  else logger.info(`${serverId} ${kind.replace('_', ' ')}: ${cause}`, fields);
}
