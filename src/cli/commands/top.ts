/** `heapmesh top`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError, Option } from 'commander';
import { formatDuration } from '../../config/units.ts';
import { CliError, type Io, type Register } from '../cli.ts';
import type { Control, ControlOptions } from '../control.ts';
import { addControlOptions, type OutputFormat, outputOption, readDuration } from '../options.ts';
import { paintFor } from '../render/style.ts';
import { renderTop, type TopView } from '../render/top.ts';
import { openScreen } from '../screen.ts';
import { withControl } from '../with-control.ts';
import { listServers } from './servers.ts';

const DEFAULT_INTERVAL_MS = 1_000;
/** Faster than people read, and still nothing to a balancer. */
const SHORTEST_INTERVAL_MS = 100;

interface TopOptions extends ControlOptions {
  readonly output: OutputFormat;
  readonly interval: number;
}

export const register: Register = (program, io) => {
  const interval = new Option('--interval <duration>', 'time between two looks')
    .argParser(text => {
      const ms = readDuration(text);
      if (ms < SHORTEST_INTERVAL_MS)
        throw new InvalidArgumentError(`Expected ${SHORTEST_INTERVAL_MS}ms or more.`);
      return ms;
    })
    .default(DEFAULT_INTERVAL_MS, formatDuration(DEFAULT_INTERVAL_MS));
  const command = program
    .command('top')
    .summary('watch servers by load')
    .description(
      'Shows the servers in the order of picks, with utilization, calls in flight, score and the age of the last report; q or Ctrl-C leaves. Where the output is no terminal it prints one snapshot; -o json prints one line of JSON each interval, until it is ended. ~RPS is learned capacity times utilization.',
    )
    .argument('[service]', 'only servers of this service')
    .addOption(interval)
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh top\n  heapmesh top echo.v1.EchoService --interval 250ms\n  heapmesh top -o json | jq .servers[].utilization',
    );
  addControlOptions(command)
    .addOption(outputOption())
    .action(async (service: string | undefined, options: TopOptions) => {
      await withControl(options, async control => {
        if (options.output === 'json') return streamJson(io, control, service ?? '', options.interval);
        if (io.stdout.isTTY !== true) {
          const view = {
            address: control.address,
            service: service ?? '',
            servers: await listServers(control, service),
          };
          const screen = {
            columns: Number.POSITIVE_INFINITY,
            rows: Number.POSITIVE_INFINITY,
            paint: paintFor(io.stdout, io.env),
          };
          io.stdout.write(`${renderTop(view, screen)}\n`);
          return;
        }
        await showLive(io, control, service ?? '', options.interval);
      });
    });
};

async function showLive(io: Io, control: Control, service: string, intervalMs: number): Promise<void> {
  // Asked before the screen is taken, so that an address without a balancer is an ordinary error.
  let view: TopView = { address: control.address, service, servers: await listServers(control, service) };
  const paint = paintFor(io.stdout, io.env);
  const screen = openScreen(io, () => draw());
  const draw = () => screen.draw(renderTop(view, { columns: screen.columns, rows: screen.rows, paint }));
  try {
    while (!screen.left.aborted) {
      draw();
      // Leaving ends the sleep by an error that means nothing else.
      await sleep(intervalMs, undefined, { signal: screen.left }).catch(() => {});
      if (screen.left.aborted) break;
      try {
        view = { address: control.address, service, servers: await listServers(control, service) };
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        view = { ...view, trouble: error.message };
      }
    }
  } finally {
    screen.close();
  }
}

async function streamJson(io: Io, control: Control, service: string, intervalMs: number): Promise<void> {
  const ended = new AbortController();
  const end = () => ended.abort();
  // A reader that has seen enough, such as `head`, closes the pipe.
  io.stdout.once('error', end);
  io.stdout.once('close', end);
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    while (!ended.signal.aborted) {
      const servers = await listServers(control, service);
      const line = { time: new Date().toISOString(), control: control.address, service, servers };
      io.stdout.write(`${JSON.stringify(line)}\n`);
      await sleep(intervalMs, undefined, { signal: ended.signal }).catch(() => {});
    }
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
    io.stdout.off('error', end);
    io.stdout.off('close', end);
  }
}
