/** Columns of text. */
import { clean, type Paint, type Style } from './style.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** May be cut with an ellipsis where the terminal is too narrow, down to this many characters. */
  readonly shrinkTo?: number;
}

/** Text with a style, or text that is painted already (`painted` shows as `text` does, and is never cut). */
export type Cell =
  | string
  | { readonly text: string; readonly style: Style }
  | { readonly text: string; readonly painted: string };

const GAP = '  ';

const textOf = (cell: Cell) => clean(typeof cell === 'string' ? cell : cell.text);

/** Characters, not code units: ids and causes may hold any. */
const lengthOf = (text: string) => [...text].length;

function fit(text: string, width: number, align: 'left' | 'right'): string {
  const length = lengthOf(text);
  if (length > width) return width <= 1 ? '…'.slice(0, width) : `${[...text].slice(0, width - 1).join('')}…`;
  return align === 'right' ? ' '.repeat(width - length) + text : text + ' '.repeat(width - length);
}

/**
 * A heading and one line a row, without a line end at the last.
 *
 * @param width of the terminal; columns that may shrink do so until the lines fit. Default: no limit.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
  width = Number.POSITIVE_INFINITY,
): string {
  const widths = columns.map((column, i) =>
    Math.max(lengthOf(column.title), ...rows.map(row => lengthOf(textOf(row[i] ?? '')))),
  );
  let excess = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (columns.length - 1) - width;
  while (excess > 0) {
    // The widest that may still give way gives way first.
    let widest = -1;
    for (const [i, column] of columns.entries()) {
      const spare = (widths[i] ?? 0) > (column.shrinkTo ?? Number.POSITIVE_INFINITY);
      if (spare && (widest < 0 || (widths[i] ?? 0) > (widths[widest] ?? 0))) widest = i;
    }
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  const line = (cells: readonly Cell[], heading: boolean) =>
    columns
      .map((column, i) => {
        const cell = cells[i] ?? '';
        const last = i === columns.length - 1 && column.align !== 'right';
        const padded = fit(textOf(cell), widths[i] ?? 0, column.align ?? 'left');
        const text = last ? padded.trimEnd() : padded;
        if (heading) return paint('dim', text);
        if (typeof cell === 'string') return text;
        return 'style' in cell ? paint(cell.style, text) : text.replace(cell.text, () => cell.painted);
      })
      .join(GAP)
      .trimEnd();
  return [
    line(
      columns.map(column => column.title),
      true,
    ),
    ...rows.map(row => line(row, false)),
  ].join('\n');
}
