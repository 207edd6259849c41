/** The composition root: makes the parts of a balancer from a configuration and ties them together. */
import { healthRoutes } from '../admin/admin.ts';
import { type Address, parseAddress } from '../config/address.ts';
import type { Config, PoolConfig } from '../config/config.ts';
import { systemClock } from '../control/clock.ts';
import { type Control, startControl } from '../control/control.ts';
import { ANY_SERVICE } from '../core/core.ts';
import type { Detector } from '../core/detector.ts';
import type { RegistryEvent } from '../core/events.ts';
import { MESH_LIMITS, PROCESS_LIMITS } from '../core/limits.ts';
import { Mesh, type PoolSettings } from '../core/mesh.ts';
import { Status } from '../grpc/status.ts';
import type { Health } from '../health/health.ts';
import {
  type Call,
  createProxy,
  type PoolProxySettings,
  type ProxySettings,
  type TransparentProxy,
} from '../proxy/proxy.ts';
import type { ScalingStatus } from '../scaling/scaling.ts';
import type { Log } from '../state/log.ts';
import { tellHealth } from '../telemetry/metrics/sources/health.ts';
import type { Logger, RootLogger, Tracing } from '../telemetry/telemetry.ts';
import type { Running } from './running.ts';
import { startAdminPort } from './wiring/admin.ts';
import { wireConsole } from './wiring/console.ts';
import { startSources } from './wiring/discovery.ts';
import { startHealth } from './wiring/health.ts';
import { instancesPart } from './wiring/instances.ts';
import { wireLogs } from './wiring/logs.ts';
import { type Metrics, startMetrics } from './wiring/metrics.ts';
import { type ScalingPart, startScaling } from './wiring/scaling.ts';
import { openState } from './wiring/state.ts';
import { wireTracing } from './wiring/tracing.ts';

/** A running balancer, its core within reach of the process that embeds it. */
export interface Balancer extends Running {
  readonly mesh: Mesh;
  readonly proxy: TransparentProxy;
  /** What the rule of scaling sees; undefined where it is off. */
  scaling(): ScalingStatus | undefined;
  /** Undefined where nothing is traced. */
  readonly tracing: Tracing | undefined;
  readonly metrics: Metrics;
  readonly detector: Detector;
  readonly health: Health;
  readonly control: Control;
  /** The log of changes. */
  readonly log: Log;
  readonly addresses: { readonly proxy: string; readonly control: string; readonly admin: string };
}

export interface ComposeOptions {
  readonly logger: Logger & Partial<Pick<RootLogger, 'counts'>>;
  /** Variables of OpenTelemetry are read from here. Default: those of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Begins with nothing, whatever the log has. */
  readonly ignoreState?: boolean | undefined;
}

/** Starts a balancer; rejects, with nothing left behind, where an address cannot be had. */
export async function compose(config: Config, options: ComposeOptions): Promise<Balancer> {
  const { logger } = options;
  const clock = systemClock;
  const onError = (error: unknown): void =>
    logger.error('a fault of our own', { error: error instanceof Error ? error.stack : String(error) });
  const { ignoreState } = options;
  const state = await openState(config, { clock, logger, onError, ignoreState });
  const mesh = new Mesh({
    instanceId: config.instance.id,
    epoch: state.epoch,
    append: state.append,
    wallClock: clock.wall,
    clock: clock.now,
    random: Math.random,
    leaseTtlMs: config.control.leaseTtlMs,
    pools: poolSettings(config),
    onRoom: () => queueMicrotask(() => mesh.serveWaiting(clock.now())),
    onError,
  });
  state.attach(mesh);
  mesh.registry.onEvent(event => logEvent(logger, event));

  const instances = instancesPart(config, { clock, logger, mesh, state });
  const logs = wireLogs(config, logger);
  const traces = await wireTracing({ config, mesh, logger, env: options.env ?? process.env });
  const ticker = setInterval(() => mesh.tick(clock.now()), MESH_LIMITS.tickMs);
  const health = startHealth({ mesh, clock, config, logger, parseAddress: addressOf, onError });
  const sources = startSources(mesh, clock, config, logger);
  let closing = false;
  let inForce = config;
  let control: Control | undefined;
  let proxy: TransparentProxy | undefined;
  let metrics: Metrics | undefined;
  let scaling: ScalingPart | undefined;
  const shut = async (graceMs: number): Promise<void> => {
    await scaling?.close();
    await proxy?.close();
    await control?.close(graceMs);
    await metrics?.close();
    sources.stop();
    health.stop();
    instances.close();
    logs.close();
    await traces.close();
    clearInterval(ticker);
    await state.close();
  };
  try {
    control = await startControl({
      mesh,
      clock,
      config,
      instances: instances.addresses,
      directory: instances.directory,
      tracer: traces.tracer,
      cannotKeep: state.cannotKeep,
      welcomesUnkept: state.shared !== undefined,
      scaling: () => scaling?.status(),
    });
    const running = control;
    const listen = addressOf(config.proxy.listen);
    proxy = createProxy({
      mesh,
      ...listen,
      reusePort: config.proxy.reusePort,
      settings: proxySettings(config),
      reachability: health.reachability,
      streamsLoad: id => health.health.streamsLoad(id),
      random: Math.random,
      parseAddress: addressOf,
      zone: config.instance.zone,
      rememberBlocks: config.proxy.rememberHeaders,
      onError,
    });
    const proxying = proxy;
    if (!instances.joins) await proxying.listen();
    // First: the others ask it of calls that end, and some are recorded only at their end.
    traces.attach(proxy);
    health.listenTo({
      heardAt: slot => proxying.heardAt(slot),
      reports: id => running.reports(id),
      panicChanged: service => running.panicChanged(service),
    });
    metrics = startMetrics({
      instance: config.instance.id,
      mesh,
      proxy,
      control,
      spans: traces.tracing?.counts,
      lines: logger.counts,
      log: state.log,
      wall: clock.wall,
      onError,
    });
    tellHealth(metrics.registry, mesh, health.detector, health.health);
    instances.start(
      { control: control.address, proxy: () => proxying.address },
      {
        changed: () => running.instancesChanged(),
        reclaim() {
          sources.apply(inForce);
          running.reclaim();
        },
      },
    );
    const readiness = () => ({
      ready: !closing && proxying.address !== '',
      detail: {
        instance: config.instance.id,
        ...(instances.awaited() > 0 ? { waitsForServers: instances.awaited() } : {}),
        log: state.detail(),
        servers: [...mesh.registry.list()].length,
        ...health.detail(),
        ...sources.detail(),
      },
    });
    scaling = startScaling(config, {
      mesh,
      clock,
      logger,
      control: config.instance.advertise.control ?? control.address,
      env: options.env ?? process.env,
      suspectsItself: () => health.detector.suspectsItself,
    });
    const scaler = scaling;
    const { history } = metrics;
    const traceIdOf = (call: Call): string => traces.tracing?.traceOf(call) ?? '';
    const board = wireConsole(config, {
      mesh,
      control,
      proxy,
      wall: clock.wall,
      history,
      traceIdOf,
      onError,
    });
    metrics.calls.traceOf = traceIdOf;
    state.noted.tell(metrics.registry, call => traces.tracing?.traceOf(call));
    logs.attach(proxy, traces.tracing);
    const routes = [...healthRoutes(readiness), ...metrics.routes, ...board.routes, ...logs.routes];
    const admin = await startAdminPort({ config, routes, onError });
    await sources.ready();
    const ready = instances.joins ? instances.joined().then(() => proxying.listen()) : Promise.resolve();
    // Whoever waits for it hears of it.
    ready.catch(() => {});
    return {
      ready,
      mesh,
      proxy: proxying,
      detector: health.detector,
      health: health.health,
      scaling: () => scaler.status(),
      tracing: traces.tracing,
      metrics,
      control,
      log: state.log,
      get addresses() {
        return { proxy: proxying.address, control: running.address, admin: admin.address };
      },
      apply: async next => {
        mesh.configurePools(poolSettings(next));
        running.reconfigure(next);
        proxying.configure(proxySettings(next));
        health.apply(next);
        scaler.apply(next);
        inForce = next;
        sources.apply(next);
        instances.apply(next);
        admin.apply(next);
        board.apply(next);
        logs.apply(next);
        traces.apply(next);
      },
      close: async () => {
        // Probes are answered to the last: this instance is alive, and takes no more calls.
        closing = true;
        await instances.leave();
        await shut(PROCESS_LIMITS.closeGraceMs);
        await admin.close();
      },
    };
  } catch (error) {
    await shut(0);
    throw error;
  }
}

function poolSettings(config: Config): Map<string, PoolSettings> {
  const settings = ({ zoneFactor, policy, queue }: PoolConfig): PoolSettings => ({
    zoneFactor,
    policy,
    queue,
  });
  return new Map(config.pools.map(pool => [pool.service || ANY_SERVICE, settings(pool)]));
}

function addressOf(text: string): Address {
  const address = parseAddress(text, { anyPort: true });
  if (typeof address === 'string') throw new Error(`'${text}': ${address}`);
  return address;
}

function proxySettings(config: Config): ProxySettings {
  const { reflection, maxConnectionAgeMs, ...proxy } = config.proxy;
  return {
    ...proxy,
    maxConnectionAgeMs: maxConnectionAgeMs === 0 ? Number.POSITIVE_INFINITY : maxConnectionAgeMs,
    reflection: reflection ?? '',
    pools: new Map(config.pools.map(pool => [pool.service, poolProxySettings(pool)])),
  };
}

function poolProxySettings({ retry, maxStreamAgeMs }: PoolConfig): PoolProxySettings {
  const policy = retry && { ...retry, codes: new Set(retry.codes.map(name => Status[name])) };
  return { retry: policy, maxStreamAgeMs };
}

/** One line for each change of state, with its cause. */
function logEvent(logger: Logger, event: RegistryEvent): void {
  const { kind, serverId, state, cause, position } = event;
  const fields = { server: serverId, position, ...(state === undefined ? {} : { state }) };
  if (kind === 'refused') logger.warn(`change refused: ${cause}`, fields);
  else logger.info(`${serverId} ${kind.replace('_', ' ')}: ${cause}`, fields);
}
