/** What the rest of the balancer knows of telemetry: ports, and how they are made. */
import type { LogLevel } from './levels.ts';

export { LOG_LEVELS, type LogLevel } from './levels.ts';

/**
 * Writes one line. `fields` are figures and names, never secrets or metadata values. Warnings and errors that come in
 * a flood are folded: `same` is what makes two of them the same, by default the message.
 */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>, same?: string): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>, same?: string): void;
  readonly level: LogLevel;
  /** Changes the level while running. */
  setLevel(level: LogLevel): void;
}

export { AccessLog, type AccessLogSettings } from './logs/access-log.ts';
export { createLogger, type LoggerOptions, type RootLogger } from './logs/logger.ts';
export { startTracer, startTracing, type Tracing } from './tracing/tracing.ts';
