/** `heapmesh servers`: list, add, remove, weight, undrain, activate. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { closest } from '../../config/closest.ts';
import type { ServerStatus } from '../../gen/heapmesh/v1/admin.ts';
import { durationOf } from '../../grpc/duration.ts';
import { CliError, Exit, type Io, type Register } from '../cli.ts';
import type { Control, ControlOptions } from '../control.ts';
import { changeEverywhere } from '../everywhere.ts';
import {
  addControlOptions,
  collectPairs,
  durationOption,
  type OutputFormat,
  outputOption,
  printJson,
  readAddress,
  readCount,
} from '../options.ts';
import { formatAge, formatNumber, formatPercent } from '../render/format.ts';
import { formatScore } from '../render/score.ts';
import { type Paint, paintFor } from '../render/style.ts';
import { type Column, renderTable } from '../render/table.ts';
import {
  isPickable,
  type ServerView,
  STATES,
  type StateName,
  stateStyle,
  stateText,
  stateValue,
  viewServer,
} from '../server-view.ts';
import { withControl } from '../with-control.ts';

type Common = ControlOptions & { readonly output: OutputFormat };

const COLUMNS: readonly Column[] = [
  { title: 'SERVER', shrinkTo: 8 },
  { title: 'ADDRESS', shrinkTo: 10 },
  { title: 'SERVICES', shrinkTo: 12 },
  { title: 'STATE' },
  { title: 'WEIGHT', align: 'right' },
  { title: 'ZONE', shrinkTo: 4 },
  { title: 'UTIL', align: 'right' },
  { title: 'IN FLIGHT', align: 'right' },
  { title: 'SCORE', align: 'right' },
  { title: 'SOURCES', shrinkTo: 6 },
  { title: 'SINCE', align: 'right' },
  { title: 'CAUSE', shrinkTo: 12 },
];

/** The table of `servers list`. `now` is ms since 1970. */
export function renderServers(
  views: readonly ServerView[],
  now: number,
  paint: Paint,
  width?: number,
): string {
  const rows = views.map(view => [
    { text: view.id, style: 'bold' as const },
    view.address,
    view.services.join(','),
    { text: stateText(view), style: stateStyle(view.state) },
    formatNumber(view.weight),
    view.zone === '' ? '-' : view.zone,
    formatPercent(view.utilization),
    String(view.inFlight),
    isPickable(view) ? formatScore(view.score) : '-',
    view.sources.join(','),
    view.stateTime === null ? '-' : formatAge(now - Date.parse(view.stateTime)),
    view.cause,
  ]);
  return renderTable(COLUMNS, rows, paint, width);
}

export async function listServers(
  control: Control,
  service = '',
  states: readonly StateName[] = [],
): Promise<ServerView[]> {
  const request = { service, states: states.map(stateValue) };
  const { servers } = await control.call(options => control.admin.listServers(request, options));
  return servers.map(viewServer).sort((a, b) => a.id.localeCompare(b.id));
}

/** Prints one server after a change to it. */
export function printServer(io: Io, options: Common, status: ServerStatus | undefined, done: string): void {
  if (options.output === 'json') printJson(io, status === undefined ? null : viewServer(status));
  else {
    const state = status === undefined ? '' : `: ${viewServer(status).state}`;
    io.stdout.write(`${done}${state}\n`);
  }
}

function readStates(text: string, earlier: StateName[] | undefined): StateName[] {
  const names = text.split(',').map(name => name.trim().toUpperCase());
  const found = names.map(name => STATES.find(state => state === name));
  if (found.some(state => state === undefined)) {
    throw new InvalidArgumentError(`Expected one of ${STATES.join(', ').toLowerCase()}.`);
  }
  return [...(earlier ?? []), ...(found as StateName[])];
}

function readWeight(text: string): number {
  const weight = Number(text);
  if (text.trim() === '' || !Number.isFinite(weight) || weight < 0) {
    throw new InvalidArgumentError('Expected a number of 0 or more.');
  }
  return weight;
}

/** `SERVICE=ADDR`, or `ADDR` for every service. */
function readServerSpec(text: string): { services: string[]; address: string } {
  const split = text.lastIndexOf('=');
  const services = split < 0 ? ['*'] : text.slice(0, split).split(',');
  if (services.includes(''))
    throw new InvalidArgumentError('Expected SERVICE=ADDR, or ADDR alone for every service.');
  return { services, address: readAddress(text.slice(split + 1)) };
}

interface AddOptions extends Common {
  readonly id?: string;
  readonly weight?: number;
  readonly zone?: string;
  readonly label?: Record<string, string>;
  readonly maxConcurrency?: number;
  readonly standby?: boolean;
}

export const register: Register = (program, io) => {
  const servers = program
    .command('servers')
    .summary('list and change the servers that a balancer knows')
    .description('Lists and changes the servers that a balancer knows. Without a subcommand it lists them.')
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh servers\n  heapmesh servers add echo.v1.EchoService=10.0.0.7:50051 --zone z1\n  heapmesh servers weight 10.0.0.7:50051 2',
    );

  const sub = (name: string, summary: string, description: string) => {
    const command = servers.command(name).summary(summary).description(description);
    return addControlOptions(command).addOption(outputOption());
  };

  addList(servers, io);

  sub(
    'add',
    'add a server',
    'Adds a server as an operator. SERVICE is a fully qualified name, or several with commas between; without one the server serves every service. Without --id, its id is its address.',
  )
    .argument('<service=addr>', 'what it serves, and where', readServerSpec)
    .option('--id <id>', 'its name; unique')
    .option('--weight <number>', 'multiplies its learned capacity', readWeight)
    .option('--zone <zone>', 'where it runs')
    .option('--label <name=value>', 'a label; may be given several times', collectPairs)
    .addOption(
      new Option('--max-concurrency <count>', 'most calls in flight at once; 0 is no limit').argParser(
        readCount(0, 1_000_000),
      ),
    )
    .option('--standby', 'waits outside the heap until it is activated')
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh servers add echo.v1.EchoService=127.0.0.1:50051\n  heapmesh servers add 127.0.0.1:50052 --id spare --standby --label rack=r1',
    )
    .action(async (spec: { services: string[]; address: string }, options: AddOptions) => {
      const server = {
        ...spec,
        id: options.id ?? spec.address,
        weight: options.weight ?? 1,
        zone: options.zone ?? '',
        labels: options.label ?? {},
        maxConcurrency: options.maxConcurrency ?? 0,
      };
      const request = { server, standby: options.standby === true };
      await changeEverywhere(
        options,
        io,
        control => control.call(call => control.admin.addServer(request, call)),
        added => printServer(io, options, added.server, `added ${server.id}`),
      );
    });

  sub(
    'remove',
    'remove a server',
    'Removes a server, whoever claims it, until an operator adds or undrains it. Calls in flight go on.',
  )
    .argument('<id>', 'the server')
    .addOption(durationOption('--drain-timeout <duration>', 'drain it first, for at most this long'))
    .addHelpText('after', '\nExample:\n  heapmesh servers remove 10.0.0.7:50051 --drain-timeout 30s')
    .action(async (id: string, options: Common & { drainTimeout?: number }) => {
      const drainTimeout = options.drainTimeout === undefined ? undefined : durationOf(options.drainTimeout);
      const draining = drainTimeout !== undefined;
      await changeEverywhere(
        options,
        io,
        control => control.call(call => control.admin.removeServer({ id, drainTimeout }, call)),
        () => {
          if (options.output === 'json') printJson(io, { id, removed: true, draining });
          else io.stdout.write(draining ? `${id} drains, and is removed then\n` : `removed ${id}\n`);
        },
      );
    });

  sub(
    'weight',
    "set a server's weight",
    "Overrides a server's weight, which multiplies its learned capacity. 0 takes the override back.",
  )
    .argument('<id>', 'the server')
    .argument('<weight>', 'a number above 0; 0 takes the override back', readWeight)
    .addHelpText('after', '\nExamples:\n  heapmesh servers weight a 0.5\n  heapmesh servers weight a 0')
    .action(async (id: string, weight: number, options: Common) => {
      const done = weight === 0 ? `${id} has its own weight again` : `${id} has weight ${weight}`;
      await changeEverywhere(
        options,
        io,
        control => control.call(call => control.admin.setServerWeight({ id, weight }, call)),
        ({ server }) => printServer(io, options, server, done),
      );
    });

  sub('undrain', 'let a drained or removed server take calls again', 'Lifts a drain or a removal.')
    .argument('<id>', 'the server')
    .addHelpText('after', '\nExample:\n  heapmesh servers undrain a')
    .action(async (id: string, options: Common) => {
      await changeEverywhere(
        options,
        io,
        control => control.call(call => control.admin.undrainServer({ id }, call)),
        ({ server }) => printServer(io, options, server, `undrained ${id}`),
      );
    });

  sub(
    'activate',
    'let a standby join as the root',
    'Lets a healthy standby join its pools: it stands at the root of their heaps until it has proved itself.',
  )
    .argument('<id>', 'the standby')
    .option('--cause <text>', 'why, for the audit trail', 'by an operator')
    .addHelpText(
      'after',
      '\nExample:\n  heapmesh servers activate spare --cause "more traffic than expected"',
    )
    .action(async (id: string, options: Common & { cause: string }) => {
      await changeEverywhere(
        options,
        io,
        control => control.call(call => control.admin.activateServer({ id, cause: options.cause }, call)),
        ({ server }) => printServer(io, options, server, `activated ${id}`),
      );
    });
};

function addList(servers: Command, io: Io): void {
  const command = servers
    .command('list', { isDefault: true })
    .summary('list the servers (the default)')
    .description('Lists the servers of a service, or all.')
    .argument('[service]', 'a fully qualified service name')
    .option('--state <state>', 'only these states; several with commas between', readStates)
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh servers list echo.v1.EchoService\n  heapmesh servers list --state ejected,draining -o json',
    );
  addControlOptions(command)
    .addOption(outputOption())
    .action(async (service: string | undefined, options: Common & { state?: StateName[] }) => {
      rejectMistypedCommand(servers, service);
      await withControl(options, async control => {
        const views = await listServers(control, service, options.state);
        if (options.output === 'json') return printJson(io, { servers: views });
        if (views.length === 0) return void io.stdout.write('no servers\n');
        const width = io.stdout.isTTY ? io.stdout.columns : undefined;
        io.stdout.write(`${renderServers(views, Date.now(), paintFor(io.stdout, io.env), width)}\n`);
      });
    });
}

/** `servers wieght a 2` is no list of the service `wieght`. */
function rejectMistypedCommand(servers: Command, service: string | undefined): void {
  if (service === undefined || service.includes('.')) return;
  const near = closest(
    service,
    servers.commands.map(command => command.name()),
  );
  if (near === undefined) return;
  throw new CliError(`unknown command '${service}'; did you mean 'heapmesh servers ${near}'?`, Exit.USAGE);
}
