/** One page with everything: tables and plots, without any resource from elsewhere. */
import type { Cell, Experiment } from '../experiment.ts';
import type { RunResult } from '../tally.ts';
import { heatPlot, isPlotted, latencyPlot, loadPlot } from './plots.ts';
import { escapeText } from './svg.ts';

const STYLE = `body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}tr.subject td{font-weight:600}svg{max-width:100%;height:auto;display:block;margin:1rem 0}
details{margin:.5rem 0}summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#fff}}`;

export function renderPage(
  experiment: Experiment,
  results: readonly RunResult[],
  cells: readonly Cell[],
  subject: string,
  command: string,
): string {
  const sections = experiment.scenarios.map(scenario => {
    const plotted = results.filter(result => result.scenario === scenario.name).filter(isPlotted);
    const most = Math.max(
      8,
      ...plotted.filter(result => result.policy === subject).flatMap(({ plot }) => plot.inFlight.flat()),
    );
    const own = cells.filter(cell => cell.scenario === scenario.name);
    const details = plotted.map(
      result =>
        `<details${result.policy === subject ? ' open' : ''}><summary>${escapeText(result.policy)}: load by server</summary>${loadPlot(result.policy, result)}${heatPlot(`${result.policy}, heat map`, result, most)}</details>`,
    );
    return `<section><h2>${escapeText(scenario.name)}</h2><p>${escapeText(scenario.about)}.</p>${tableOf(own, subject)}${
      plotted.length === 0 ? '' : latencyPlot(`${scenario.name}: latency`, plotted)
    }${details.join('')}</section>`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>heapmesh sim</title><style>${STYLE}</style></head><body><h1>heapmesh sim</h1><p>${experiment.seeds.length} seeds, from ${experiment.seeds[0]}. Plots are of the first. Latencies in ms. The last column is the p99 of ${escapeText(subject)} over that of the policy, paired by seed, with its 95 % interval; below 1 ${escapeText(subject)} is better.</p><p><code>${escapeText(command)}</code></p>${sections.join('')}</body></html>\n`;
}

function tableOf(cells: readonly Cell[], subject: string): string {
  const head = ['policy', 'mean', 'p50', 'p99', 'p99.9', 'queueing p99', 'failed', `${subject} / this`];
  const rows = cells.map(({ policy, figures, subjectRatio }) => {
    const { mean, low, high } = subjectRatio.p99;
    const interval = Number.isNaN(low) ? '' : ` (${low.toFixed(2)}–${high.toFixed(2)})`;
    const values = [
      escapeText(policy),
      ...[figures.mean, figures.p50, figures.p99, figures.p999, figures.queueing99].map(each =>
        each.mean.toFixed(each.mean < 100 ? 1 : 0),
      ),
      figures.failed.mean === 0 ? '0' : `${(figures.failed.mean * 100).toPrecision(2)} %`,
      policy === subject || Number.isNaN(mean) ? '' : `${mean.toFixed(2)}${interval}`,
    ];
    const cellsOf = values.map(value => `<td>${value}</td>`).join('');
    return `<tr${policy === subject ? ' class="subject"' : ''}>${cellsOf}</tr>`;
  });
  const titles = head.map(title => `<th scope="col">${escapeText(title)}</th>`).join('');
  return `<table><thead><tr>${titles}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}
