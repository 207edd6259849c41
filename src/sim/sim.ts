/**
 * The simulator: backends, callers and faults under a clock of events, with the real core and with other
 * balancers as they are published. All of it comes from a seed; nothing here reads a clock or a file.
 */
export type { PolicyUnderTest } from './balancer.ts';
export {
  type Cell,
  type Experiment,
  FIGURES,
  type Figure,
  runAll,
  runsOf,
  summarize,
} from './experiment.ts';
export { renderPage } from './plots/page.ts';
export { heatPlot, isPlotted, latencyPlot, loadPlot } from './plots/plots.ts';
export { POLICIES_UNDER_TEST } from './policies.ts';
export type { Happening, Law, Scenario, ServerGroup } from './scenario.ts';
export { SCENARIOS } from './scenarios.ts';
export type { Estimate } from './statistics.ts';
export type { RunResult } from './tally.ts';
