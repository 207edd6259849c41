/** `heapmesh instances`. */
import { millisOf } from '../../grpc/duration.ts';
import type { Register } from '../cli.ts';
import type { ControlOptions } from '../control.ts';
import { addControlOptions, type OutputFormat, outputOption, printJson } from '../options.ts';
import { formatAge } from '../render/format.ts';
import { paintFor } from '../render/style.ts';
import { type Column, renderTable } from '../render/table.ts';
import { withControl } from '../with-control.ts';

const COLUMNS: readonly Column[] = [
  { title: 'INSTANCE', shrinkTo: 8 },
  { title: 'CONTROL' },
  { title: 'PROXY' },
  { title: 'STATE' },
  { title: 'HEARD OF', align: 'right' },
];

export const register: Register = (program, io) => {
  const command = program
    .command('instances')
    .summary('list the balancers of this mesh')
    .description(
      'Lists the balancers of this mesh as the one that is asked knows them: its peers, or those that share its log.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh instances\n  heapmesh instances --control 10.0.0.5:4701 -o json',
    );
  addControlOptions(command)
    .addOption(outputOption())
    .action(async (options: ControlOptions & { readonly output: OutputFormat }) => {
      await withControl(options, async control => {
        const { instances, sharedLog } = await control.instances();
        const views = instances.map(({ id, controlAddress, proxyAddress, alive, silentFor }) => ({
          id,
          control: controlAddress,
          proxy: proxyAddress,
          alive,
          silentMs: silentFor === undefined ? null : millisOf(silentFor),
        }));
        if (options.output === 'json') return printJson(io, { sharedLog, instances: views });
        const rows = views.map((view, i) => [
          { text: view.id || '-', style: 'bold' as const },
          view.control,
          view.proxy || '-',
          view.alive ? { text: 'alive', style: 'green' as const } : { text: 'silent', style: 'red' as const },
          i === 0 ? 'this one' : view.silentMs === null ? 'never' : `${formatAge(view.silentMs)} ago`,
        ]);
        const width = io.stdout.isTTY ? io.stdout.columns : undefined;
        const sharing = sharedLog ? 'They share a log.' : 'Each keeps a log of its own.';
        io.stdout.write(`${renderTable(COLUMNS, rows, paintFor(io.stdout, io.env), width)}\n`);
        if (views.length > 1) io.stdout.write(`${sharing}\n`);
      });
    });
};
