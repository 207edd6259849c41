/**
 * A grpc-js server that registers itself with a balancer and reports its load.
 *
 *   npx node examples/backend-grpc-js.ts            # a balancer at 127.0.0.1:4701
 *   BALANCER=10.0.0.5:4701 PORT=50051 npx node examples/backend-grpc-js.ts
 */
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { createLoadReporter } from 'heapmesh/backend';

const proto = new URL('../proto/echo/v1/echo.proto', import.meta.url).pathname;
const definition = loadSync(proto, { includeDirs: [new URL('../proto', import.meta.url).pathname] });

const reporter = createLoadReporter({
  balancers: [process.env.BALANCER ?? '127.0.0.1:4701'],
  services: ['echo.v1.EchoService'],
});

const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor()] });
server.addService(definition['echo.v1.EchoService'] as grpc.ServiceDefinition, {
  Echo(call: grpc.ServerUnaryCall<{ message: string }, object>, callback: grpc.sendUnaryData<object>) {
    callback(null, { message: call.request.message, serverId: `grpc-js ${process.pid}` });
  },
});

const bind = promisify(server.bindAsync.bind(server));
const port = await bind(`0.0.0.0:${process.env.PORT ?? 0}`, grpc.ServerCredentials.createInsecure());

// On SIGTERM: tell the balancers, wait for the last call, stop the server, end.
reporter.handleSignals(server);
await reporter.start({ address: `:${port}` });
console.log(`serving on port ${port}`);
