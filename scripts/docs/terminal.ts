/** Draws what a command printed on a terminal as SVG: text and the few colours that the command uses. */

// Written with the escape character as a string: the linter takes it for a slip in an expression.
const ESCAPE = '\x1b\\[';
const MODES_AND_ERASURES = new RegExp(`${ESCAPE}(?:\\?[0-9]+[hl]|[JK])`, 'g');
const COLOUR = new RegExp(`${ESCAPE}([0-9;]*)m`);

/** What is on the screen for a while: the text between two returns to its upper left corner. */
export function framesOf(output: string): string[] {
  return output
    .split('\x1b[H')
    .slice(1)
    .map(frame => frame.replace(MODES_AND_ERASURES, '').replaceAll('\r', ''));
}

/** Of DejaVu Sans Mono and Menlo at 13 px. */
const CELL_WIDTH = 7.83;
const LINE_HEIGHT = 18;
const MARGIN = 16;
const BAR_HEIGHT = 30;

const PALETTE: Readonly<Record<number, string>> = {
  31: '#ff7b72',
  32: '#7ee787',
  33: '#e3b341',
  34: '#79c0ff',
  35: '#d2a8ff',
  36: '#76e3ea',
};
const PLAIN = '#d7dde4';
const DIM = '#8b96a3';

interface Run {
  readonly text: string;
  readonly colour: string;
  readonly bold: boolean;
}

/** Splits a line where its colours change (ECMA-48, Select Graphic Rendition). */
function runsOf(line: string): Run[] {
  const runs: Run[] = [];
  let colour = PLAIN;
  let bold = false;
  for (const [i, part] of line.split(COLOUR).entries()) {
    if (i % 2 === 0) {
      if (part !== '') runs.push({ text: part, colour, bold });
      continue;
    }
    for (const code of part.split(';').map(Number)) {
      if (code === 1) bold = true;
      else if (code === 2) colour = DIM;
      else if (code === 22) [bold, colour] = [false, PLAIN];
      else if (code === 0) [bold, colour] = [false, PLAIN];
      else colour = PALETTE[code] ?? PLAIN;
    }
  }
  return runs;
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(' ', '\u00a0');

/**
 * @param screen lines with colours.
 * @param title in the window's bar, such as the command.
 */
export function terminalSvg(screen: string, title: string): string {
  const lines = screen.trimEnd().split('\n');
  const rows = lines.map(runsOf);
  const widths = rows.map(runs => runs.reduce((sum, run) => sum + [...run.text].length, 0));
  const width = Math.ceil(Math.max(80, ...widths) * CELL_WIDTH + 2 * MARGIN);
  const height = BAR_HEIGHT + lines.length * LINE_HEIGHT + 2 * MARGIN;
  const text = rows.flatMap((runs, row) => {
    const y = BAR_HEIGHT + MARGIN + row * LINE_HEIGHT + 13;
    let column = 0;
    return runs.flatMap(({ text, colour, bold }) =>
      // Each word has a place and a length, so that columns stand below each other in whatever font there is.
      text.split(/( +)/).map(word => {
        const length = [...word].length;
        const x = MARGIN + column * CELL_WIDTH;
        column += length;
        if (word.trim() === '') return '';
        const size = `textLength="${(length * CELL_WIDTH).toFixed(1)}" lengthAdjust="spacingAndGlyphs"`;
        return `<text x="${x.toFixed(1)}" y="${y}" fill="${colour}"${bold ? ' font-weight="700"' : ''} ${size}>${escaped(word)}</text>`;
      }),
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title).replaceAll('"', '&quot;')}">`,
    `<rect width="${width}" height="${height}" rx="8" fill="#10161d"/>`,
    `<path d="M8 0h${width - 16}a8 8 0 0 1 8 8v${BAR_HEIGHT - 8}H0V8a8 8 0 0 1 8-8z" fill="#1f2933"/>`,
    ...['#ff5f57', '#febc2e', '#28c840'].map(
      (fill, i) => `<circle cx="${18 + i * 18}" cy="15" r="5.5" fill="${fill}"/>`,
    ),
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="13">`,
    `<text x="${width / 2}" y="19" fill="${DIM}" text-anchor="middle">${escaped(title)}</text>`,
    ...text.filter(each => each !== ''),
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}
