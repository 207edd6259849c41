/** From what was asked for to the scenarios that are run. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../../config/config.ts';
import { renderProblem } from '../../config/problem.ts';
import { readScenario } from '../../config/scenario.ts';
import { formatDuration } from '../../config/units.ts';
import { SCENARIOS, type Scenario } from '../../sim/sim.ts';
import { readConfigFile } from '../check-config.ts';
import { CliError, Exit } from '../cli.ts';
import { clean } from '../render/style.ts';

export interface Variations {
  readonly calls?: number;
  readonly balancers?: readonly number[];
  readonly reports?: readonly number[];
  readonly utilization?: readonly number[];
  readonly trace?: string;
}

export function findScenarios(names: readonly string[], options: Variations): Scenario[] {
  const found = names.flatMap(name => {
    if (name === 'all') return SCENARIOS;
    const built = SCENARIOS.find(each => each.name === name);
    if (built !== undefined) return [built];
    if (/\.ya?ml$/i.test(name) || name === '-') return [readFile(name)];
    const known = SCENARIOS.map(each => each.name).join(', ');
    throw new CliError(`there is no scenario '${name}'; expected a YAML file or one of ${known}`, Exit.USAGE);
  });
  return found.flatMap(scenario => variationsOf(scenario, options));
}

function readFile(file: string): Scenario {
  try {
    return readScenario(readConfigFile(file), file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CliError(error.problems.map(problem => clean(renderProblem(problem))).join('; '), Exit.USAGE);
  }
}

function variationsOf(scenario: Scenario, options: Variations): Scenario[] {
  const { balancers = [scenario.balancers], reports = [scenario.reportMs] } = options;
  const { utilization = [scenario.load.utilization] } = options;
  const trace = options.trace === undefined ? scenario.load.trace : readTrace(options.trace);
  const varied: Scenario[] = [];
  for (const count of balancers) {
    for (const reportMs of reports) {
      for (const share of utilization) {
        const parts = [
          ...(options.balancers === undefined ? [] : [`${count} balancers`]),
          ...(options.reports === undefined ? [] : [`reports each ${formatDuration(reportMs)}`]),
          ...(options.utilization === undefined ? [] : [`${Math.round(share * 100)} %`]),
        ];
        varied.push({
          ...scenario,
          name: parts.length === 0 ? scenario.name : `${scenario.name} (${parts.join(', ')})`,
          balancers: count,
          reportMs,
          load: { ...scenario.load, utilization: share, ...(trace === undefined ? {} : { trace }) },
          calls: Number.isFinite(scenario.calls) ? (options.calls ?? scenario.calls) : scenario.calls,
        });
      }
    }
  }
  return varied;
}

/** Reads a recorded trace. */
function readTrace(file: string): NonNullable<Scenario['load']['trace']> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(`cannot read the trace ${file}: ${(error as Error).message}`, Exit.USAGE, {
      cause: error,
    });
  }
  const gaps: number[] = [];
  const services: number[] = [];
  let before = Number.NaN;
  for (const [n, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [time, service] = line.split(',').map(Number) as [number, number | undefined];
    const late = Number.isFinite(before) ? time >= before : time >= 0;
    if (!late || (service !== undefined && !(service >= 0))) {
      throw new CliError(
        `${file}:${n + 1}: '${line.slice(0, 40)}'; expected a time in ms, not before that of the line above, and optionally a comma and ms of service`,
        Exit.USAGE,
      );
    }
    if (Number.isFinite(before)) {
      gaps.push(time - before);
      if (service !== undefined) services.push(service);
    }
    before = time;
  }
  if (gaps.length === 0) throw new CliError(`${file} holds fewer than two calls`, Exit.USAGE);
  if (services.length !== 0 && services.length !== gaps.length) {
    throw new CliError(`${file}: some lines tell the ms of service and some do not`, Exit.USAGE);
  }
  return {
    gapMs: Float64Array.from(gaps),
    ...(services.length === 0 ? {} : { serviceMs: Float64Array.from(services) }),
  };
}
