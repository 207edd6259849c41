/**
 * `heapmesh`: the balancer, embedded in a process of yours.
 *
 * The whole of it, as `heapmesh serve` runs it:
 *
 * ```ts
 * const { config } = loadConfig(yaml, { file: 'heapmesh.yaml', hostname: hostname() });
 * const logger = createLogger({ level: 'info', instance: config.instance.id, output: process.stderr, colours: false });
 * const balancer = await startBalancer(config, { logger });
 * // ...
 * await balancer.close();
 * ```
 *
 * Or its core alone, a `Mesh` over a log, without any socket: propose servers to `mesh.registry`, report
 * loads by `mesh.report()`, pick from `mesh.pool()`, complete by `mesh.leases`, and call `mesh.tick()`
 * about every 50 ms.
 */
export { type Balancer, compose as startBalancer } from './cli/compose.ts';
export type { Running } from './cli/running.ts';
export {
  type Config,
  ConfigError,
  type Flags,
  type Loaded,
  type LoadOptions,
  loadConfig,
  type PoolConfig,
  type Problem,
} from './config/config.ts';
export {
  type Action,
  type Authorize,
  type Clock,
  type Control,
  type ControlConfig,
  type ControlCounters,
  type ControlOptions,
  type Peer,
  startControl,
} from './control/control.ts';
export {
  ANY_SERVICE,
  type LoadSample,
  Outcome,
  PickFailure,
  type ServerSpec,
  type ServerState,
  type ServerView,
  type Source,
} from './core/core.ts';
export type { Body, Entry, Observation, Precondition, Proposal } from './core/entries.ts';
export type { LeaseTable } from './core/lease.ts';
export { LeaseKind, type LoadTable } from './core/load-table.ts';
export { Mesh, type MeshOptions, type PoolSettings } from './core/mesh.ts';
export type { HeapNodeView, PickWant, Pool, PoolCounts } from './core/pool.ts';
export { Registry, type RegistryEvent, type RegistryOptions, type Settled } from './core/registry.ts';
export { LogLink } from './state/follow.ts';
export type { Log } from './state/log.ts';
export { MemoryLog, type MemoryLogOptions } from './state/memory-log.ts';
export {
  createLogger,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  type RootLogger,
} from './telemetry/telemetry.ts';
