/** Durations and sizes as people write them: `250ms`, `1m30s`, `64KiB`. */

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;
const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(DURATION_PART))
    ms += Number(amount) * (MS_PER_UNIT[unit ?? ''] ?? 0);
  return ms;
}

/** The shortest way to write it: 90000 is `1m30s`, 1500 is `1.5s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 1_000) return `${Number(ms.toFixed(3))}ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(3))}s`;
  const [large, small, unit, lesser] =
    ms < 3_600_000 ? ([60_000, 1_000, 'm', 's'] as const) : ([3_600_000, 60_000, 'h', 'm'] as const);
  const rest = Number(((ms % large) / small).toFixed(3));
  return `${Math.floor(ms / large)}${unit}${rest === 0 ? '' : `${rest}${lesser}`}`;
}

const SIZE = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)$/;
const OCTETS_PER_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Octets; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = SIZE.exec(text) ?? [];
  return unit === undefined ? undefined : Math.round(Number(amount) * (OCTETS_PER_UNIT[unit] ?? 0));
}
