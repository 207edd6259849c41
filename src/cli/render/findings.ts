/** Findings as a list that people read. */
import { clean, type Paint, type Style } from './style.ts';

/** What `GET /api/findings` answers. */
export interface FindingsView {
  readonly time: number;
  readonly instance: string;
  readonly seconds: number;
  readonly findings: readonly {
    readonly rule: string;
    readonly title: string;
    readonly subject: string;
    readonly severity: 'critical' | 'warning' | 'info';
    readonly scope: string;
    readonly key: string;
    readonly detail: string;
    readonly advice: string;
    readonly figures: Readonly<Record<string, number | null>>;
  }[];
}

const STYLES: Readonly<Record<string, Style>> = { critical: 'red', warning: 'yellow', info: 'cyan' };
const INDENT = 10;

/** @param width of the terminal; without one, lines are not broken */
export function renderFindings(view: FindingsView, paint: Paint, width = Number.POSITIVE_INFINITY): string {
  const of = `${view.instance}, the last ${Math.round(view.seconds)} s`;
  if (view.findings.length === 0) return `${paint('green', 'nothing found')} (${clean(of)})`;
  const lines = [paint('dim', clean(of))];
  for (const { severity, title, subject, detail, advice } of view.findings) {
    lines.push(
      '',
      `${paint(STYLES[severity] ?? 'dim', severity.padEnd(INDENT))}${paint('bold', `${clean(title)}: ${clean(subject)}`)}`,
      ...wrapped(clean(detail), width),
      ...wrapped(`→ ${clean(advice)}`, width).map(line => paint('dim', line)),
    );
  }
  return lines.join('\n');
}

function wrapped(text: string, width: number): string[] {
  const room = Math.max(30, width - INDENT);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map(each => ' '.repeat(INDENT) + each);
}
