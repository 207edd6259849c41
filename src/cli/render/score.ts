/** A score in words: an expected wait, and the sum that it comes from. */
import { SCORE } from '../../core/score.ts';
import { formatAge, formatLatency, formatNumber, formatPercent } from './format.ts';
import { clean } from './style.ts';

/** Parts that change nothing are left out: below a twentieth of a millisecond, or of a factor's percent. */
const NOTHING_SECONDS = 0.000_05;
const NOTHING_FACTOR = 0.005;

/** @param seconds of expected wait. */
export function formatScore(seconds: number): string {
  return Number.isFinite(seconds) ? formatLatency(seconds * 1_000) : formatNumber(seconds);
}

/**
 * What a score is made of, as a sum that can be checked: `(3 own + 1.5 others' + 2) / 140 calls/s`. The 2 is
 * the score's bias towards large servers. Terms of a balancer of another version are listed as they come.
 */
export function explainScore(terms: Readonly<Record<string, number>>): string {
  const { own, others, capacity, stale = 1, failure = 0 } = terms;
  const { penalty_seconds: penalty = 0, report_age_seconds: age } = terms;
  if (own === undefined || others === undefined || capacity === undefined) {
    return Object.entries(terms)
      .map(([name, value]) => `${clean(name)} ${formatNumber(value)}`)
      .join(', ');
  }
  const calls = `${formatNumber(own)} own + ${tenths(others)} others' + ${SCORE.bias}`;
  const old = age === undefined ? '' : `, report ${formatAge(age * 1_000)} old`;
  const late = Math.abs(stale - 1) > NOTHING_FACTOR ? ` × ${formatNumber(stale)} (stale${old})` : '';
  const failed =
    penalty > NOTHING_SECONDS ? ` + ${formatScore(penalty)} for ${formatPercent(failure)} failed` : '';
  return `(${calls}) / ${formatNumber(capacity)} calls/s${late}${failed}`;
}

/** An estimate: more digits would only flicker. */
function tenths(calls: number): string {
  return calls < 100 ? calls.toFixed(1) : formatNumber(calls);
}
