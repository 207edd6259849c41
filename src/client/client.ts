/**
 * `heapmesh/client`: for callers.
 *
 * - `registerHeapmesh(grpc)`: channels with the target `heapmesh://HOST:PORT[,HOST:PORT]/SERVICE` pick a
 *   server for every call in this process, by the balancer's score over the load that it streams.
 * - `createPickClient()`: asks the balancer for every call, for callers without a grpc-js channel.
 *
 * Needs nothing but `@grpc/grpc-js`, a peer dependency.
 */
export type { CallTrace, CallTracer, TraceContext, TracedCall } from '../grpc/call-tracer.ts';
export { ClientError, type ClientErrorCode } from './error.ts';
export type { GrpcModule } from './grpc.ts';
export type { CallOutcome, Lease, LoadReport } from './lease.ts';
export {
  type CallWish,
  createPickClient,
  type PickClient,
  type PickClientOptions,
  type Picked,
  type PickedServer,
  type PickStats,
  type PickWish,
} from './pick-client.ts';
export { registerHeapmesh, requireHeapmesh } from './register.ts';
