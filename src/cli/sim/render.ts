/** Results as tables for the terminal. */
import type { Cell, Estimate, Experiment } from '../../sim/sim.ts';
import type { Paint } from '../render/style.ts';
import { renderTable, type Cell as TableCell } from '../render/table.ts';

const COLUMNS = [
  { title: 'POLICY' },
  { title: 'MEAN', align: 'right' },
  { title: 'P50', align: 'right' },
  { title: 'P99', align: 'right' },
  { title: 'P99.9', align: 'right' },
  { title: 'QUEUEING P99', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'SUBJECT / THIS', align: 'right' },
] as const;

/** One table a scenario. */
export function renderCells(
  experiment: Experiment,
  cells: readonly Cell[],
  subject: string,
  paint: Paint,
): string {
  return experiment.scenarios
    .map(scenario => {
      const rows = cells.filter(cell => cell.scenario === scenario.name).map(cell => rowOf(cell, subject));
      return `${paint('bold', scenario.name)}: ${scenario.about}\n${renderTable(COLUMNS, rows, paint)}`;
    })
    .join('\n\n');
}

function rowOf(cell: Cell, subject: string): TableCell[] {
  const { mean, p50, p99, p999, queueing99, failed } = cell.figures;
  return [
    cell.policy === subject ? { text: cell.policy, style: 'bold' } : cell.policy,
    ms(mean),
    ms(p50),
    ms(p99),
    ms(p999),
    ms(queueing99),
    share(failed.mean),
    cell.policy === subject ? '' : ratio(cell.subjectRatio.p99),
  ];
}

function ms({ mean }: Estimate): string {
  return mean < 100 ? mean.toFixed(1) : mean.toFixed(0);
}

function share(value: number): string {
  return value === 0 ? '0' : `${(value * 100).toPrecision(2)} %`;
}

function ratio({ mean, low, high }: Estimate): string {
  if (Number.isNaN(mean)) return '';
  const digits = (value: number): string => value.toFixed(value < 0.1 ? 3 : 2);
  return Number.isNaN(low) ? digits(mean) : `${digits(mean)} (${digits(low)}–${digits(high)})`;
}
