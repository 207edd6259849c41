/**
 * A nice-grpc client whose channel picks the least loaded server for every call, streams included.
 * It streams, which among the examples only backend-nice-grpc.ts serves: start no other beside it.
 *
 *   npx node examples/client-nice-grpc.ts           # a balancer at 127.0.0.1:4701
 *   BALANCER=10.0.0.5:4701 ZONE=z1 npx node examples/client-nice-grpc.ts
 */
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh, requireHeapmesh } from 'heapmesh/client';
import { createChannel, createClient } from 'nice-grpc';
import { EchoServiceDefinition } from '../src/gen/echo/v1/echo.ts';

registerHeapmesh(grpc);

const balancers = process.env.BALANCER ?? '127.0.0.1:4701';
const channel = createChannel(`heapmesh://${balancers}/${EchoServiceDefinition.fullName}`, undefined, {
  'heapmesh.zone': process.env.ZONE ?? '',
});
// nice-grpc brings its own grpc-js where versions differ: better to hear of it here than as a DNS error.
requireHeapmesh(channel);
const client = createClient(EchoServiceDefinition, channel);

const { serverId } = await client.echo({ message: 'hello' });
console.log(`answered by ${serverId}`);

// A stream counts as a call in flight at its server until it ends.
let answers = 0;
for await (const { number } of client.repeat({ message: 'again', count: 3 })) answers = number;
console.log(`${answers} answers on one stream`);

channel.close();
