/** Horizontal bars of eighths of a character. */
import type { Paint, Style } from './style.ts';

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/**
 * A bar of exactly `width` characters. A fraction above 1 fills it and ends in `+`; null, unknown, is dots.
 *
 * @param fraction of the width that is filled.
 */
export function renderBar(fraction: number | null, width: number, paint: Paint): string {
  if (fraction === null) return paint('dim', '·'.repeat(width));
  const over = fraction > 1.005;
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8);
  let bar = '█'.repeat(eighths >> 3) + (EIGHTHS[eighths & 7] ?? '');
  if (over) bar = `${bar.slice(0, width - 1)}+`;
  return paint(heat(fraction), bar) + ' '.repeat(width - bar.length);
}

/** Green, yellow from 70 %, red from 90 %. */
function heat(fraction: number): Style {
  if (fraction >= 0.9) return 'red';
  return fraction >= 0.7 ? 'yellow' : 'green';
}
