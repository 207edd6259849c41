/** Figures for people: short, and of a width that does not jump. */

/** Where nothing is known. */
const NONE = '–';

type Figure = number | null | undefined;

const known = (value: Figure): value is number =>
  value !== null && value !== undefined && Number.isFinite(value);

export function duration(ms: Figure): string {
  if (!known(ms)) return NONE;
  const size = Math.abs(ms);
  if (size >= 60_000) return `${Math.floor(ms / 60_000)} min`;
  if (size >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
  if (size >= 1_000) return `${(ms / 1000).toFixed(1)} s`;
  if (size >= 100 || size < 0.005) return `${ms.toFixed(0)} ms`;
  return size >= 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(2)} ms`;
}

/** A time that has gone by: coarser, the longer it is. */
export function age(ms: Figure): string {
  if (!known(ms)) return NONE;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

const GROUPED = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export function count(value: Figure): string {
  return known(value) ? GROUPED.format(value) : NONE;
}

/** A rate or another number that may be small. */
export function number(value: Figure): string {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 100_000) return `${(value / 1000).toFixed(0)}k`;
  if (size >= 10_000) return `${(value / 1000).toFixed(1)}k`;
  // What is whole but for the rounding of sums is shown as whole.
  if (size >= 100 || Math.abs(value - Math.round(value)) < 0.005) return GROUPED.format(value);
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function percent(fraction: Figure): string {
  if (!known(fraction)) return NONE;
  const value = fraction * 100;
  return `${value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

export function bytes(value: Figure): string {
  if (!known(value)) return NONE;
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (value >= size) return `${(value / size).toFixed(1)} ${unit}`;
  }
  return `${value.toFixed(0)} B`;
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export const clock = (time: number): string => CLOCK.format(time);
export const day = (time: number): string => DAY.format(time);

/** The most of a name that fits: its end tells servers apart more often than its beginning. */
export function fit(name: string, most: number): string {
  if (name.length <= most) return name;
  const head = Math.max(1, Math.floor((most - 1) / 3));
  return `${name.slice(0, head)}…${name.slice(name.length - (most - 1 - head))}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
