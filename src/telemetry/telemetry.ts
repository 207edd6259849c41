/** What the rest of the balancer knows of telemetry: ports, and how they are made. */

/** From which level on lines are written. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Writes one line. `fields` are figures and names, never secrets or metadata values. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Changes the level while running. */
  setLevel(level: LogLevel): void;
}

export { createLogger, type LoggerOptions } from './logging.ts';
export { startTracing, type Tracing } from './tracing/tracing.ts';
