// Plain JavaScript, CommonJS: the target is all that differs from a client of one server.
//
//   npx node examples/client-plain.cjs              # a balancer at 127.0.0.1:4701
//   BALANCER=10.0.0.5:4701 npx node examples/client-plain.cjs

const { join } = require('node:path');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');
const { registerHeapmesh } = require('heapmesh/client');

registerHeapmesh(grpc);

const protos = join(__dirname, '../proto');
const definition = loadSync(join(protos, 'echo/v1/echo.proto'), { includeDirs: [protos] });
const { EchoService } = grpc.loadPackageDefinition(definition).echo.v1;

const balancers = process.env.BALANCER ?? '127.0.0.1:4701';
const client = new EchoService(
  `heapmesh://${balancers}/echo.v1.EchoService`,
  grpc.credentials.createInsecure(),
);

client.Echo({ message: 'hello' }, { deadline: Date.now() + 5_000 }, (error, reply) => {
  if (error) throw error;
  console.log(`answered by ${reply.serverId}`);
});
