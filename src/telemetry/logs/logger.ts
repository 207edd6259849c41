/** Logs: JSON lines by pino, or short lines for people where they go to a terminal. */
import { type DestinationStream, pino } from 'pino';
import { harmless } from '../../core/harmless.ts';
import { LOG_LIMITS } from '../../core/limits.ts';
import type { Logger, LogLevel } from '../telemetry.ts';
import { Folding } from './folding.ts';
import { type OutputStream, openOutput } from './output.ts';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** In every line. */
  readonly instance: string;
  /** Where lines go. */
  readonly output: OutputStream;
  /** Colours, where lines are for people. */
  readonly colours: boolean;
}

/** A logger that is at an end some time. */
export interface RootLogger extends Logger {
  /** Lines so far: written, dropped as the output took none, and folded into others. */
  counts(): { readonly written: number; readonly dropped: number; readonly folded: number };
  /** Tells what was counted and waits for the output, for a bounded time. False: it does not take all. */
  close(): Promise<boolean>;
}

/** Figures of ECMA-48 for the level's colour. */
const COLOURS: Readonly<Record<string, number>> = { debug: 2, info: 36, warn: 33, error: 31 };

export function createLogger(options: LoggerOptions): RootLogger {
  const people = options.output.isTTY === true;
  const output = openOutput(options.output, dropped =>
    log.warn({ dropped }, 'the output of the log took nothing for a while: lines were dropped'),
  );
  const destination: DestinationStream = people
    ? { write: line => output.write(forPeople(line, options.colours)) }
    : output;
  const log = pino(
    {
      level: options.level,
      base: people ? null : { instance: options.instance },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: level => ({ level }) },
    },
    destination,
  );
  const folding = new Folding(() => performance.now());
  const at =
    (level: 'debug' | 'info') =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      log[level](fields, message);
  const folded =
    (level: 'warn' | 'error') =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}, same = `${level} ${message}`): void => {
      const tell = (text: string, last: Readonly<Record<string, unknown>>): void => log[level](last, text);
      if (folding.passes(same, message, fields, tell)) log[level](fields, message);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: folded('warn'),
    error: folded('error'),
    get level() {
      return log.level as LogLevel;
    },
    setLevel: level => {
      log.level = level;
    },
    counts: () => ({ ...output.counts, folded: folding.folded }),
    close: () => {
      folding.flush();
      return output.flush(LOG_LIMITS.flushMs);
    },
  };
}

/** `17:02:11 info  message  name=value ...` */
function forPeople(line: string, colours: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const name = String(level);
  const mark = colours ? `\x1b[${COLOURS[name] ?? 0}m${name.padEnd(5)}\x1b[0m` : name.padEnd(5);
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${show(value)}`);
  return `${[String(time).slice(11, 19), mark, harmless(String(msg)), ...rest].join('  ')}\n`;
}

function show(value: unknown): string {
  return harmless(typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value));
}
