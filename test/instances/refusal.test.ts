/**
 * What grpc-js refuses by itself. A call that is begun in the turn of the event loop in which a GOAWAY waits in the socket
 * ends as "Stream refused by server", although the server refused nothing and has never seen it: nghttp2 reads the GOAWAY
 * before it writes the request. gRPC's transparent retry, which is on by default, sends it again. Nothing of ours is in
 * here: it is why callers of a proxy that leaves are tested with that retry.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import * as grpc from '@grpc/grpc-js';

/** A server of node:http2 that answers all and leaves as RFC 9113 6.8 says; it sends no RST_STREAM. */
const SERVER = `
const { parentPort, workerData } = require('node:worker_threads');
let session, streams = 0;
const server = require('node:http2').createServer();
server.on('session', one => { session = one; });
server.on('stream', stream => {
  streams++;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.alloc(5));
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
parentPort.on('message', message => {
  if (message === 'streams') return parentPort.postMessage(streams);
  session.goaway(0, 2 ** 31 - 1);
  // The answer to a ping of ours would be behind the GOAWAY; the other side does not read, so the kernel is given time.
  setTimeout(() => {
    Atomics.store(workerData, 0, 1);
    Atomics.notify(workerData, 0);
  }, 20);
});
`;

const same = (bytes: Buffer): Buffer => bytes;

async function inTheTurnOfGoaway(retries: 0 | 1): Promise<{ code: number; details: string; seen: number }> {
  const sent = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(SERVER, { eval: true, workerData: sent });
  const options = { 'grpc.enable_retries': retries };
  let client: grpc.Client | undefined;
  try {
    const [port] = await once(worker, 'message');
    client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
    const call = (): Promise<{ code: number; details: string }> =>
      new Promise(resolve =>
        client?.makeUnaryRequest('/a.B/C', same, same, Buffer.alloc(0), error =>
          resolve({ code: error?.code ?? 0, details: error?.details ?? '' }),
        ),
      );
    assert.deepEqual(await call(), { code: 0, details: '' });
    // From a timer, as most calls begin: what is read comes after it in the turn, and what is written after that.
    await sleep(10);
    worker.postMessage('leave');
    Atomics.wait(sent, 0, 0);
    const result = await call();
    worker.postMessage('streams');
    const [seen] = await once(worker, 'message');
    return { ...result, seen };
  } finally {
    client?.close();
    await worker.terminate();
  }
}

test('without transparent retries a call fails that no server has seen, with them none does', async () => {
  assert.deepEqual(await inTheTurnOfGoaway(0), { code: 14, details: 'Stream refused by server', seen: 1 });
  assert.deepEqual(await inTheTurnOfGoaway(1), { code: 0, details: '', seen: 2 });
});
