/** The admin port by raw requests: what it answers, and to whom. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import {
  type Access,
  type Admin,
  HttpError,
  json,
  type Route,
  startAdmin,
  text,
} from '../../src/admin/admin.ts';
import { ask, raw } from './raw.ts';

interface Port extends Admin {
  readonly errors: unknown[];
  readonly written: string[];
}

async function port(
  context: TestContext,
  { routes = [], access = {} }: { routes?: readonly Route[]; access?: Partial<Access> } = {},
): Promise<Port> {
  const errors: unknown[] = [];
  const written: string[] = [];
  const admin = await startAdmin({
    host: '127.0.0.1',
    port: 0,
    routes: [
      { method: 'GET', path: '/', handle: () => text('page') },
      { method: 'GET', path: '/probe', anyHost: true, handle: () => json({ up: true }) },
      { method: 'GET', path: '/thing', handle: ({ query }) => json({ got: query.get('a') }) },
      {
        method: 'PUT',
        path: '/thing',
        handle: ({ body }) => {
          written.push(body.toString());
          return json({});
        },
      },
      ...routes,
    ],
    access: () => ({ allowWrites: true, hosts: new Set(['mesh.example.org']), ...access }),
    onError: error => errors.push(error),
  });
  context.after(() => admin.close());
  return { ...admin, errors, written };
}

const JSON_TYPE = { 'content-type': 'application/json' };

test('GET, HEAD, 404 and 405 say what there is', async context => {
  const { address } = await port(context);
  const got = await ask(address, 'GET /thing?a=1%202');
  assert.equal(got.status, 200);
  assert.equal(got.headers.get('content-type'), 'application/json; charset=utf-8');
  assert.equal(got.headers.get('cache-control'), 'no-store');
  assert.deepEqual(JSON.parse(got.body), { got: '1 2' });
  const head = await ask(address, 'HEAD /thing?a=1%202');
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), String(got.body.length));
  assert.equal(head.body, '');
  const none = await ask(address, 'GET /nothing');
  assert.equal(none.status, 404);
  assert.match(none.body, /there are \/, \/probe, \/thing/);
  const method = await ask(address, 'DELETE /thing', JSON_TYPE);
  assert.equal(method.status, 405);
  assert.equal(method.headers.get('allow'), 'GET, HEAD, PUT');
  assert.match(method.body, /use GET, HEAD, PUT/);
  // A preflight is no more than that: nothing tells a browser that another site may go on.
  const preflight = await ask(address, 'OPTIONS /thing', { origin: 'http://evil.example' });
  assert.equal(preflight.status, 405);
  assert.ok(![...preflight.headers.keys()].some(name => name.startsWith('access-control')));
  assert.equal((await ask(address, 'GET http://127.0.0.1/thing')).status, 400);
});

test('every reply forbids what a page of ours does not need', async context => {
  const { address } = await port(context);
  for (const line of ['GET /', 'GET /nothing', 'PUT /thing']) {
    const { headers } = await ask(address, line);
    const policy = headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('x-frame-options'), 'DENY');
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin');
  }
});

test('DNS rebinding: a name that is not ours gets nothing, probes excepted', async context => {
  const { address } = await port(context);
  const hosts = (host: string) => ({ host });
  for (const foreign of [
    'evil.example',
    'evil.example:4702',
    'localhost.evil.example',
    '127.0.0.1.evil.example:4702',
    'mesh.example.org.evil.example',
    '0x7f.1',
    '[::1].evil.example',
    'a@127.0.0.1',
    '',
  ]) {
    const got = await ask(address, 'GET /thing', hosts(foreign));
    assert.equal(got.status, 403, foreign);
    assert.match(got.body, /admin\.allowedHosts/);
    const put = await ask(address, 'PUT /thing', { ...hosts(foreign), ...JSON_TYPE }, '{}');
    assert.equal(put.status, 403, foreign);
    assert.equal((await ask(address, 'GET /probe', hosts(foreign))).status, 200, foreign);
  }
  for (const own of [
    address,
    'localhost',
    'LOCALHOST:1',
    'localhost.:4702',
    'x.localhost',
    '[::1]:4702',
    '10.1.2.3:80',
    'Mesh.Example.org:443',
  ]) {
    assert.equal((await ask(address, 'GET /thing', hosts(own))).status, 200, own);
  }
  // HTTP/1.0 may come without a name, and never from a browser.
  assert.equal((await raw(address, 'GET /thing HTTP/1.0\r\n\r\n')).status, 200);
});

test("'*' in the hosts lets every name in", async context => {
  const { address } = await port(context, { access: { hosts: new Set(['*']) } });
  assert.equal((await ask(address, 'GET /thing', { host: 'any.example' })).status, 200);
});

test('cross-site writes: from no page but our own, and as JSON alone', async context => {
  const { address, written } = await port(context);
  const put = async (headers: Record<string, string>) =>
    (await ask(address, 'PUT /thing', headers, '{"x":1}')).status;
  for (const headers of [
    { ...JSON_TYPE, origin: 'http://evil.example' },
    { ...JSON_TYPE, origin: 'null' },
    { ...JSON_TYPE, origin: 'http://127.0.0.1:1' },
    { ...JSON_TYPE, origin: `http://${address}.evil.example` },
    { ...JSON_TYPE, origin: `http://${address}0` },
    { ...JSON_TYPE, origin: 'file://' },
    { ...JSON_TYPE, 'sec-fetch-site': 'cross-site' },
    { ...JSON_TYPE, 'sec-fetch-site': 'same-site' },
    { ...JSON_TYPE, 'sec-fetch-site': 'none' },
  ]) {
    assert.equal(await put(headers), 403, JSON.stringify(headers));
  }
  // What a form can send.
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    '',
  ]) {
    assert.equal(await put({ 'content-type': type }), 415, type);
  }
  assert.deepEqual(written, []);
  for (const headers of [
    JSON_TYPE,
    { 'content-type': 'Application/JSON; charset=utf-8' },
    { ...JSON_TYPE, origin: `http://${address}`, 'sec-fetch-site': 'same-origin' },
    // TLS that ends before us.
    { ...JSON_TYPE, host: 'mesh.example.org', origin: 'https://mesh.example.org' },
  ]) {
    assert.equal(await put(headers), 200, JSON.stringify(headers));
  }
  assert.equal(written.length, 4);
});

test('cross-site reads: a link may lead here, and that is all', async context => {
  const { address } = await port(context);
  const status = async (headers: Record<string, string>) =>
    (await ask(address, 'GET /thing', headers)).status;
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  assert.equal(await status(link), 200);
  assert.equal(await status({ ...link, 'sec-fetch-dest': 'iframe' }), 403);
  assert.equal(await status({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }), 403);
  assert.equal(await status({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' }), 403);
  assert.equal(await status({ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }), 200);
});

test('nothing changes where writes are not allowed', async context => {
  const { address, written } = await port(context, { access: { allowWrites: false } });
  const refused = await ask(address, 'PUT /thing', JSON_TYPE, '{}');
  assert.equal(refused.status, 403);
  assert.match(refused.body, /admin\.allowWrites/);
  assert.deepEqual(written, []);
  assert.equal((await ask(address, 'GET /thing')).status, 200);
});

test('a body beyond the limit is refused, told or not', async context => {
  const { address, written } = await port(context);
  const long = 'x'.repeat(64 * 1024 + 1);
  const told = await ask(address, 'PUT /thing', { ...JSON_TYPE, 'content-length': '999999999' });
  assert.equal(told.status, 413);
  const chunk = `${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`;
  const untold = await raw(
    address,
    `PUT /thing HTTP/1.1\r\nhost: ${address}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk}`,
  );
  assert.equal(untold.status, 413);
  assert.deepEqual(written, []);
});

test("a route's own errors are its caller's; a fault is ours, and tells nothing", async context => {
  const { address, errors } = await port(context, {
    routes: [
      {
        method: 'GET',
        path: '/wrong',
        handle: () => {
          throw new HttpError(409, 'it is so already');
        },
      },
      { method: 'GET', path: '/fault', handle: () => Promise.reject(new Error('a secret')) },
    ],
  });
  const wrong = await ask(address, 'GET /wrong');
  assert.deepEqual([wrong.status, JSON.parse(wrong.body)], [409, { error: 'it is so already' }]);
  const fault = await ask(address, 'GET /fault');
  assert.equal(fault.status, 500);
  assert.doesNotMatch(fault.body, /secret/);
  assert.match(String(errors[0]), /a secret/);
});

test('two routes for the same are a mistake of ours', async () => {
  const route: Route = { method: 'GET', path: '/x', handle: () => json({}) };
  const options = {
    host: '127.0.0.1',
    port: 0,
    access: () => ({ allowWrites: false, hosts: new Set<string>() }),
  };
  await assert.rejects(
    startAdmin({ ...options, routes: [route, route], onError: () => {} }),
    /two routes for GET \/x/,
  );
});

test('a body in parts is made as it is read, and ends with its reader', async context => {
  let made = 0;
  let ended = false;
  async function* parts(): AsyncGenerator<string> {
    try {
      for (;;) {
        made++;
        yield 'x'.repeat(64 * 1024);
      }
    } finally {
      ended = true;
    }
  }
  const { address } = await port(context, {
    routes: [{ method: 'GET', path: '/endless', handle: () => ({ type: 'text/plain', body: parts() }) }],
  });
  const head = await ask(address, 'HEAD /endless');
  assert.deepEqual([head.status, head.body, made], [200, '', 0]);

  const { hostname, port: number } = new URL(`http://${address}`);
  const socket = connect(Number(number), hostname);
  socket.write(`GET /endless HTTP/1.1\r\nhost: ${address}\r\n\r\n`);
  await once(socket, 'readable');
  socket.pause();
  let before = -1;
  while (made !== before) {
    before = made;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  // What the kernel holds, and not more: it would be thousands otherwise.
  assert.ok(made < 500, `${made} parts were made for a reader that does not read`);
  socket.destroy();
  while (!ended) await new Promise(resolve => setTimeout(resolve, 5));
});
