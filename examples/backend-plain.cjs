// Plain JavaScript, CommonJS: a grpc-js server that registers itself with a balancer and says by
// itself when calls begin and end, for frameworks that know no interceptors.
//
//   npx node examples/backend-plain.cjs             # a balancer at 127.0.0.1:4701
//   BALANCER=10.0.0.5:4701 PORT=50051 npx node examples/backend-plain.cjs

const { join } = require('node:path');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');
const { createLoadReporter } = require('heapmesh/backend');

const protos = join(__dirname, '../proto');
const definition = loadSync(join(protos, 'echo/v1/echo.proto'), { includeDirs: [protos] });

const reporter = createLoadReporter({
  balancers: [process.env.BALANCER ?? '127.0.0.1:4701'],
  services: ['echo.v1.EchoService'],
});

const server = new grpc.Server();
server.addService(definition['echo.v1.EchoService'], {
  Echo(call, callback) {
    const counted = reporter.callStarted();
    callback(null, { message: call.request.message, serverId: `plain ${process.pid}` });
    counted.end(grpc.status.OK);
  },
});

const address = `0.0.0.0:${process.env.PORT ?? 0}`;
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), async (error, port) => {
  if (error) throw error;
  reporter.handleSignals(server);
  await reporter.start({ address: `:${port}` });
  console.log(`serving on port ${port}`);
});
