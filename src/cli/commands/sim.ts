/** `heapmesh sim`. */
import { Option } from 'commander';
import type { Register } from '../cli.ts';
import { outputOption, readCount } from '../options.ts';
import type { SimOptions } from '../sim/sim.ts';
import { readDurations, readNames, readNumbers } from '../sim/values.ts';

const MOST_SEEDS = 1_000;
const MOST_CALLS = 100_000_000;

export const register: Register = (program, io) => {
  program
    .command('sim')
    .summary('simulate backends, callers and faults')
    .description(
      'Simulates backends, callers and faults under a clock of events, with the real core of Heapmesh and with other balancers as they are published, and compares latencies. The same seeds give the same figures on every machine. Starts no server and needs none.',
    )
    .argument('[scenario...]', 'names of built-in scenarios, YAML files, or `all`', ['half-fast'])
    .addOption(new Option('--list', 'list the built-in scenarios and the policies, and run nothing'))
    .addOption(
      new Option('--show', 'print the scenarios as YAML, to start one of your own from, and run nothing'),
    )
    .addOption(
      new Option('--policies <names>', 'policies to compare, with commas; `all` for every one')
        .argParser(readNames)
        .default(undefined, 'least-load, the usual peers and the oracle'),
    )
    .addOption(
      new Option('--subject <policy>', 'the policy whose ratio to each other one is told').default(
        'least-load',
      ),
    )
    .addOption(new Option('--seeds <count>', 'how many seeds').argParser(readCount(1, MOST_SEEDS)).default(3))
    .addOption(
      new Option('--first-seed <n>', 'the first of them').argParser(readCount(0, 2 ** 31 - 1)).default(1),
    )
    .addOption(
      new Option('--calls <count>', 'calls measured in scenarios in which nothing changes').argParser(
        readCount(100, MOST_CALLS),
      ),
    )
    .addOption(
      new Option('--balancers <counts>', 'balancers that share the calls, such as 1,4,16').argParser(
        readNumbers,
      ),
    )
    .addOption(
      new Option('--reports <durations>', 'intervals of load reports, such as 100ms,1s,5s').argParser(
        readDurations,
      ),
    )
    .addOption(
      new Option('--utilization <shares>', 'calls as shares of capacity, such as 0.5,0.8,0.95').argParser(
        readNumbers,
      ),
    )
    .addOption(
      new Option(
        '--trace <file>',
        'arrivals as recorded: a line a call, its time in ms and, optionally, a comma and the ms that serving it took',
      ),
    )
    .addOption(new Option('--html <file>', 'write one page with tables and plots; it needs no other file'))
    .addOption(new Option('--svg <folder>', 'write the plots as SVG files'))
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
A scenario with several --balancers, --reports or --utilization is run with each of them.

The figures: latency in ms as callers see it; "queueing p99" is without the time that serving a call
takes at full speed. "subject /" is the subject's p99 over this policy's with its 95 % interval, paired
by seed; below 1 the subject is better.

Examples:
  heapmesh sim --list
  heapmesh sim degrades fails-fast --seeds 5
  heapmesh sim single-slot --balancers 1,4,16 --reports 100ms,1s,5s
  heapmesh sim half-fast --policies all --html half-fast.html
  heapmesh sim one-slow --show > mine.yaml && heapmesh sim mine.yaml -o json`,
    )
    .action(async (names: string[], options: SimOptions) => {
      const { simulate } = await import('../sim/sim.ts');
      await simulate(names, options, io);
    });
};
