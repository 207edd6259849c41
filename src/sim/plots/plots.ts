/** Plots of runs of one scenario with one seed: where latency lies, and where the load was. */
import type { RunResult } from '../tally.ts';
import { colourOf, type Frame, line, logTicks, picture, polyline, rectangle, text, ticks } from './svg.ts';

type Plotted = RunResult & { readonly plot: NonNullable<RunResult['plot']> };

export function isPlotted(result: RunResult): result is Plotted {
  return result.plot !== undefined;
}

/** Shares of calls above a latency, both on a logarithmic scale: tails can be told apart. */
export function latencyPlot(title: string, results: readonly Plotted[]): string {
  const frame: Frame = { width: 740, height: 364, left: 56, top: 44, right: 206, bottom: 44 };
  const steps = (results[0]?.plot.cdf.length ?? 1) - 1;
  const low = 1;
  const high = Math.max(low * 10, ...results.map(({ plot }) => plot.cdf[steps - 1] as number));
  const wide = frame.width - frame.left - frame.right;
  const tall = frame.height - frame.top - frame.bottom;
  const x = (ms: number): number =>
    frame.left + (wide * Math.log(Math.max(low, Math.min(high, ms)) / low)) / Math.log(high / low);
  const least = 1 / steps;
  const y = (share: number): number =>
    frame.top + (tall * Math.log(Math.max(least, share))) / Math.log(least);
  const parts: string[] = [];
  for (const share of [1, 0.1, 0.01, 0.001]) {
    parts.push(line(frame.left, y(share), frame.left + wide, y(share), '#dddddd'));
    parts.push(text(frame.left - 8, y(share) + 4, `${share * 100} %`, 'text-anchor="end"'));
  }
  for (const mark of logTicks(low, high)) {
    parts.push(line(x(mark), frame.top, x(mark), frame.top + tall, '#eeeeee'));
    parts.push(text(x(mark), frame.top + tall + 16, `${mark}`, 'text-anchor="middle"'));
  }
  parts.push(text(frame.left + wide / 2, frame.height - 10, 'latency, ms', 'text-anchor="middle"'));
  parts.push(text(frame.left, frame.top - 4, 'calls that took longer'));
  results.forEach(({ plot }, index) => {
    const points = plot.cdf.slice(0, steps).map((ms, step) => [x(ms), y(1 - step / steps)] as const);
    parts.push(polyline(points, colourOf(index), index === 0 ? 2.5 : 1.5));
  });
  parts.push(legend(results, frame.left + wide + 16, frame.top + 10));
  return picture(frame.width, frame.height, title, parts.join(''));
}

function legend(results: readonly Plotted[], left: number, top: number): string {
  return results
    .map(({ policy, p99 }, index) => {
      const at = top + index * 18;
      return (
        line(left, at - 4, left + 18, at - 4, colourOf(index)) +
        text(left + 24, at, `${policy} (p99 ${p99.toFixed(0)})`)
      );
    })
    .join('');
}

/** Calls in flight on each server over time, one curve a server. */
export function loadPlot(title: string, { plot }: Plotted): string {
  const frame: Frame = { width: 720, height: 228, left: 56, top: 44, right: 20, bottom: 40 };
  const { times, inFlight } = plot;
  const first = times[0] ?? 0;
  const last = times.at(-1) ?? 1;
  const high = Math.max(4, ...inFlight.map(series => Math.max(0, ...series)));
  const wide = frame.width - frame.left - frame.right;
  const tall = frame.height - frame.top - frame.bottom;
  const x = (ms: number): number => frame.left + (wide * (ms - first)) / Math.max(1, last - first);
  const y = (count: number): number => frame.top + tall - (tall * count) / high;
  const parts: string[] = [];
  for (const mark of ticks(0, high, 4)) {
    parts.push(line(frame.left, y(mark), frame.left + wide, y(mark), '#dddddd'));
    parts.push(text(frame.left - 8, y(mark) + 4, `${Math.round(mark)}`, 'text-anchor="end"'));
  }
  parts.push(timeAxis(frame, first, last, x));
  parts.push(text(frame.left, frame.top - 4, 'calls in flight, by server'));
  inFlight.forEach((series, server) => {
    const points = series.map((count, n) => [x(times[n] as number), y(count)] as const);
    parts.push(polyline(points, colourOf(server), 1));
  });
  return picture(frame.width, frame.height, title, parts.join(''));
}

/** Most rows of a heat map; of more servers the first ones are drawn. */
const ROWS = 40;

/** Servers by time: the darker, the more calls in flight. `most` is the darkest. */
export function heatPlot(title: string, { plot }: Plotted, most: number): string {
  const { times } = plot;
  const rows = plot.inFlight.slice(0, ROWS);
  const row = Math.max(6, Math.min(18, Math.floor(220 / Math.max(1, rows.length))));
  const frame: Frame = {
    width: 720,
    height: 36 + rows.length * row + 40,
    left: 56,
    top: 36,
    right: 20,
    bottom: 40,
  };
  const first = times[0] ?? 0;
  const last = times.at(-1) ?? 1;
  const wide = frame.width - frame.left - frame.right;
  const x = (ms: number): number => frame.left + (wide * (ms - first)) / Math.max(1, last - first);
  const cells: string[] = [];
  rows.forEach((series, server) => {
    const top = frame.top + server * row;
    if (row >= 10) cells.push(text(frame.left - 8, top + row - 4, `s${server}`, 'text-anchor="end"'));
    // Neighbours of one colour are one cell, so that the page stays small.
    let from = 0;
    for (let n = 1; n <= series.length; n++) {
      const colour = shade(series[from] as number, most);
      if (n < series.length && shade(series[n] as number, most) === colour) continue;
      const left = x(times[from] as number);
      const right = n < series.length ? x(times[n] as number) : frame.left + wide;
      cells.push(rectangle(left, top, Math.max(0.5, right - left), row - 1, colour));
      from = n;
    }
  });
  return picture(frame.width, frame.height, title, cells.join('') + timeAxis(frame, first, last, x));
}

/** From near white to dark red, in 10 steps of the square root: small differences at the low end show. */
function shade(count: number, most: number): string {
  const step = Math.round(9 * Math.sqrt(Math.min(1, count / Math.max(1, most))));
  const share = step / 9;
  const mix = (from: number, to: number): string =>
    Math.round(from + (to - from) * share)
      .toString(16)
      .padStart(2, '0');
  return `#${mix(0xf7, 0x8b)}${mix(0xf4, 0x10)}${mix(0xee, 0x1a)}`;
}

function timeAxis(frame: Frame, first: number, last: number, x: (ms: number) => number): string {
  const bottom = frame.height - frame.bottom;
  const marks = ticks(first / 1_000, last / 1_000, 8);
  return (
    marks.map(mark => text(x(mark * 1_000), bottom + 16, `${mark}`, 'text-anchor="middle"')).join('') +
    text(
      frame.left + (frame.width - frame.left - frame.right) / 2,
      frame.height - 8,
      'time, s',
      'text-anchor="middle"',
    )
  );
}
