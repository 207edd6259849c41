/** What `heapmesh sim` writes into files: the page, and plots one by one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Cell,
  type Experiment,
  heatPlot,
  isPlotted,
  latencyPlot,
  loadPlot,
  type RunResult,
  renderPage,
} from '../../sim/sim.ts';
import { CliError } from '../cli.ts';

interface Outcome {
  readonly experiment: Experiment;
  readonly results: readonly RunResult[];
  readonly cells: readonly Cell[];
  readonly subject: string;
  /** Of the scenarios, as they were given. */
  readonly names: readonly string[];
}

export function writePlots(files: { readonly html?: string; readonly svg?: string }, outcome: Outcome): void {
  const { experiment, results, cells, subject, names } = outcome;
  try {
    if (files.html !== undefined) {
      const command = `heapmesh sim ${names.join(' ')} --policies ${experiment.policies.map(each => each.name).join(',')} --seeds ${experiment.seeds.length} --first-seed ${experiment.seeds[0]}`;
      writeFileSync(files.html, renderPage(experiment, results, cells, subject, command));
    }
    if (files.svg !== undefined) writeFolder(files.svg, outcome);
  } catch (error) {
    throw new CliError(`cannot write the plots: ${(error as Error).message}`, undefined, { cause: error });
  }
}

function writeFolder(folder: string, { experiment, results, subject }: Outcome): void {
  mkdirSync(folder, { recursive: true });
  for (const { name } of experiment.scenarios) {
    const plotted = results.filter(result => result.scenario === name).filter(isPlotted);
    const ours = plotted.filter(result => result.policy === subject);
    const most = Math.max(8, ...ours.flatMap(({ plot }) => plot.inFlight.flat()));
    const put = (what: string, svg: string): void =>
      writeFileSync(join(folder, `${fileName(`${name}-${what}`)}.svg`), `${svg}\n`);
    if (plotted.length > 0) put('latency', latencyPlot(`${name}: latency`, plotted));
    for (const result of plotted) {
      put(`load-${result.policy}`, loadPlot(`${name}: ${result.policy}`, result));
      put(`heat-${result.policy}`, heatPlot(`${name}: ${result.policy}`, result, most));
    }
  }
}

function fileName(text: string): string {
  return text.replace(/[^a-z0-9.]+/gi, '-').replace(/-+$/, '');
}
