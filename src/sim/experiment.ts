/** Scenarios × policies × seeds, and what comes out of them. */
import type { PolicyUnderTest } from './balancer.ts';
import type { Scenario } from './scenario.ts';
import { type Estimate, estimate, pairedRatio } from './statistics.ts';
import type { RunResult } from './tally.ts';
import { Simulation } from './world.ts';

export interface Experiment {
  readonly scenarios: readonly Scenario[];
  readonly policies: readonly PolicyUnderTest[];
  readonly seeds: readonly number[];
  /** Keeps what plots need, of the first seed. */
  readonly plots: boolean;
}

export function runsOf({ scenarios, policies, seeds }: Experiment): number {
  return scenarios.length * policies.length * seeds.length;
}

/** Runs one simulation after the other and yields each result. */
export function* runAll({ scenarios, policies, seeds, plots }: Experiment): Generator<RunResult> {
  for (const scenario of scenarios) {
    for (const seed of seeds) {
      for (const policy of policies) {
        const plot = plots && seed === seeds[0];
        yield new Simulation({ scenario, policy, seed, plot }).run();
      }
    }
  }
}

/** Figures of a run that are compared. */
export const FIGURES = [
  'mean',
  'p50',
  'p90',
  'p99',
  'p999',
  'queueing99',
  'failed',
  'goodput',
] as const satisfies readonly (keyof RunResult)[];
export type Figure = (typeof FIGURES)[number];

/** One policy in one scenario, over all seeds. */
export interface Cell {
  readonly scenario: string;
  readonly policy: string;
  readonly seeds: number;
  readonly figures: Readonly<Record<Figure, Estimate>>;
  /** Figures of the subject over those of this policy, paired by seed; below 1 the subject is better. */
  readonly subjectRatio: {
    readonly p99: Estimate;
    readonly p999: Estimate;
    readonly mean: Estimate;
    readonly queueing99: Estimate;
  };
  /** Mean share of the calls by server. */
  readonly shares: readonly number[];
  readonly notes: Readonly<Record<string, number>>;
}

/** Sums results up; `subject` is the policy whose ratio to each other one is told. */
export function summarize(results: readonly RunResult[], subject: string): Cell[] {
  const groups = new Map<string, RunResult[]>();
  for (const result of results) {
    const key = `${result.scenario}\n${result.policy}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [result]);
    else group.push(result);
  }
  return [...groups.values()].map(group => {
    const { scenario, policy, shares } = group[0] as RunResult;
    const against = groups.get(`${scenario}\n${subject}`) ?? [];
    const ratio = (figure: Figure): Estimate => {
      const pairs = group.flatMap(other => {
        const own = against.find(each => each.seed === other.seed);
        return own === undefined ? [] : [[own[figure], other[figure]] as const];
      });
      if (pairs.length === 0) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN };
      return pairedRatio(
        pairs.map(pair => pair[0]),
        pairs.map(pair => pair[1]),
      );
    };
    const figures = Object.fromEntries(
      FIGURES.map(figure => [figure, estimate(group.map(result => result[figure]))]),
    ) as Record<Figure, Estimate>;
    const noteNames = Object.keys(group[0]?.notes ?? {});
    return {
      scenario,
      policy,
      seeds: group.length,
      figures,
      subjectRatio: {
        p99: ratio('p99'),
        p999: ratio('p999'),
        mean: ratio('mean'),
        queueing99: ratio('queueing99'),
      },
      shares: shares.map((_, server) => meanOf(group.map(result => result.shares[server] ?? 0))),
      notes: Object.fromEntries(
        noteNames.map(name => [name, meanOf(group.map(result => result.notes[name] ?? 0))]),
      ),
    };
  });
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
