/** The console as a person uses it: looks, clicks, types. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DemoBackend } from '../../src/cli/demo/processes.ts';
import { connectCaller, request } from '../support/h2/caller.ts';
import { Code, reset } from '../support/h2/wire.ts';
import { node, open, report, row, SERVICE, servers, startBoard, textOf, until } from './support.ts';

test('it loads from the balancer alone, is live at once, and shows the pool', async t => {
  const board = await startBoard(t, { servers: servers(4), instance: { id: 'lb-7' } });
  const { page, requests } = await open(t, board.url);
  assert.match(await page.title(), /lb-7/);
  assert.ok(
    requests.every(url => url.startsWith(board.url)),
    requests.join(),
  );
  assert.equal(await page.locator('.pool select').inputValue(), SERVICE, 'the only pool is chosen');
  await row(page, 'server-3').waitFor();
  assert.equal(await page.locator('.table-row').count(), 4);
  assert.equal(await page.locator('.node').count(), 4);
  const root = board.mesh.pool(SERVICE)?.heap(board.mesh.now()).nodes[0];
  assert.match(
    (await node(page, board.mesh.idOf(root?.slot ?? -1)).getAttribute('aria-label')) ?? '',
    /root: takes the next call/,
  );
  assert.ok((await page.locator('.node.newcomer').count()) > 0, 'nobody has served a call yet');
  await page.locator('.event').first().waitFor();
  // Scores move, and so does the picture.
  const score = () => textOf(row(page, 'server-0').locator('.col-score'));
  const before = await score();
  report(board, () => ({ inFlight: 400, utilization: 0.9 }));
  await page.locator('.node.newcomer').first().waitFor({ state: 'detached' });
  await until(async () => (await score()) !== before, 'another score');
});

test('a server dies, and the console says so and why', async t => {
  const board = await startBoard(t);
  const backends = ['a', 'b'].map(
    id =>
      new DemoBackend(
        { id, balancer: board.addresses.control, serviceMs: 5, slots: 4, standby: false },
        () => {},
      ),
  );
  t.after(() => Promise.all(backends.map(backend => backend.stop('SIGKILL'))));
  await Promise.all(backends.map(backend => backend.start()));
  const { page } = await open(t, board.url);
  const caller = await connectCaller(board.addresses.proxy);
  t.after(() => caller.socket.destroy());
  for (let i = 0; i < 20; i++) await caller.call(request(`/${SERVICE}/Echo`), Buffer.alloc(0));
  await row(page, 'a').locator('.badge.state-warming').waitFor();
  await node(page, 'a').waitFor();

  await backends[0]?.stop('SIGKILL');
  await row(page, 'a').locator('.badge.state-ejected').waitFor();
  await node(page, 'a').waitFor({ state: 'detached' });
  const event = page.locator('.event', { has: page.locator('.state-ejected') }).first();
  assert.match(await textOf(event), /a ejected.*(reset|refuses)/);
  assert.match(await textOf(page.locator('[aria-live=polite]')), /a is ejected/);

  await backends[0]?.start();
  await row(page, 'a').locator('.badge.state-warming').waitFor();
  await node(page, 'a').waitFor();
});

test('a server is drained and taken back, with a question before each', async t => {
  const board = await startBoard(t, { servers: servers(3) });
  const { page } = await open(t, board.url);
  const stateOf = (id: string) => board.mesh.registry.get(id)?.state;
  await row(page, 'server-1').click();
  const details = page.locator('.details');
  await details.getByRole('button', { name: 'Drain' }).click();
  const dialog = page.locator('dialog[open]');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await dialog.count(), 0);
  assert.equal(stateOf('server-1'), 'WARMING', 'nothing happens without an answer');

  await details.getByRole('button', { name: 'Drain' }).click();
  await dialog.getByLabel('Why').fill('new kernel');
  await dialog.getByLabel('Calls in flight may take').selectOption('120000');
  await dialog.getByRole('button', { name: 'Drain' }).click();
  await row(page, 'server-1').locator('.badge.state-draining').waitFor();
  assert.equal(await textOf(page.locator('.toast')), 'server-1 is draining');
  await page.locator('.event', { hasText: 'new kernel' }).first().waitFor();
  assert.equal(board.mesh.registry.get('server-1')?.drain?.timeoutMs, 120_000);

  await details.getByRole('button', { name: 'Undrain' }).click();
  await dialog.getByRole('button', { name: 'Undrain' }).click();
  await row(page, 'server-1').locator('.badge.state-warming').waitFor();

  await details.getByRole('button', { name: 'Weight' }).click();
  await dialog.getByLabel('Weight', { exact: true }).fill('much');
  await dialog.getByRole('button', { name: 'Set weight' }).click();
  assert.match(await textOf(dialog.getByRole('alert')), /is a number/);
  await dialog.getByLabel('Weight', { exact: true }).fill('0.5');
  await dialog.getByRole('button', { name: 'Set weight' }).click();
  await row(page, 'server-1').getByText('×0.5').waitFor();
});

test('a server is added, a standby activated, one removed; what the balancer refuses is said', async t => {
  const board = await startBoard(t, { servers: servers(2) });
  const { page } = await open(t, board.url);
  await page.getByRole('button', { name: 'Add server' }).click();
  const dialog = page.locator('dialog[open]');
  await dialog.getByLabel('Address').fill('no address');
  assert.equal(await dialog.getByLabel('Services').inputValue(), SERVICE);
  await dialog.getByRole('button', { name: 'Add' }).click();
  await until(async () => (await textOf(dialog.getByRole('alert'))).includes('server.address'), 'a refusal');
  await dialog.getByLabel('Address').fill('127.0.0.1:9');
  await dialog.getByLabel('Id', { exact: true }).fill('spare');
  await dialog.getByLabel('It', { exact: true }).selectOption('standby');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await row(page, 'spare').locator('.badge.state-standby').waitFor();

  await row(page, 'spare').click();
  await page.getByRole('button', { name: 'Activate' }).click();
  await dialog.getByRole('button', { name: 'Activate' }).click();
  await row(page, 'spare').locator('.badge.state-warming').waitFor();
  await page.getByRole('button', { name: 'Remove' }).click();
  await dialog.getByLabel('It leaves').selectOption('0');
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await row(page, 'spare').waitFor({ state: 'detached' });
  assert.equal(board.mesh.registry.get('spare'), undefined);
  assert.match(await textOf(page.locator('.details')), /No server with this id/);
});

test('without servers it says how they come; of several pools there is a list, which leads to each', async t => {
  const board = await startBoard(t);
  const { page } = await open(t, board.url);
  await page.getByText('Servers register themselves with the backend SDK').waitFor();
  const add = (id: string, services: readonly string[]) =>
    board.control.operator.add(
      { id, address: `127.0.0.1:${id}`, services, weight: 1, zone: '', maxConcurrency: 0, standby: false },
      { host: '127.0.0.1', address: '127.0.0.1:1' },
    );
  await add('9001', ['one.v1.First']);
  await add('9002', ['one.v1.First', 'two.v1.Second']);
  const pool = page.getByRole('button', { name: /^one\.v1\.First/ });
  await pool.waitFor();
  await until(async () => (await textOf(pool)).includes('2 of 2'), 'both servers');
  assert.equal(await page.locator('.node').count(), 0);
  await pool.focus();
  await page.keyboard.press('Enter');
  await node(page, '9002').waitFor();
  assert.equal(await page.locator('.pool select').inputValue(), 'one.v1.First');
});

test('where writes are not allowed there is nothing to press', async t => {
  const board = await startBoard(t, { servers: servers(2), admin: { allowWrites: false } });
  const { page } = await open(t, board.url);
  await row(page, 'server-0').click();
  await page.getByText('admin.allowWrites is false').waitFor();
  assert.equal(await page.getByRole('button', { name: /Add server|Drain|Remove|Weight/ }).count(), 0);
});

test('failed and slow calls, with their traces; connections and open calls', async t => {
  const traceLink = 'http://127.0.0.1:16686/trace/{traceId}';
  const board = await startBoard(t, { admin: { traceLink } });
  const backend = new DemoBackend(
    { id: 'a', balancer: board.addresses.control, serviceMs: 300, slots: 1, standby: false },
    () => {},
  );
  t.after(() => backend.stop('SIGKILL'));
  await backend.start();
  const caller = await connectCaller(board.addresses.proxy);
  t.after(() => caller.socket.destroy());
  const { page } = await open(t, `${board.url}#/connections`);
  const path = `/${SERVICE}/Echo`;
  const stays = caller.open(request(path));
  await page.getByRole('grid', { name: 'Open calls' }).getByText(path.slice(1)).waitFor();
  assert.match(await textOf(page.getByRole('grid', { name: 'Connections of callers' })), /127\.0\.0\.1:\d+/);
  assert.match(await textOf(page.getByRole('grid', { name: 'Connections to servers' })), /a/);
  caller.send(reset(stays, Code.CANCEL));
  const slow = [1, 2, 3].map(() => caller.call(request(path), Buffer.alloc(0)));
  // A field whose length is not there: no message of this method.
  const failed = caller.call(request(path), Buffer.from([10, 255]));
  await Promise.all([...slow, failed]);
  await page.getByRole('link', { name: /^Calls/ }).click();
  const grid = page.getByRole('grid', { name: 'Failed and slow calls' });
  await grid.getByText('slow', { exact: true }).first().waitFor();
  await grid.getByText('INTERNAL').waitFor();
  await page.getByRole('button', { name: /^failed/ }).click();
  await grid.getByText('slow', { exact: true }).waitFor({ state: 'detached' });
});

test('the balancer restarts: the console says that its data is old, and goes on by itself', async t => {
  const board = await startBoard(t, { servers: servers(2), instance: { id: 'first' } });
  const { page } = await open(t, board.url);
  await row(page, 'server-1').waitFor();
  await board.stop();
  await page.locator('.live.bad', { hasText: /reconnecting; data is .* old/ }).waitFor();
  assert.equal(await row(page, 'server-1').count(), 1, 'what was known stays in sight');
  assert.ok(await page.locator('.app.old').count());
  const second = { servers: servers(3, {}, 'other'), instance: { id: 'second' } };
  await startBoard(t, second, board.addresses.admin);
  await page.locator('.live.ok').waitFor();
  await row(page, 'other-2').waitFor();
  assert.equal(await row(page, 'server-1').count(), 0);
  assert.match(await page.title(), /second/);
});
