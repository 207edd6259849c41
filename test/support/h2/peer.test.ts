/** The hand-made HTTP/2 of the tests against Node's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connectCaller, request } from './caller.ts';
import { Decoder, huffman } from './hpack.ts';
import { startUpstream } from './upstream.ts';

test('a raw caller reads what a real server says, with Huffman codes and a dynamic table', async t => {
  const server = createServer((incoming, response) => {
    response.setHeader('x-path', incoming.url);
    response.setHeader('x-long', 'a value with every sort of character: äÄ~{}|^ 0123456789'.repeat(5));
    response.end('body');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const caller = await connectCaller(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (const path of ['/a', '/b', '/a']) {
    const { headers, data, ended } = await caller.call(request(path));
    assert.equal(headers?.['x-path'], path);
    assert.match(
      headers?.['x-long'] ?? '',
      /^(a value with every sort of character: äÄ~\{\}\|\^ 0123456789){5}$/,
    );
    assert.equal(Buffer.concat(data).toString(), 'body');
    assert.ok(ended);
  }
  await caller.end();
});

test('a real caller reads what a raw server says', async t => {
  const upstream = await startUpstream();
  const session = connect(`http://${upstream.address}`);
  t.after(async () => {
    session.close();
    await upstream.close();
  });
  for (let n = 0; n < 3; n++) {
    const call = session.request({ ':method': 'POST', ':path': '/x', te: 'trailers' });
    call.end('ask');
    let trailers: unknown;
    call.on('trailers', fields => {
      trailers = fields['grpc-status'];
    });
    let body = '';
    for await (const chunk of call) body += chunk;
    assert.match(body, /answer$/);
    assert.equal(trailers, '0');
  }
  assert.equal(upstream.counts.streams, 3);
});

/** RFC 7541, C.4.1 and C.6.1. */
test('Huffman codes are those of the RFC', () => {
  assert.equal(huffman('www.example.com').toString('hex'), 'f1e3c2e5f23a6ba0ab90f4ff');
  assert.equal(
    huffman('Mon, 21 Oct 2013 20:13:21 GMT').toString('hex'),
    'd07abe941054d444a8200595040b8166e082a62d1bff',
  );
});

/** RFC 7541, C.4.1 and C.4.2: the second block counts on what the first put into the table. */
test('a block of the RFC is decoded', () => {
  const decoder = new Decoder();
  const common = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  const first = Buffer.from('828684418cf1e3c2e5f23a6ba0ab90f4ff', 'hex');
  assert.deepEqual(decoder.decode(first), common);
  const second = Buffer.from('828684be5886a8eb10649cbf', 'hex');
  assert.deepEqual(decoder.decode(second), [...common, ['cache-control', 'no-cache']]);
});
