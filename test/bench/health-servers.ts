/**
 * Answers grpc.health.v1 on several ports, as cheaply as can be: any request is answered SERVING. Several ports, since
 * one has no more than some 28,000 connections from one address.
 */
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';

const PORTS = 8;
const SERVING = Buffer.from([0, 0, 0, 0, 2, 8, 1]);

const ports: number[] = [];
for (let n = 0; n < PORTS; n++) {
  const server = createServer();
  server.on('stream', stream => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(SERVING);
  });
  server.on('session', session => session.on('error', () => {}));
  await new Promise<void>(resolve => server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, resolve));
  ports.push((server.address() as AddressInfo).port);
}
process.send?.({ ports });
process.on('disconnect', () => process.exit(0));
