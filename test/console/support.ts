/** A browser, a balancer whose console it shows, and what tests look at on its pages. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { toolPath } from '../../scripts/tools/install.ts';
import { type Balancer, compose } from '../../src/cli/compose.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Logger } from '../../src/telemetry/telemetry.ts';

export const SERVICE = 'echo.v1.EchoService';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser: Promise<Browser> | undefined;
after(async () => (await browser)?.close());

type Settings = Readonly<Record<string, unknown>>;

export interface Board extends Balancer {
  /** Of the page. */
  readonly url: string;
  /** Ends it, as at a restart; the next `startBoard` may take its address. */
  stop(): Promise<void>;
}

const SILENT: Logger = {
  info() {},
  warn() {},
  debug() {},
  error: (message, fields) => assert.fail(`${message} ${JSON.stringify(fields)}`),
  level: 'info',
  setLevel() {},
};

/** Starts a balancer until the test ends. */
export async function startBoard(
  t: TestContext,
  settings: Settings = {},
  address = '127.0.0.1:0',
): Promise<Board> {
  const listen = { listen: '127.0.0.1:0' };
  const admin = { listen: address, ...(settings.admin as object | undefined) };
  // Nobody is to find out that servers without a process behind them do not answer.
  const health = { check: 'none' };
  const text = JSON.stringify({ health, ...settings, proxy: listen, control: listen, admin });
  const { config } = loadConfig(text, { file: 'test', hostname: 'lb-1' });
  const balancer = await compose(config, { logger: SILENT });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= balancer.close();
    return stopped;
  };
  t.after(stop);
  return { ...balancer, url: `http://${balancer.addresses.admin}/`, stop };
}

/** Servers `PREFIX-0`, `PREFIX-1` ... that nobody can reach, for what needs no calls. */
export function servers(count: number, more: Settings = {}, prefix = 'server'): Settings[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${prefix}-${i}`,
    address: `127.0.0.1:${10_000 + i}`,
    services: [SERVICE],
    ...more,
  }));
}

/** Reports for all servers, as if they were at work. */
export function report(board: Board, of: (at: number) => { inFlight: number; utilization: number }): void {
  const { mesh } = board;
  let at = 0;
  for (const view of mesh.registry.list()) {
    const sample = { ...of(at++), rps: 50, eps: 0, windowMs: 1_000 };
    mesh.report(mesh.slotOf(view.spec.id), sample, mesh.now());
  }
}

export interface Opened {
  readonly page: Page;
  /** Errors of the page, among them what its security policy has blocked. */
  readonly faults: string[];
  /** Addresses of all requests. */
  readonly requests: string[];
}

export interface Sight {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
}

/** Opens a page until the test ends; at its end it must not have had errors. */
export async function open(
  t: TestContext,
  url: string,
  { width = 1_440, height = 900, scheme = 'light' }: Sight = {},
): Promise<Opened> {
  browser ??= chromium.launch({ executablePath: toolPath('chromium'), args: FLAGS });
  const context = await (await browser).newContext({
    viewport: { width, height },
    colorScheme: scheme,
    // What moves is drawn by the processor here, which the tests need.
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const faults: string[] = [];
  const requests: string[] = [];
  page.on('pageerror', error => faults.push(error.message));
  page.on('console', message => {
    // Those of the network are of balancers that end, and of requests that are refused, as tests want it.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load'))
      faults.push(message.text());
  });
  page.on('request', request => requests.push(request.url()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });
  await page.goto(url);
  await page.locator('.live.ok').waitFor();
  return { page, faults, requests };
}

/** The row of a server in the table. */
export const row = (page: Page, id: string) =>
  page.locator('[role=row]', { has: page.locator('.name', { hasText: new RegExp(`^${id}$`) }) });

/** The node of a server in the picture of the heap. */
export const node = (page: Page, id: string) => page.locator(`.node[data-id="${id}"]`);

export async function textOf(place: Locator): Promise<string> {
  return (await place.textContent()) ?? '';
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds on the page as it is: rule, and where. */
export async function accessibility(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  // Colours that are on their way are of neither theme.
  await page.evaluate('Promise.all(document.getAnimations().map(each => each.finished.catch(() => {})))');
  const violations = (await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => html.slice(0, 160) + ' ' + failureSummary) })))",
  )) as { id: string; nodes: string[] }[];
  return violations.flatMap(({ id, nodes }) => nodes.slice(0, 3).map(where => `${id}: ${where}`));
}

/** Resolves when something is so; what it waits for has no event. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what} is not so after 15 s`);
    await sleep(20);
  }
}
