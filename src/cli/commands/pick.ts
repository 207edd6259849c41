/** `heapmesh pick`. */
import { InvalidArgumentError, Option } from 'commander';
import type { PickServerResponse } from '../../gen/heapmesh/v1/lookaside.ts';
import { durationOf } from '../../grpc/duration.ts';
import { Status } from '../../grpc/status.ts';
import type { Io, Register } from '../cli.ts';
import type { Control, ControlOptions } from '../control.ts';
import { addControlOptions, type OutputFormat, outputOption, printJson, readCount } from '../options.ts';
import { renderBar } from '../render/bar.ts';
import { formatPercent, plural } from '../render/format.ts';
import { formatScore } from '../render/score.ts';
import { clean, type Paint, paintFor } from '../render/style.ts';
import { renderTable } from '../render/table.ts';
import { stateName } from '../server-view.ts';
import { withControl } from '../with-control.ts';

/** A command line is no load generator; leases of all picks are open at once. */
const MOST_PICKS = 10_000;

interface PickOptions extends ControlOptions {
  readonly output: OutputFormat;
  readonly count: number;
  readonly hashKey?: string;
  readonly zone?: string;
  readonly exclude?: string[];
}

export const register: Register = (program, io) => {
  const command = program
    .command('pick')
    .summary('ask where a call should go')
    .description(
      'Asks the balancer for a backend with PickServer, as a caller would. With -n, picks several times one after another, holding every lease, and prints how the picks spread. All leases are given back in the end, as calls that were cancelled: they say nothing of the backends.',
    )
    .argument('<service>', 'a fully qualified service name')
    .addOption(new Option('-n, --count <number>', 'picks').argParser(readCount(1, MOST_PICKS)).default(1))
    .option('--hash-key <key>', 'same key, same backend, as long as its load is within bounds')
    .option('--zone <zone>', "the caller's zone")
    .option(
      '--exclude <id>',
      'not this backend; several with commas between, or given several times',
      readIds,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh pick echo.v1.EchoService\n  heapmesh pick echo.v1.EchoService -n 100\n  heapmesh pick echo.v1.EchoService --hash-key user-7 --exclude a,b',
    );
  addControlOptions(command)
    .addOption(outputOption())
    .action(async (service: string, options: PickOptions) => {
      await withControl(options, async control => {
        const picks: PickServerResponse[] = [];
        try {
          for (let i = 0; i < options.count; i++) picks.push(await pickOne(control, service, options));
        } finally {
          await giveBack(control, picks);
        }
        print(io, service, picks, options);
      });
    });
};

function readIds(text: string, earlier: string[] | undefined): string[] {
  const ids = [...(earlier ?? []), ...text.split(',')];
  if (ids.includes('')) throw new InvalidArgumentError('Expected ids with commas between.');
  return ids;
}

function pickOne(control: Control, service: string, options: PickOptions): Promise<PickServerResponse> {
  const request = {
    service,
    excludeIds: options.exclude ?? [],
    hashKey: options.hashKey ?? '',
    zone: options.zone ?? '',
  };
  return control.call(call => control.lookaside.pickServer(request, call));
}

/** Completes leases without blaming or praising anyone. */
async function giveBack(control: Control, picks: readonly PickServerResponse[]): Promise<void> {
  if (picks.length === 0) return;
  const outcomes = picks.map(({ leaseId }) => ({
    leaseId,
    grpcStatus: Status.CANCELLED,
    latency: durationOf(0),
    inProgress: false,
  }));
  async function* stream() {
    yield* outcomes;
  }
  await control.call(call => control.lookaside.reportOutcomes(stream(), call));
}

interface Share {
  readonly id: string;
  readonly address: string;
  readonly picks: number;
}

function sharesOf(picks: readonly PickServerResponse[]): Share[] {
  const shares = new Map<string, Share>();
  for (const { server } of picks) {
    const id = server?.id ?? '';
    const before = shares.get(id);
    shares.set(id, { id, address: server?.address ?? '', picks: (before?.picks ?? 0) + 1 });
  }
  return [...shares.values()].sort((a, b) => b.picks - a.picks || a.id.localeCompare(b.id));
}

function print(io: Io, service: string, picks: readonly PickServerResponse[], options: PickOptions): void {
  const shares = sharesOf(picks);
  if (options.output === 'json') {
    const first = picks[0];
    const state = first?.server === undefined ? null : stateName(first.server.state);
    printJson(
      io,
      options.count === 1
        ? { service, ...shares[0], state, score: first?.server?.score, instanceId: first?.instanceId }
        : { service, picks: picks.length, servers: shares },
    );
    return;
  }
  const paint = paintFor(io.stdout, io.env);
  const [first] = picks;
  if (options.count === 1 && first?.server !== undefined) {
    const { id, address, score, state } = first.server;
    const about = `${stateName(state).toLowerCase()}, score ${formatScore(score)}, by instance ${clean(first.instanceId)}`;
    io.stdout.write(`${paint('bold', clean(id))}  ${clean(address)}  ${paint('dim', about)}\n`);
    return;
  }
  io.stdout.write(
    `${renderShares(shares, paint)}\n${paint('dim', `${plural(picks.length, 'pick')} of ${clean(service)}`)}\n`,
  );
}

/** How picks spread over servers. */
export function renderShares(shares: readonly Share[], paint: Paint): string {
  const total = shares.reduce((sum, share) => sum + share.picks, 0);
  const rows = shares.map(({ id, address, picks }) => {
    const bar = renderBar(picks / total, 20, (_style, text) => text);
    return [
      { text: id, style: 'bold' as const },
      address,
      String(picks),
      formatPercent(picks / total),
      { text: bar, style: 'cyan' as const },
    ];
  });
  const columns = [
    { title: 'SERVER' },
    { title: 'ADDRESS' },
    { title: 'PICKS', align: 'right' as const },
    { title: 'SHARE', align: 'right' as const },
    { title: '' },
  ];
  return renderTable(columns, rows, paint);
}
