/** A line without axes: how a figure went, beside what it is. */

interface SparkProps {
  readonly values: readonly (number | null)[];
  readonly tone?: string;
}

const WIDTH = 120;
const HEIGHT = 28;

export function Spark({ values, tone = 'accent' }: SparkProps) {
  const known = values.filter(value => value !== null);
  if (known.length < 2) return <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  const most = Math.max(...known, 1e-9);
  const x = (i: number): string => ((i / (values.length - 1)) * WIDTH).toFixed(1);
  const y = (value: number): string => (HEIGHT - 2 - (value / most) * (HEIGHT - 5)).toFixed(1);
  let line = '';
  let isOn = false;
  for (const [i, value] of values.entries()) {
    if (value !== null) line += `${isOn ? 'L' : 'M'}${x(i)} ${y(value)}`;
    isOn = value !== null;
  }
  const first = values.findIndex(value => value !== null);
  const last = values.findLastIndex(value => value !== null);
  return (
    <svg
      class={`spark tone-${tone}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path class="spark-area" d={`${line}L${x(last)} ${HEIGHT}L${x(first)} ${HEIGHT}Z`} />
      <path class="spark-line" d={line} />
    </svg>
  );
}
