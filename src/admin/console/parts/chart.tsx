/** A chart over time; its figures stand in the legend too, for who cannot see the lines. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { HistoryPoints } from '../../wire.ts';
import { clock } from '../format.ts';

export interface Line {
  readonly name: string;
  readonly label: string;
  /** A colour of the style sheet. */
  readonly tone: string;
  readonly isDashed?: boolean;
}

interface ChartProps {
  readonly title: string;
  readonly points: HistoryPoints | undefined;
  readonly lines: readonly Line[];
  readonly format: (value: number | null) => string;
  readonly theme: string;
  /** What the scale reaches at least. */
  readonly least?: number;
  readonly problem?: string;
}

const HEIGHT = 148;

/** As `canvas` takes it: a variable of the style sheet may be made of others. */
function colour(name: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** What the axis of time covers at least: the first points shall not fill it, and jump as more come. */
const SPAN_S = 60;

function spanOf(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  const end = high ?? Date.now() / 1000;
  return [Math.min(low ?? end, end - SPAN_S), end];
}

function optionsFor(
  { lines, format, least = 1 }: ChartProps,
  width: number,
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const grid = { stroke: colour('line'), width: 1 };
  const axis = { stroke: colour('muted'), font: '11px system-ui, sans-serif', grid, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    padding: [8, 28, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false }, sync: { key: 'heapmesh' } },
    scales: {
      x: { time: true, range: spanOf },
      y: { range: (_, _low, high) => [0, Math.max(least, (high ?? 0) * 1.08)] },
    },
    axes: [
      {
        ...axis,
        space: 64,
        size: 24,
        values: (_, times) => times.map(time => clock(time * 1000)),
      },
      {
        ...axis,
        space: 34,
        size: 54,
        values: (_, values) => values.map(value => (value === 0 ? '0' : format(value))),
      },
    ],
    series: [
      {},
      ...lines.map(line => ({
        label: line.label,
        stroke: colour(line.tone),
        width: 1.6,
        points: { show: false },
        ...(line.isDashed === true ? { dash: [5, 4] } : {}),
      })),
    ],
    hooks: { setCursor: [plot => onCursor(plot.cursor.idx ?? null)] },
  };
}

export function Chart(props: ChartProps) {
  const { title, points, lines, format, theme, problem = '' } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const data = useMemo<uPlot.AlignedData>(
    () => [
      (points?.times ?? []).map(time => time / 1000),
      ...lines.map(({ name }) => [...(points?.values[name] ?? [])]),
    ],
    [points, lines],
  );
  // Colours are read where it is made, so that another theme makes it anew.
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const made = new uPlot(optionsFor(props, Math.max(120, element.clientWidth), setCursor), data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, lines]);
  useEffect(() => plot.current?.setData(data), [data]);

  const times = points?.times ?? [];
  const at = cursor !== null && cursor < times.length ? cursor : times.length - 1;
  const told = lines
    .map(({ name, label }) => `${label} ${format(points?.values[name]?.[at] ?? null)}`)
    .join(', ');
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">
          {cursor !== null && times[at] !== undefined ? clock(times[at]) : title}
        </span>
        <span class="legend">
          {lines.map(line => (
            <span key={line.name} class="legend-item">
              <i class={`swatch tone-${line.tone}`} data-dashed={line.isDashed} />
              {line.label} <b>{format(points?.values[line.name]?.[at] ?? null)}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={place} class="plot" role="img" aria-label={`${title}: ${told}`} />
      {times.length < 2 && <p class="chart-empty">{problem === '' ? 'no figures yet' : problem}</p>}
    </figure>
  );
}
