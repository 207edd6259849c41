/** From a slow call in the console to its trace in a real Jaeger, by a click. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DemoBackend } from '../../src/cli/demo/processes.ts';
import { connectCaller, request } from '../support/h2/caller.ts';
import { startJaeger } from '../support/jaeger.ts';
import { open, SERVICE, startBoard } from './support.ts';

test('the link of a slow call leads to its trace in Jaeger; a call that was not sampled has none', async t => {
  // Nobody wants to wait for a batch to fill.
  process.env.OTEL_BSP_SCHEDULE_DELAY = '20';
  const jaeger = await startJaeger();
  t.after(() => jaeger.stop());
  const board = await startBoard(t, {
    admin: { traceLink: `${jaeger.query}/trace/{traceId}` },
    // As its caller has decided, and no other.
    telemetry: { traces: { endpoint: jaeger.grpc, sampleRatio: 0 } },
  });
  const backend = new DemoBackend(
    { id: 'a', balancer: board.addresses.control, serviceMs: 400, slots: 1, standby: false },
    () => {},
  );
  t.after(() => backend.stop('SIGKILL'));
  await backend.start();
  const caller = await connectCaller(board.addresses.proxy);
  t.after(() => caller.socket.destroy());
  const path = `/${SERVICE}/Echo`;
  const traceId = `${Math.floor(Math.random() * 2 ** 40).toString(16)}`.padStart(32, 'c');
  const context = (flags: string) => [['traceparent', `00-${traceId}-${'b'.repeat(16)}-${flags}`]] as const;
  const { page } = await open(t, `${board.url}#/calls`);
  // One after the other wait for the only slot, until one is slow whatever the backend draws.
  await Promise.all(
    Array.from({ length: 3 }, () => caller.call(request(path, context('01')), Buffer.alloc(0))),
  );
  await Promise.all(
    Array.from({ length: 3 }, () => caller.call(request(path, context('00')), Buffer.alloc(0))),
  );

  const grid = page.getByRole('grid', { name: 'Failed and slow calls' });
  const link = grid.getByRole('link').first();
  await link.waitFor();
  assert.equal(await link.getAttribute('href'), `${jaeger.query}/trace/${traceId}`);
  assert.equal(await link.getAttribute('rel'), 'noreferrer noopener');
  const links = await grid.getByRole('link').count();
  assert.ok(links <= 3, `${links} links, of three calls that were sampled`);
  const spans = await jaeger.trace(traceId, all => all.length > 0);
  assert.ok(spans.some(({ service, name }) => service === 'heapmesh' && name === path.slice(1)));

  const [tab] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
  await tab.waitForLoadState();
  assert.equal(tab.url(), `${jaeger.query}/trace/${traceId}`);
  assert.match(await tab.content(), /Jaeger/i, 'a page of Jaeger');
  assert.equal(await tab.evaluate('window.opener'), null, 'which has no hand on the console');
  await tab.close();

  // And without a mouse.
  await grid.focus();
  const active = () =>
    page.evaluate(
      'document.getElementById(document.activeElement.getAttribute("aria-activedescendant"))?.textContent ?? ""',
    );
  while (!String(await active()).includes('↗')) await page.keyboard.press('ArrowDown');
  const [second] = await Promise.all([page.context().waitForEvent('page'), page.keyboard.press('Enter')]);
  await second.waitForURL(`${jaeger.query}/trace/${traceId}`);
});
