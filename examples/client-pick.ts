/**
 * Asks the balancer for every call and makes the call itself: for callers that have their own way of
 * calling a server. Here that is a grpc-js client for each address.
 *
 *   npx node examples/client-pick.ts                # a balancer at 127.0.0.1:4701
 *   BALANCER=10.0.0.5:4701,10.0.0.6:4701 npx node examples/client-pick.ts
 */
import { ChannelCredentials } from '@grpc/grpc-js';
import { createPickClient } from 'heapmesh/client';
import { createChannel, createClient } from 'nice-grpc';
import { type EchoServiceClient, EchoServiceDefinition } from '../src/gen/echo/v1/echo.ts';

const picks = createPickClient({
  balancers: (process.env.BALANCER ?? '127.0.0.1:4701').split(','),
  service: EchoServiceDefinition.fullName,
});

const clients = new Map<string, EchoServiceClient>();
function at(address: string): EchoServiceClient {
  let client = clients.get(address);
  if (client === undefined) {
    client = createClient(EchoServiceDefinition, createChannel(address, ChannelCredentials.createInsecure()));
    clients.set(address, client);
  }
  return client;
}

// The short way: picks, completes the lease, and tries another server after UNAVAILABLE.
const answer = await picks.call(server => at(server.address).echo({ message: 'hello' }));
console.log(`answered by ${answer.serverId}`);

// The long way: what became of the lease is the caller's to say, once.
const { server, lease } = await picks.pick({ method: 'Echo', hashKey: 'user-7' });
try {
  await at(server.address).echo({ message: 'hello again' });
  lease.complete();
} catch (error) {
  lease.complete({ status: (error as { code?: number }).code ?? 2 });
  throw error;
}
console.log(`server ${server.id} at ${server.address} answered too`);

// Sends the outcomes that wait.
await picks.close();
const { sent, accepted } = picks.stats();
console.log(`${accepted} of ${sent} outcomes accepted`);
