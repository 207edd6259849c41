/** `heapmesh drain`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { durationOf } from '../../grpc/duration.ts';
import { CliError, type Io, type Register } from '../cli.ts';
import type { Control, ControlOptions } from '../control.ts';
import { changeEverywhere } from '../everywhere.ts';
import { addControlOptions, durationOption, type OutputFormat, outputOption, printJson } from '../options.ts';
import { plural } from '../render/format.ts';
import type { ServerView } from '../server-view.ts';
import { withControl } from '../with-control.ts';
import { listServers, printServer } from './servers.ts';

const DEFAULT_DRAIN_MS = 30_000;
/** Between looks at a draining server: a person does not notice, a balancer neither. */
const LOOK_MS = 200;
/** Of each call; `--timeout` is the drain's here. */
const CALL_TIMEOUT_MS = 5_000;

interface DrainOptions {
  readonly control: string;
  readonly output: OutputFormat;
  readonly timeout: number;
  readonly cause: string;
  readonly wait?: boolean;
}

export const register: Register = (program, io) => {
  const command = program
    .command('drain')
    .summary('stop new calls to a server')
    .description(
      'Takes a server out of its heaps: it gets no new calls, and calls in flight go on. A backend with a load stream is told. `heapmesh servers undrain` takes it back.',
    )
    .argument('<id>', 'the server')
    .addOption(durationOption('--timeout <duration>', 'how long calls in flight may go on', DEFAULT_DRAIN_MS))
    .option('--cause <text>', 'why, for the audit trail', 'by an operator')
    .option('--wait', 'return when no call is in flight any more; exit 1 if the time is over before')
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh drain a --cause "new kernel"\n  heapmesh drain a --timeout 2m --wait && ssh a reboot',
    );
  addControlOptions(command, { timeout: false })
    .addOption(outputOption())
    .action(async (id: string, options: DrainOptions) => {
      const connection: ControlOptions = { control: options.control, timeout: CALL_TIMEOUT_MS };
      const request = { id, timeout: durationOf(options.timeout), cause: options.cause };
      await changeEverywhere(
        connection,
        io,
        control => control.call(call => control.admin.drainServer(request, call)),
        async ({ server }) => {
          if (options.wait === true)
            await withControl(connection, control => waitUntilIdle(control, id, options, io));
          else printServer(io, { ...connection, output: options.output }, server, `${id} takes no new calls`);
        },
      );
    });
};

async function waitUntilIdle(control: Control, id: string, options: DrainOptions, io: Io): Promise<void> {
  const start = performance.now();
  for (;;) {
    const server = (await listServers(control)).find(each => each.id === id);
    const waitedMs = Math.round(performance.now() - start);
    const calls = server === undefined ? 0 : callsOf(server);
    if (server === undefined || calls === 0) {
      if (options.output === 'json') printJson(io, { id, drained: true, waitedMs, server: server ?? null });
      else io.stdout.write(`${id} is drained: no call in flight\n`);
      return;
    }
    if (server.state !== 'DRAINING') {
      throw new CliError(`${id} does not drain any more: it is ${server.state} (${server.cause})`);
    }
    if (waitedMs >= options.timeout) {
      throw new CliError(
        `${id} still has ${plural(calls, 'call')} in flight after ${waitedMs} ms; it goes on draining`,
      );
    }
    await sleep(Math.min(LOOK_MS, options.timeout - waitedMs));
  }
}

/** Those that the balancer knows of and those that the backend tells of may be the same calls. */
function callsOf(server: ServerView): number {
  return Math.max(server.inFlight, server.relayed + server.leased);
}
