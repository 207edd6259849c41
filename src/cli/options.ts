/** Options that several commands share, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatAddress, parseAddress } from '../config/address.ts';
import { formatDuration, parseDuration } from '../config/units.ts';
import type { Io } from './cli.ts';

const DEFAULT_CONTROL = '127.0.0.1:4701';
const DEFAULT_ADMIN = '127.0.0.1:4702';
const DEFAULT_TIMEOUT_MS = 5_000;

export type OutputFormat = 'table' | 'json';

/** `-o table|json`. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table');
}

/** `--control` and, where the name is free, `--timeout`. */
export function addControlOptions(command: Command, options: { timeout?: boolean } = {}): Command {
  command.addOption(
    new Option('--control <address>', 'control address of the balancer')
      .env('HEAPMESH_CONTROL')
      .default(DEFAULT_CONTROL)
      .argParser(readAddress),
  );
  return options.timeout === false ? command : command.addOption(timeoutOption('longest wait for an answer'));
}

/** `--admin` and `--timeout`, for what is asked by HTTP. */
export function addAdminOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--admin <address>', 'admin address of the balancer')
        .env('HEAPMESH_ADMIN')
        .default(DEFAULT_ADMIN)
        .argParser(readAddress),
    )
    .addOption(timeoutOption('longest wait for an answer'));
}

function timeoutOption(about: string): Option {
  return durationOption('--timeout <duration>', about, DEFAULT_TIMEOUT_MS);
}

/** An option whose value is milliseconds, written `500ms`, `10s`, `2m`. */
export function durationOption(flags: string, about: string, defaultMs?: number): Option {
  const option = new Option(flags, about).argParser(readDuration);
  return defaultMs === undefined ? option : option.default(defaultMs, formatDuration(defaultMs));
}

export function readDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Expected a duration such as 500ms, 10s or 2m.');
  return ms;
}

export function readAddress(text: string): string {
  return checkAddress(text, false);
}

/** An address to listen on: port 0 takes a free one. */
export function readListenAddress(text: string): string {
  return checkAddress(text, true);
}

function checkAddress(text: string, anyPort: boolean): string {
  const address = parseAddress(text, { anyPort });
  if (typeof address === 'string') {
    throw new InvalidArgumentError(`${address}; expected host:port, such as 127.0.0.1:4701 or [::1]:4701.`);
  }
  return formatAddress(address);
}

/** Reads a whole number within bounds. */
export function readCount(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

/** Collects an option that may be given several times. */
export function collect(text: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), text];
}

/** Collects `k=v` pairs; the last of a key wins. */
export function collectPairs(
  text: string,
  earlier: Record<string, string> | undefined,
): Record<string, string> {
  const split = text.indexOf('=');
  if (split <= 0) throw new InvalidArgumentError('Expected NAME=VALUE.');
  return { ...earlier, [text.slice(0, split)]: text.slice(split + 1) };
}

/** Writes a value as JSON, indented for people only where a person looks. */
export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, io.stdout.isTTY ? 2 : undefined)}\n`);
}
