/**
 * A grpc-js client whose channel picks the least loaded server for every call.
 *
 *   npx node examples/client-channel.ts             # a balancer at 127.0.0.1:4701
 *   BALANCER=10.0.0.5:4701,10.0.0.6:4701 npx node examples/client-channel.ts
 */
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { registerHeapmesh } from 'heapmesh/client';

// Once, before the first channel, on the copy of grpc-js that makes the channels.
registerHeapmesh(grpc);

const protos = new URL('../proto', import.meta.url).pathname;
const definition = loadSync(`${protos}/echo/v1/echo.proto`, { includeDirs: [protos] });
const { echo } = grpc.loadPackageDefinition(definition) as unknown as {
  echo: { v1: { EchoService: grpc.ServiceClientConstructor } };
};

const balancers = process.env.BALANCER ?? '127.0.0.1:4701';
const client = new echo.v1.EchoService(
  `heapmesh://${balancers}/echo.v1.EchoService`,
  grpc.credentials.createInsecure(),
);

/** One call; resolves with the id of the server that answered. */
function call(message: string): Promise<string> {
  const deadline = Date.now() + 5_000;
  return new Promise((resolve, reject) => {
    client.Echo?.(
      { message },
      { deadline },
      (error: grpc.ServiceError | null, reply: { serverId: string }) =>
        error === null ? resolve(reply.serverId) : reject(error),
    );
  });
}

const counts = new Map<string, number>();
for (let i = 0; i < 20; i++) {
  const id = await call(`hello ${i}`);
  counts.set(id, (counts.get(id) ?? 0) + 1);
}
for (const [id, count] of counts) console.log(`${count} calls answered by ${id}`);
// No need to close the client: an idle channel keeps no process alive.
