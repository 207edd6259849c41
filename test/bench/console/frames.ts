/** Frames of a page while somebody uses it. */
import type { Page } from 'playwright-core';

export interface Frames {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** Of the page's thread: work that took 50 ms or more at a time. */
  readonly longTasks: readonly number[];
  /** Frames a second. */
  readonly rate: number;
}

/** Runs in the page, so it is text. */
const WATCH = `(() => {
  const watch = { deltas: [], tasks: [], on: true };
  new PerformanceObserver(list => watch.tasks.push(...list.getEntries().map(each => each.duration)))
    .observe({ entryTypes: ['longtask'] });
  let last = 0;
  const frame = now => {
    if (last > 0) watch.deltas.push(now - last);
    last = now;
    if (watch.on) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.watched = watch;
})()`;
const TAKE = '(window.watched.on = false, { deltas: window.watched.deltas, tasks: window.watched.tasks })';

/** @param use is asked again and again, with a rest between */
export async function framesOf(
  page: Page,
  seconds: number,
  use: (round: number) => Promise<void>,
): Promise<Frames> {
  await page.evaluate(WATCH);
  const end = performance.now() + seconds * 1_000;
  for (let round = 0; performance.now() < end; round++) {
    await use(round);
    await page.waitForTimeout(Math.max(0, Math.min(700, end - performance.now())));
  }
  const { deltas, tasks } = (await page.evaluate(TAKE)) as { deltas: number[]; tasks: number[] };
  const sorted = deltas.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  const took = deltas.reduce((sum, each) => sum + each, 0) / 1_000;
  return {
    medianMs: at(0.5),
    p99Ms: at(0.99),
    longestMs: sorted.at(-1) ?? Number.NaN,
    longTasks: tasks,
    rate: deltas.length / took,
  };
}
