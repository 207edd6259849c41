/** Traces: what is recorded, and where it goes. */
import { hostname } from 'node:os';
import type { Config } from '../../config/config.ts';
import { systemClock as clock } from '../../control/clock.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { CallTracer } from '../../grpc/call-tracer.ts';
import type { TransparentProxy } from '../../proxy/proxy.ts';
import { type Logger, startTracing, type Tracing } from '../../telemetry/telemetry.ts';
import { packageVersion } from '../commands/version.ts';

export interface TracingPart {
  /** Undefined: nothing is traced. */
  readonly tracing: Tracing | undefined;
  readonly tracer: CallTracer | undefined;
  /** Tells it of the proxy's calls. */
  attach(proxy: TransparentProxy): void;
  apply(config: Config): void;
  close(): Promise<void>;
}

export async function wireTracing(options: {
  readonly config: Config;
  readonly mesh: Mesh;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
}): Promise<TracingPart> {
  const { config, mesh, logger, env } = options;
  const { id: instance, zone } = config.instance;
  const start = startTracing({
    config: config.telemetry.traces,
    env,
    identity: {
      instance,
      zone,
      version: packageVersion(),
      hostname: hostname(),
      pid: process.pid,
      service: 'heapmesh',
    },
    now: clock.now,
    wall: clock.wall,
    random: Math.random,
    idOf: slot => mesh.idOf(slot),
    onState: failure => {
      if (failure === undefined) logger.info('traces: the collector takes spans again');
      else
        logger.warn('traces: the collector takes no spans; they are dropped and counted', { why: failure });
    },
  });
  const tracing = await start.catch((error: Error) => {
    // What the file says was checked; a variable of the environment that is wrong is no reason not to serve.
    logger.error('traces: they cannot be exported, and calls are not traced', { why: error.message });
    return undefined;
  });
  return {
    tracing,
    tracer: tracing?.tracer,
    attach(proxy) {
      if (tracing === undefined) return;
      proxy.observe(tracing.calls);
      tracing.watch(visit => proxy.eachCall(visit));
    },
    apply: next => tracing?.configure(next.telemetry.traces),
    close: async () => tracing?.close(),
  };
}
