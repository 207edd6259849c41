/**
 * A gRPC server of grpc-js as a process of its own, so that a test can kill, stop and restart it. It prints its
 * address, and obeys what comes over IPC.
 */
import { parseArgs } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

/** What a test says to it; each is answered once it is so. */
export interface Order {
  /** Of the whole server, and of `test.v1.Test`. */
  readonly health?: 'SERVING' | 'NOT_SERVING';
  /** How its calls end from now on; `hang`: never. */
  readonly calls?: 'serve' | 'fail' | 'hang';
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'no-health': { type: 'boolean', default: false },
    /** Half a second for each health check. */
    'slow-health': { type: 'boolean', default: false },
  },
});

let calls: Order['calls'] = 'serve';
const pass = (octets: Buffer): Buffer => octets;
const server = new grpc.Server();
server.addService(
  {
    Call: {
      path: '/test.v1.Test/Call',
      requestStream: false,
      responseStream: false,
      requestSerialize: pass,
      requestDeserialize: pass,
      responseSerialize: pass,
      responseDeserialize: pass,
    },
  },
  {
    Call: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      if (calls === 'hang') return;
      if (calls === 'fail') done({ code: grpc.status.UNAVAILABLE, details: 'told to fail' });
      else done(null, call.request);
    },
  },
);
const health = new HealthImplementation({ '': 'SERVING', 'test.v1.Test': 'SERVING' });
if (!values['no-health']) health.addToServer(server);
server.bindAsync(`127.0.0.1:${values.port}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(`127.0.0.1:${port}`);
});
process.on('message', (order: Order) => {
  if (order.health !== undefined) {
    health.setStatus('', order.health);
    health.setStatus('test.v1.Test', order.health);
  }
  if (order.calls !== undefined) calls = order.calls;
  process.send?.('done');
});
process.on('disconnect', () => process.exit(0));
