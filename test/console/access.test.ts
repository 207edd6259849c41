/** The console without a mouse, without sight, on a phone, in the dark, and with a large mesh. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessibility, node, open, report, row, servers, startBoard, textOf, until } from './support.ts';

test('all of it by keyboard', async t => {
  const board = await startBoard(t, { servers: servers(30) });
  const { page } = await open(t, board.url);
  const { keyboard } = page;
  await row(page, 'server-0').waitFor();
  await keyboard.press('/');
  await keyboard.type('server-2');
  await until(async () => (await page.locator('.table-row').count()) === 11, 'server-2 and server-20 to 29');
  await keyboard.press('Tab');
  if ((await page.evaluate('document.activeElement.getAttribute("role")')) !== 'grid')
    await keyboard.press('Tab');
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowUp');
  const active = await page.evaluate(
    'document.getElementById(document.activeElement.getAttribute("aria-activedescendant")).textContent',
  );
  assert.match(String(active), /^server-20/);
  const sorted = page.locator('[role=columnheader][aria-sort]:not([aria-sort=none])');
  await keyboard.press('ArrowRight');
  await until(async () => /^State/.test(await textOf(sorted)), 'sorted by the next column');
  await keyboard.press('ArrowLeft');
  await keyboard.press(' ');
  await until(async () => (await sorted.getAttribute('aria-sort')) === 'descending', 'the other way round');
  await keyboard.press(' ');
  await keyboard.press('Enter');
  const details = page.locator('.details');
  await details.waitFor();
  assert.equal(
    await textOf(page.locator('.details h2:focus')),
    'server-20',
    'the focus is in what was opened',
  );
  await keyboard.press('Escape');
  await details.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate('document.activeElement.getAttribute("role")'), 'grid', 'and goes back');

  // The heap: one stop of Tab, arrows within.
  await page.locator('.node[tabindex="0"]').focus();
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowRight');
  const at = await page.evaluate('document.activeElement.getAttribute("aria-label")');
  assert.match(String(at), /^server-\d+.* in flight/);
  await keyboard.press('Enter');
  await details.waitFor();
  await keyboard.press('Escape');

  await keyboard.press('5');
  await page.locator('[aria-current=page]', { hasText: 'Events' }).waitFor();
  await keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
  await keyboard.press('t');
  await until(
    async () => (await page.evaluate('document.documentElement.dataset.theme')) === 'dark',
    'the dark theme',
  );
});

for (const scheme of ['light', 'dark'] as const) {
  test(`axe finds nothing wrong on any page in the ${scheme} theme`, async t => {
    const board = await startBoard(t, {
      servers: [...servers(6), ...servers(2, { standby: true }, 'spare')],
    });
    report(board, at => ({ inFlight: at, utilization: at / 6 }));
    void board.mesh.registry.propose(
      { kind: 'drain', id: 'server-1', by: 'operator', timeoutMs: 1_000, afterwards: 'stay' },
      'a test',
    );
    void board.mesh.registry.propose(
      { kind: 'observe', id: 'server-2', observation: { phase: 'ejected', healthy: false } },
      'a test',
    );
    const { page } = await open(t, board.url, { scheme });
    await row(page, 'server-2').locator('.badge.state-ejected').waitFor();
    const ground = await page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
    assert.equal(ground, scheme === 'dark' ? 'rgb(13, 17, 22)' : 'rgb(244, 246, 248)');
    for (const tab of ['Overview', 'Servers', 'Calls', 'Connections', 'Events', 'Findings']) {
      await page.getByRole('link', { name: new RegExp(`^${tab}`) }).click();
      await page.locator('[aria-current=page]', { hasText: tab }).waitFor();
      assert.deepEqual(await accessibility(page), [], tab);
    }
    await page.getByRole('link', { name: /^Servers/ }).click();
    await row(page, 'server-0').click();
    await page.locator('.details .chart').first().waitFor();
    assert.deepEqual(await accessibility(page), [], 'details');
    await page.getByRole('button', { name: 'Drain', exact: true }).click();
    await page.locator('dialog[open]').waitFor();
    assert.deepEqual(await accessibility(page), [], 'question');
  });
}

test('on a phone: nothing beyond the edge, fewer columns, details over the whole screen', async t => {
  const board = await startBoard(t, {
    servers: servers(40, { zone: 'eu-west-1a' }, 'a-server-with-a-long-name'),
  });
  report(board, at => ({ inFlight: at, utilization: at / 40 }));
  const { page } = await open(t, board.url, { width: 360, height: 740 });
  await page.locator('.table-row').first().waitFor();
  await node(page, 'a-server-with-a-long-name-0').first().waitFor();
  const tooWide = async () => (await page.evaluate('document.documentElement.scrollWidth')) as number;
  for (const tab of ['Overview', 'Servers', 'Calls', 'Connections', 'Events', 'Findings']) {
    await page.getByRole('link', { name: new RegExp(`^${tab}`) }).click();
    await page.locator('[aria-current=page]', { hasText: tab }).waitFor();
    assert.ok((await tooWide()) <= 360, `${tab} is ${await tooWide()} wide`);
  }
  await page.getByRole('link', { name: /^Servers/ }).click();
  assert.equal(await page.locator('[role=columnheader]').count(), 4);
  await page.locator('.table-row').first().click();
  const box = await page.locator('.details').boundingBox();
  assert.deepEqual([box?.x, box?.width], [0, 360]);
});

test('the theme follows the system until it is chosen, and the choice lasts', async t => {
  const board = await startBoard(t, { servers: servers(1) });
  const { page } = await open(t, board.url, { scheme: 'light' });
  const theme = () => page.evaluate('document.documentElement.dataset.theme');
  assert.equal(await theme(), 'light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await until(async () => (await theme()) === 'dark', 'dark');
  await page.getByRole('button', { name: 'Use the light theme' }).click();
  await until(async () => (await theme()) === 'light', 'light');
  await page.reload();
  await page.locator('.live.ok').waitFor();
  assert.equal(await theme(), 'light', 'although the system is dark');
});

test('1,000 servers: only those in sight are drawn, all are found, and the heap shows its top', async t => {
  const board = await startBoard(t, { servers: servers(1_000) });
  const { page } = await open(t, board.url);
  await until(
    async () => (await textOf(page.locator('.panel h2', { hasText: 'Servers' }))).includes('1,000'),
    'all',
  );
  for (let round = 1; round <= 3; round++) {
    report(board, at => ({ inFlight: (at * 7 + round) % 50, utilization: (at % 100) / 100 }));
  }
  assert.ok((await page.locator('.table-row').count()) < 60);
  const grid = page.getByRole('grid', { name: 'Servers' });
  assert.equal(await grid.getAttribute('aria-rowcount'), '1001');
  await grid.focus();
  await page.keyboard.press('End');
  await row(page, 'server-999').waitFor();
  await page.getByRole('searchbox').fill('server-512');
  await row(page, 'server-512').waitFor();
  assert.equal(await page.locator('.table-row').count(), 1);
  await page.getByRole('searchbox').fill('');
  const nodes = await page.locator('.node').count();
  assert.ok(nodes >= 21 && nodes <= 85, `${nodes} nodes`);
  assert.match(await textOf(page.locator('.tree-more')), /^\d{3} more below/);
  // The picture is the heap's: each node's score is not below its parent's.
  await page.getByRole('columnheader', { name: 'Score' }).getByRole('button').click();
  await until(
    async () =>
      (await page.getByRole('columnheader', { name: 'Score' }).getAttribute('aria-sort')) !== 'none',
    'sorted',
  );
});
