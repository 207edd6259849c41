/**
 * A backend that reports, as a process of its own: `backend-process.ts ID CONTROL [standby|LIMIT]`. It prints its
 * address once it is registered. By IPC it is told its utilization (`{ utilization }`), and it tells what the
 * balancer tells it (`{ event }`).
 *
 * `/echo.v1.EchoService/Echo` answers with its id, after the delay in the metadata `delay-ms`; `/Chat` says its id
 * every 20 ms until the caller goes.
 */
import * as grpc from '@grpc/grpc-js';
import { createLoadReporter } from '../../src/backend/backend.ts';
import { EchoRequest, EchoResponse } from '../../src/gen/echo/v1/echo.ts';

const [id = '', control = '', role = ''] = process.argv.slice(2);
let open = 0;
let utilization = 0.5;
process.on('message', (message: { utilization: number }) => {
  utilization = message.utilization;
});
const reporter = createLoadReporter({
  id,
  balancers: [control],
  services: ['echo.v1.EchoService'],
  standby: role === 'standby',
  ...(/^\d+$/.test(role) && { maxConcurrency: Number(role) }),
  applicationUtilization: () => utilization,
});
for (const event of ['activate', 'drain'] as const) reporter.on(event, () => process.send?.({ event }));
const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor()] });
server.register(
  '/echo.v1.EchoService/Echo',
  (call: grpc.ServerUnaryCall<EchoRequest, EchoResponse>, answer: grpc.sendUnaryData<EchoResponse>) => {
    const [delay = '0'] = call.metadata.get('delay-ms');
    process.send?.({ open: ++open });
    setTimeout(() => {
      open--;
      answer(null, { message: call.request.message, serverId: id });
    }, Number(delay));
  },
  (response: EchoResponse) => Buffer.from(EchoResponse.encode(response).finish()),
  (bytes: Buffer) => EchoRequest.decode(bytes),
  'unary',
);
server.register(
  '/echo.v1.EchoService/Chat',
  (call: grpc.ServerDuplexStream<EchoRequest, EchoResponse>) => {
    call.on('data', () => {});
    const timer = setInterval(() => call.write({ message: '', serverId: id }), 20);
    call.on('cancelled', () => clearInterval(timer));
  },
  (response: EchoResponse) => Buffer.from(EchoResponse.encode(response).finish()),
  (bytes: Buffer) => EchoRequest.decode(bytes),
  'bidi',
);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
});
await reporter.start({ address: `127.0.0.1:${port}` });
reporter.handleSignals(server);
console.log(`127.0.0.1:${port}`);
process.on('disconnect', () => process.exit(0));
