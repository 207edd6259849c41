/** What `heapmesh sim` does: finds the scenarios, runs them, prints and writes what comes out. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { writeScenario } from '../../config/scenario.ts';
import {
  type Experiment,
  POLICIES_UNDER_TEST,
  type PolicyUnderTest,
  type RunResult,
  runAll,
  runsOf,
  SCENARIOS,
  summarize,
} from '../../sim/sim.ts';
import { CliError, Exit, type Io } from '../cli.ts';
import { type OutputFormat, printJson } from '../options.ts';
import { paintFor } from '../render/style.ts';
import { renderTable } from '../render/table.ts';
import { writePlots } from './output.ts';
import { progressOf } from './progress.ts';
import { renderCells } from './render.ts';
import { findScenarios, type Variations } from './scenarios.ts';

export interface SimOptions extends Variations {
  readonly list?: boolean;
  readonly show?: boolean;
  readonly policies?: readonly string[];
  readonly subject: string;
  readonly seeds: number;
  readonly firstSeed: number;
  readonly html?: string;
  readonly svg?: string;
  readonly output: OutputFormat;
}

/** Compared where nothing else is asked for. */
const USUAL = [
  'least-load',
  'round-robin',
  'least-request',
  'envoy-p2c',
  'peak-ewma',
  'orca-wrr',
  'prequal-probes',
  'oracle',
];

export async function simulate(names: readonly string[], options: SimOptions, io: Io): Promise<void> {
  if (options.list === true) return list(options, io);
  const scenarios = findScenarios(names, options);
  if (options.show === true) {
    io.stdout.write(scenarios.map(writeScenario).join('---\n'));
    return;
  }
  const subject = policyNamed(options.subject);
  const policies = chosen(options);
  const experiment: Experiment = {
    scenarios,
    policies: policies.includes(subject) ? policies : [subject, ...policies],
    seeds: Array.from({ length: options.seeds }, (_, n) => options.firstSeed + n),
    plots: options.html !== undefined || options.svg !== undefined,
  };
  const results: RunResult[] = [];
  const progress = progressOf(io, runsOf(experiment));
  for (const result of runAll(experiment)) {
    results.push(result);
    progress.step(`${result.scenario}, ${result.policy}, seed ${result.seed}`);
    // A turn of the event loop, so that Ctrl-C and a closed pipe are seen.
    await nextTurn();
  }
  progress.end();
  const cells = summarize(results, subject.name);
  writePlots(options, { experiment, results, cells, subject: subject.name, names });
  if (options.output === 'json') {
    const runs = results.map(({ plot: _, ...run }) => run);
    printJson(io, { subject: subject.name, seeds: experiment.seeds, cells, runs });
  } else {
    io.stdout.write(`${renderCells(experiment, cells, subject.name, paintFor(io.stdout, io.env))}\n`);
  }
}

function list({ output }: SimOptions, io: Io): void {
  const scenarios = SCENARIOS.map(({ name, about }) => ({ name, about }));
  const policies = POLICIES_UNDER_TEST.map(({ name, kind, about }) => ({ name, kind, about }));
  if (output === 'json') {
    printJson(io, { scenarios, policies });
    return;
  }
  const paint = paintFor(io.stdout, io.env);
  const titles = (name: string) => [{ title: name }, { title: 'WHAT IT IS' }];
  const tables = [
    renderTable(
      titles('SCENARIO'),
      scenarios.map(each => [each.name, each.about]),
      paint,
    ),
    renderTable(
      titles('POLICY'),
      policies.map(each => [each.name, each.about]),
      paint,
    ),
  ];
  io.stdout.write(`${tables.join('\n\n')}\n`);
}

function chosen({ policies = USUAL }: SimOptions): PolicyUnderTest[] {
  if (policies.includes('all')) return [...POLICIES_UNDER_TEST];
  return [...new Set(policies)].map(policyNamed);
}

function policyNamed(name: string): PolicyUnderTest {
  const policy = POLICIES_UNDER_TEST.find(each => each.name === name);
  if (policy !== undefined) return policy;
  const known = POLICIES_UNDER_TEST.map(each => each.name).join(', ');
  throw new CliError(`there is no policy '${name}'; expected one of ${known}`, Exit.USAGE);
}
