/** Bars of figures as SVG, by hand: a group a shape, a bar a proxy. */
import { median, type Row } from './figures.ts';

const COLOURS = ['#1f6f5c', '#7fb8a4', '#c8553d', '#e0a458', '#4f6d94', '#8d8d8d'];
const WIDTH = 760;
const LEFT = 190;
const BAR = 16;
const GAP = 14;
const TOP = 64;

/** `rows` of one unit. Their scale is linear and begins at 0. */
export function barChart(title: string, rows: readonly Row[]): string {
  const proxies = [...new Set(rows.map(({ proxy }) => proxy))];
  const shapes = [...new Set(rows.map(({ shape }) => shape))];
  const most = Math.max(...rows.map(({ values }) => median(values)));
  const parts: string[] = [];
  let y = TOP;
  for (const shape of shapes) {
    const group = rows.filter(row => row.shape === shape);
    const middle = y + (group.length * BAR) / 2 + 4;
    parts.push(`<text x="${LEFT - 10}" y="${middle}" text-anchor="end">${escaped(shape)}</text>`);
    for (const { proxy, values, unit } of group) {
      const value = median(values);
      const width = Math.max(1, ((WIDTH - LEFT - 90) * value) / most);
      const colour = COLOURS[proxies.indexOf(proxy) % COLOURS.length];
      parts.push(
        `<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" fill="${colour}"/>`,
        `<text x="${(LEFT + width + 6).toFixed(1)}" y="${y + BAR - 5}">${value.toPrecision(3)} ${escaped(unit)}</text>`,
      );
      y += BAR;
    }
    y += GAP;
  }
  let x = LEFT;
  for (const [index, proxy] of proxies.entries()) {
    parts.push(
      `<rect x="${x}" y="38" width="11" height="11" fill="${COLOURS[index % COLOURS.length]}"/>`,
      `<text x="${x + 16}" y="48">${escaped(proxy)}</text>`,
    );
    x += 34 + 7.5 * proxy.length;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 6}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="24" font-size="15" font-weight="bold">${escaped(title)}</text>
${parts.join('\n')}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
