/** Numbers and times in few characters. */

/** Three significant digits: `0.0213`, `1.5`, `214`, `12.4k`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : value < 0 ? '-inf' : '-';
  const size = Math.abs(value);
  if (size >= 999_500) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 9_995) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size !== 0 && size < 0.0001) return value.toExponential(1);
  return String(size >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

/** `45%`; unknown is a dash. */
export function formatPercent(fraction: number | null): string {
  return fraction === null ? '-' : `${Math.round(fraction * 100)}%`;
}

/** How long ago, in one or two characters and a unit: `0.3s`, `12s`, `4m`, `3h`, `2d`. */
export function formatAge(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 9_950) return `${Math.max(0, ms / 1_000).toFixed(1)}s`;
  if (ms < 99_500) return `${Math.round(ms / 1_000)}s`;
  if (ms < 5_970_000) return `${Math.round(ms / 60_000)}m`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)}h`;
  return `${Math.round(ms / 86_400_000)}d`;
}

/** A latency: `0.42 ms`, `12.3 ms`, `1.23 s`. */
export function formatLatency(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
