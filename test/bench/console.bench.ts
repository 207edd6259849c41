/**
 * The console with many servers that report each second: frames of its page in Chromium while it is used, and
 * how long the balancer's event loop is held up with no console open, with one, and with five.
 * Behind `--`: `--servers 1000,10000`, `--seconds 20` (of each scene), `--only page` or `--only balancer`.
 */
import { parseArgs } from 'node:util';
import { chromium, type Page } from 'playwright-core';
import { ensureTools, toolPath } from '../../scripts/tools/install.ts';
import { holds, readers, startBoard } from './console/board.ts';
import { framesOf } from './console/frames.ts';
import { BenchSuite } from './harness.ts';
import { median } from './proxy/figures.ts';
import { Cleanup } from './proxy/rig.ts';

const SERVICE = 'echo.v1.EchoService';
const VIEW = { width: 1_440, height: 900 };
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'];
/** A frame that takes longer is seen as a stutter. */
const FRAME_MS = 50;
const HOLD_MS = 10;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    servers: { type: 'string', default: '1000,10000' },
    seconds: { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
  },
});
const seconds = Number(values.seconds);
const suite = new BenchSuite('console', values.json === undefined ? [] : ['--json', values.json]);
await ensureTools(['chromium']);

interface Scene {
  readonly name: string;
  readonly tab: string;
  begin?(page: Page): Promise<void>;
  use(page: Page, round: number): Promise<void>;
}

const FILTERS = ['backend-1', 'backend-12', 'warming', '', 'backend-7 active', ''];
const header = (page: Page, name: string) =>
  page.getByRole('columnheader', { name }).getByRole('button').click();
const SCENES: readonly Scene[] = [
  { name: 'overview: heap, charts, table', tab: 'overview', async use() {} },
  {
    name: 'table, sorted by score, then others',
    tab: 'backends',
    begin: page => header(page, 'Score'),
    use: (page, round) => header(page, ['Score', 'Utilization', 'Server', 'In flight'][round % 4] as string),
  },
  {
    name: 'table, filter typed',
    tab: 'backends',
    use: (page, round) => page.getByRole('searchbox').fill(FILTERS[round % FILTERS.length] as string),
  },
  {
    name: 'table, scrolled',
    tab: 'backends',
    async begin(page) {
      await page.mouse.move(600, 500);
    },
    async use(page) {
      for (let turn = 0; turn < 10; turn++) {
        await page.mouse.wheel(0, turn < 8 ? 400 : -900);
        await page.waitForTimeout(16);
      }
    },
  },
  {
    name: 'details of a server',
    tab: 'overview',
    use: (page, round) =>
      page.evaluate(`location.hash = '#/overview?backend=backend-${round % 20}'`).then(() => {}),
  },
];

async function pages(url: string, count: number): Promise<void> {
  const browser = await chromium.launch({ executablePath: toolPath('chromium'), args: FLAGS });
  try {
    const page = await browser.newPage({ viewport: VIEW });
    for (const scene of SCENES) {
      const group = `${count} servers: ${scene.name}`;
      await page.goto('about:blank');
      await page.goto(`${url}#/${scene.tab}`);
      await page.locator('.live.ok').waitFor();
      // It has heard of all of them before it is measured; loading is no stutter.
      await page.locator(`[role=grid][aria-rowcount="${count + 1}"]`).waitFor({ timeout: 60_000 });
      await page.waitForTimeout(2_500);
      await scene.begin?.(page);
      const frames = await framesOf(page, seconds, round => scene.use(page, round));
      const tasks = frames.longTasks;
      const note = `${frames.rate.toFixed(0)} frames/s; ${tasks.length} tasks of 50 ms or more, the longest ${Math.max(0, ...tasks).toFixed(0)} ms`;
      suite.record({ group, name: 'frame, median', unit: 'ms', value: frames.medianMs });
      suite.record({ group, name: 'frame, p99', unit: 'ms', value: frames.p99Ms });
      const longest = frames.longestMs;
      suite.record({
        group,
        name: 'frame, longest',
        unit: 'ms',
        value: longest,
        target: FRAME_MS,
        reached: longest <= FRAME_MS,
        note,
      });
      const work = frames.longestCpuMs;
      suite.record({
        group,
        name: 'work of the page at a time, most',
        unit: 'ms of CPU',
        value: work,
        target: FRAME_MS,
        reached: work <= FRAME_MS,
      });
    }
  } finally {
    await browser.close();
  }
}

async function loops(url: string, count: number): Promise<void> {
  const group = `${count} servers: longest hold of the balancer's event loop`;
  for (const open of [0, 1, 5]) {
    const since = Date.now();
    // Each comes anew every few seconds, since it is at its start that a stream is told most.
    let end = readers(url, open, SERVICE);
    for (let passed = 0; passed < seconds; passed += 5) {
      await new Promise(resolve => setTimeout(resolve, 5_000));
      end();
      end = readers(url, open, SERVICE);
    }
    end();
    const { longestMs, busy } = await holds(url, since);
    const longest = Math.max(...longestMs);
    suite.record({
      group,
      name: open === 1 ? '1 console' : `${open} consoles`,
      unit: 'ms',
      value: longest,
      target: HOLD_MS,
      reached: longest <= HOLD_MS,
      note: `median of steps of 2 s ${median(longestMs).toFixed(1)} ms; busy ${(100 * median(busy)).toFixed(0)} %`,
    });
  }
}

for (const count of values.servers.split(',').map(Number)) {
  const cleanup = new Cleanup();
  try {
    const board = await startBoard(cleanup, count, (SCENES.length + 4) * (seconds + 10) + 120);
    // Behind the 10 s of warm-up.
    await new Promise(resolve => setTimeout(resolve, 14_000));
    if (values.only !== 'page') await loops(board.url, count);
    if (values.only !== 'balancer') await pages(board.url, count);
  } finally {
    await cleanup.run();
  }
}
suite.finish();
