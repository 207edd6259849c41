/** What a process does when it is asked to end: leave the mesh first, then the network, then itself. */
import { constants } from 'node:os';
import process from 'node:process';
import { REPORTER_LIMITS } from '../core/limits.ts';
import type { LoadReporter, SignalOptions, StoppableServer } from './backend.ts';
import { milliseconds, type ReporterLogger } from './options.ts';
import { keepAliveUntil, later } from './timers.ts';

/** Returns what takes the handlers off again. */
export function handleSignals(
  reporter: LoadReporter,
  servers: readonly StoppableServer[],
  options: SignalOptions,
  logger: ReporterLogger,
): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], exit = true, onDrained } = options;
  const shutdownMs = milliseconds(
    options.shutdownTimeoutMs,
    'shutdownTimeoutMs',
    REPORTER_LIMITS.shutdownTimeoutMs,
  );
  let ending = false;

  const end = async (): Promise<number> => {
    try {
      const drain = options.drainTimeoutMs === undefined ? {} : { timeoutMs: options.drainTimeoutMs };
      const result = await reporter.drain(drain);
      await Promise.all(servers.map(server => stop(server, shutdownMs)));
      await reporter.close();
      await onDrained?.(result);
      return 0;
    } catch (error) {
      logger.error(`heapmesh: the way out failed: ${String(error)}`);
      for (const server of servers) server.forceShutdown();
      await reporter.close();
      return 1;
    }
  };

  const onSignal = (signal: NodeJS.Signals) => {
    if (ending) {
      logger.warn(`heapmesh: ${signal} again; ending at once`);
      for (const server of servers) server.forceShutdown();
      void reporter.close();
      // 128 + number: how shells tell of a process that a signal has ended.
      if (exit) process.exit(128 + constants.signals[signal]);
      return;
    }
    ending = true;
    logger.info(`heapmesh: ${signal}; draining`);
    void keepAliveUntil(end()).then(code => {
      if (exit) process.exit(code);
    });
  };

  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}

/** Calls in flight may end within `timeoutMs`; what is left then is cut. */
async function stop(server: StoppableServer, timeoutMs: number): Promise<void> {
  const force = later(timeoutMs, () => server.forceShutdown());
  try {
    // A grpc-js server has a `shutdown` too, which is no method.
    if ('tryShutdown' in server) await new Promise<void>(resolve => server.tryShutdown(() => resolve()));
    else await server.shutdown();
  } finally {
    clearTimeout(force);
  }
}
