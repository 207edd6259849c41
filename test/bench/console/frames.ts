/** Frames of a page while somebody uses it. */
import type { Page } from 'playwright-core';

export interface Frames {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** Of the page's thread: work that took 50 ms or more at a time. */
  readonly longTasks: readonly number[];
  /**
   * The most processor time that its thread took at a time, ms: what a frame would take at most on a machine that does
   * nothing else, where this one does.
   */
  readonly longestCpuMs: number;
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
  const cpu = await taskTimes(page);
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
    longestCpuMs: Math.max(0, ...(await cpu())),
    rate: deltas.length / took,
  };
}

/** https://chromium.googlesource.com/catapult/+/HEAD/tracing/docs: what of an event is read here. */
interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Processor time of the thread in it, µs. */
  readonly tdur?: number;
  readonly args: { readonly name?: string };
}

/** Begins to trace the page's browser; what it returns ends that, and has the processor time of each task of a page, ms. */
async function taskTimes(page: Page): Promise<() => Promise<number[]>> {
  const session = await page.context().newCDPSession(page);
  const events: TraceEvent[] = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  await session.send('Tracing.start', {
    traceConfig: { includedCategories: ['toplevel', 'devtools.timeline'] },
    transferMode: 'ReportEvents',
  });
  return async () => {
    const whole = new Promise(resolve => session.once('Tracing.tracingComplete', resolve));
    await session.send('Tracing.end');
    await whole;
    await session.detach();
    const threadOf = ({ pid, tid }: TraceEvent): string => `${pid}:${tid}`;
    const pages = new Set(
      events
        .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
        .map(threadOf),
    );
    return events
      .filter(event => event.ph === 'X' && event.name.endsWith('RunTask') && pages.has(threadOf(event)))
      .map(({ tdur = 0 }) => tdur / 1_000);
  };
}
