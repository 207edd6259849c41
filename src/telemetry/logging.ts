/** Logs: JSON lines by pino, or short lines for people where they go to a terminal. */
import { Writable } from 'node:stream';
import { type DestinationStream, pino } from 'pino';
import type { Logger, LogLevel } from './telemetry.ts';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** In every line. */
  readonly instance: string;
  /** Where lines go. */
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Colours, where lines are for people. */
  readonly colours: boolean;
}

/** Figures of ECMA-48 for the level's colour. */
const COLOURS: Readonly<Record<string, number>> = { debug: 2, info: 36, warn: 33, error: 31 };

export function createLogger(options: LoggerOptions): Logger {
  const people = options.output.isTTY === true;
  const destination: DestinationStream = people ? forPeople(options) : options.output;
  const log = pino(
    {
      level: options.level,
      base: people ? null : { instance: options.instance },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: level => ({ level }) },
    },
    destination,
  );
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      log[level](fields, message);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    setLevel: level => {
      log.level = level;
    },
  };
}

/** `17:02:11 info  message  name=value ...` */
function forPeople(options: LoggerOptions): DestinationStream {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      const { level, time, msg, ...fields } = JSON.parse(chunk.toString()) as Record<string, unknown>;
      const name = String(level);
      const mark = options.colours ? `\x1b[${COLOURS[name] ?? 0}m${name.padEnd(5)}\x1b[0m` : name.padEnd(5);
      const rest = Object.entries(fields).map(([key, value]) => `${key}=${show(value)}`);
      const line = [String(time).slice(11, 19), mark, harmless(String(msg)), ...rest].join('  ');
      options.output.write(`${line}\n`, () => done());
    },
  });
}

function show(value: unknown): string {
  return harmless(typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value));
}

/** Names and causes come from elsewhere and must not move a terminal's cursor. */
function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}
