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
  /** What serving takes from now on, ms. */
  readonly serviceMs?: number;
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'no-health': { type: 'boolean', default: false },
    /** Half a second for each health check. */
    'slow-health': { type: 'boolean', default: false },
    /** What its calls are answered with; by default what they asked. */
    name: { type: 'string' },
  },
});

let calls: Order['calls'] = 'serve';
let serviceMs = 0;
const pass = (octets: Buffer): Buffer => octets;
const answerTo = (asked: Buffer): Buffer => (values.name === undefined ? asked : Buffer.from(values.name));
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
      else if (serviceMs === 0) done(null, answerTo(call.request));
      else setTimeout(() => done(null, answerTo(call.request)), serviceMs);
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
  if (order.serviceMs !== undefined) serviceMs = order.serviceMs;
  process.send?.('done');
});
process.on('disconnect', () => process.exit(0));
