/**
 * A nice-grpc server that registers itself with a balancer and reports its load.
 *
 *   npx node examples/backend-nice-grpc.ts          # a balancer at 127.0.0.1:4701
 *   BALANCER=10.0.0.5:4701 PORT=50051 npx node examples/backend-nice-grpc.ts
 */
import { createLoadReporter } from 'heapmesh/backend';
import { createServer } from 'nice-grpc';
import { EchoServiceDefinition, type EchoServiceImplementation } from '../src/gen/echo/v1/echo.ts';

const reporter = createLoadReporter({
  balancers: [process.env.BALANCER ?? '127.0.0.1:4701'],
  services: ['echo.v1.EchoService'],
  // What limits this service is neither CPU nor the event loop, but its pool of connections.
  applicationUtilization: () => connectionsInUse / 20,
});

let connectionsInUse = 0;
const serverId = `nice-grpc ${process.pid}`;

const echo: EchoServiceImplementation = {
  async echo({ message }) {
    connectionsInUse += 1;
    try {
      return { message, serverId };
    } finally {
      connectionsInUse -= 1;
    }
  },
  async *repeat({ message, count }) {
    for (let number = 1; number <= count; number += 1) yield { message, serverId, number };
  },
  async collect(requests) {
    const messages: string[] = [];
    for await (const { message } of requests) messages.push(message);
    return { messages, serverId };
  },
  async *chat(requests) {
    for await (const { message } of requests) yield { message, serverId };
  },
};

const server = createServer().use(reporter.niceGrpcMiddleware());
server.add(EchoServiceDefinition, echo);
const port = await server.listen(`0.0.0.0:${process.env.PORT ?? 0}`);

// On SIGTERM: tell the balancers, wait for the last call, stop the server, end.
reporter.handleSignals(server);
await reporter.start({ address: `:${port}` });
console.log(`serving on port ${port}`);
