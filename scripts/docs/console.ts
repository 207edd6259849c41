/** Pictures of the console: a balancer with servers at work, looked at by Chromium. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium, type Page } from 'playwright-core';
import { compose } from '../../src/cli/compose.ts';
import { DemoBackend, DemoCallers } from '../../src/cli/demo/processes.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/telemetry/telemetry.ts';
import { ROOT } from '../lib/project.ts';
import { ensureTools, toolPath } from '../tools/install.ts';

const SETTINGS = `
instance: { id: lb-1 }
proxy: { listen: 127.0.0.1:0 }
control: { listen: 127.0.0.1:0 }
admin: { listen: 127.0.0.1:0 }
pools: [{ service: '*', retry: { codes: [UNAVAILABLE], attempts: 3 } }]
`;
/** Servers of unequal speed; a call's mean time, ms. */
const SERVICE_MS = [20, 20, 25, 20, 30, 80, 20, 25, 40];
const RATE = 150;
/** Beyond the 10 s of warm-up, and until the charts have some length. */
const WORK_S = 50;
const SIZE = { width: 1_360, height: 940 };

/** Takes the pictures into `docs/images`; returns their paths. */
export async function consolePictures(): Promise<string[]> {
  await ensureTools(['chromium']);
  // Before there are calls, since its start would take the processor from them.
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'];
  const browser = await chromium.launch({ executablePath: toolPath('chromium'), args });
  const { config } = loadConfig(SETTINGS, { file: 'pictures', hostname: 'lb-1' });
  const logger = createLogger({ level: 'error', instance: 'lb-1', output: process.stderr, colours: false });
  const balancer = await compose(config, { logger });
  const backends = [...SERVICE_MS, 20].map((serviceMs, i) => {
    const standby = i === SERVICE_MS.length;
    const id = standby ? 'spare-1' : `${serviceMs > 30 ? 'slow' : 'echo'}-${i + 1}`;
    return new DemoBackend(
      { id, balancer: balancer.addresses.control, serviceMs, slots: 4, standby },
      () => {},
    );
  });
  const callers = new DemoCallers(() => {});
  try {
    await Promise.all([callers.start(), ...backends.map(backend => backend.start())]);
    callers.route({ via: 'proxy', address: balancer.addresses.proxy });
    callers.rate(RATE);
    await sleep(WORK_S * 1_000);
    // Something to tell of: the standby takes its place.
    await backends[6]?.stop('SIGKILL');
    await sleep(4_000);
    return await look(browser, `http://${balancer.addresses.admin}/`);
  } finally {
    await browser.close();
    await callers.stop();
    await Promise.all(backends.map(backend => backend.stop('SIGKILL')));
    await balancer.close();
  }
}

async function look(browser: Browser, url: string): Promise<string[]> {
  const light = await browser.newPage({ viewport: SIZE, colorScheme: 'light', reducedMotion: 'reduce' });
  const dark = await browser.newPage({ viewport: SIZE, colorScheme: 'dark', reducedMotion: 'reduce' });
  return [
    await take(light, url, 'docs/images/console.png'),
    await take(dark, `${url}#/overview?backend=slow-6`, 'docs/images/console-dark.png'),
  ];
}

async function take(page: Page, url: string, path: string): Promise<string> {
  await page.goto(url);
  await page.locator('.live.ok').waitFor();
  await page.locator('.u-over').first().waitFor();
  await page.locator('.events').waitFor();
  await sleep(1_500);
  await page.screenshot({ path: join(ROOT, path) });
  return path;
}
