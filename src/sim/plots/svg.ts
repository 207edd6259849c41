/** The little of SVG that the plots need. Coordinates are pixels; text comes escaped. */

/** Colours that people with any colour vision tell apart (Okabe and Ito), ours first. */
const COLOURS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#8a6d3b',
  '#666666',
  '#aa3377',
  '#117733',
];

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] as string;
}

export function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A picture of its own: works in a page and as a file. */
export function picture(width: number, height: number, title: string, body: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeText(title)}" font-family="system-ui, sans-serif" font-size="12"><rect width="${width}" height="${height}" fill="#ffffff"/><text x="12" y="20" font-size="14" font-weight="600" fill="#222222">${escapeText(title)}</text>${body}</svg>`;
}

export function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" fill="#444444" ${attributes}>${escapeText(content)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}"/>`;
}

export function polyline(
  points: readonly (readonly [number, number])[],
  colour: string,
  width = 1.5,
): string {
  let path = '';
  let last: readonly [number, number] | undefined;
  points.forEach((point, n) => {
    // What is less than a pixel from the last one is not seen.
    const near = last !== undefined && Math.abs(point[0] - last[0]) + Math.abs(point[1] - last[1]) < 1;
    if (near && n < points.length - 1) return;
    last = point;
    path += `${path === '' ? '' : ' '}${round(point[0])},${round(point[1])}`;
  });
  return `<polyline fill="none" stroke="${colour}" stroke-width="${width}" stroke-linejoin="round" points="${path}"/>`;
}

export function rectangle(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${fill}"/>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Round numbers that divide a range into about so many parts. */
export function ticks(low: number, high: number, about: number): number[] {
  const raw = (high - low) / about;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(each => each >= raw) ?? raw;
  const marks: number[] = [];
  for (let mark = Math.ceil(low / step) * step; mark <= high + step / 1e6; mark += step) marks.push(mark);
  return marks;
}

/** 1, 2, 5, 10 ... within a range above 0. */
export function logTicks(low: number, high: number): number[] {
  const marks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of [1, 2, 5]) {
      const mark = factor * 10 ** power;
      if (mark >= low && mark <= high) marks.push(mark);
    }
  }
  return marks;
}
