/**
 * Watchers for a benchmark: a connection each, in one process. All count bytes; every hundredth also
 * decodes, and tells how old each load is when it is there. Arguments: control address, number.
 */
import { once } from 'node:events';
import http2 from 'node:http2';
import { WatchServersRequest, WatchServersResponse } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { millisOf } from '../../src/grpc/duration.ts';

const [address = '', count = '0'] = process.argv.slice(2);
const request = WatchServersRequest.encode(
  WatchServersRequest.fromPartial({ service: 'echo.v1.EchoService', minInterval: { seconds: 1n, nanos: 0 } }),
).finish();
const body = Buffer.alloc(5 + request.length);
body.writeUInt32BE(request.length, 1);
body.set(request, 5);

let bytes = 0;
let messages = 0;
let loads = 0;
/** Of weights that the parent set: their arrival, by weight. */
const seen = new Map<number, number[]>();
const ages: number[] = [];

function follow(stream: http2.ClientHttp2Stream): void {
  let rest: Buffer = Buffer.alloc(0);
  stream.on('data', (part: Buffer) => {
    bytes += part.length;
    rest = rest.length === 0 ? part : Buffer.concat([rest, part]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const size = rest.readUInt32BE(1);
      const message = WatchServersResponse.decode(rest.subarray(5, 5 + size));
      rest = rest.subarray(5 + size);
      messages++;
      loads += message.loads.length;
      for (const load of message.loads) ages.push(millisOf(load.age));
      for (const server of message.upserted) {
        if (server.id !== 'backend-0' || message.snapshot) continue;
        const times = seen.get(server.weight) ?? [];
        times.push(Date.now());
        seen.set(server.weight, times);
      }
    }
  });
}

for (let i = 0; i < Number(count); i++) {
  const session = http2.connect(`http://${address}`, { settings: { initialWindowSize: 1 << 20 } });
  session.on('error', () => {});
  await once(session, 'connect');
  session.setLocalWindowSize(1 << 20);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/heapmesh.v1.LookasideService/WatchServers',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  if (i % 100 === 0) follow(stream);
  else {
    stream.on('data', (part: Buffer) => {
      bytes += part.length;
    });
  }
  stream.end(body);
}
process.send?.({ open: Number(count) });
process.on('message', () => {
  process.send?.({ bytes, messages, loads, ages: ages.splice(0), seen: [...seen] });
  seen.clear();
});
