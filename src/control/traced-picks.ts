/**
 * The spans of picks: one of the PickServer call, whose context goes back to the caller as `traceresponse` (W3C Trace
 * Context Level 2), so that the caller can link its own call to it; and one of the lease, from the pick to the outcome
 * that the caller reports, or to the end of its time.
 */
import { TRACING_LIMITS } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { viewPick } from '../core/pick-view.ts';
import type { Pool } from '../core/pool.ts';
import type { CallTrace, CallTracer } from '../grpc/call-tracer.ts';
import { Status } from '../grpc/status.ts';
import { type Peer, RpcError } from './rpc.ts';

const METHOD = 'heapmesh.v1.LookasideService/PickServer';

export class TracedPicks {
  private readonly tracer: CallTracer;
  private readonly mesh: Mesh;
  /** By lease, oldest first. */
  private readonly leases = new Map<number, CallTrace>();
  private readonly sweeper: NodeJS.Timeout;

  constructor(tracer: CallTracer, mesh: Mesh) {
    this.tracer = tracer;
    this.mesh = mesh;
    this.sweeper = setInterval(() => this.sweep(), TRACING_LIMITS.leaseSweepMs).unref();
  }

  /** Runs a pick in a span, where it is sampled. */
  run(
    service: string,
    method: string,
    peer: Peer,
    pick: (trace: CallTrace | undefined) => Buffer | Promise<Buffer>,
  ): Buffer | Promise<Buffer> {
    const traceparent = peer.metadata?.('traceparent') ?? '';
    const tracestate = peer.metadata?.('tracestate') ?? '';
    const parent = traceparent === '' ? undefined : { traceparent, tracestate };
    const attributes = { 'heapmesh.pick.service': service, 'heapmesh.pick.method': method };
    const trace = this.tracer.begin({ kind: 'server', method: METHOD, parent, attributes });
    if (trace === undefined) return pick(undefined);
    const failed = (error: unknown): never => {
      trace.end(error instanceof RpcError ? error.code : Status.INTERNAL, (error as Error).message);
      throw error;
    };
    const answered = (answer: Buffer): Buffer => {
      trace.end(Status.OK);
      return answer;
    };
    try {
      const answer = pick(trace);
      // One that waits for a server to have room.
      return answer instanceof Promise ? answer.then(answered, failed) : answered(answer);
    } catch (error) {
      return failed(error);
    } finally {
      peer.answer?.('traceresponse', trace.context.traceparent);
    }
  }

  /** A pick gave a lease. */
  picked(trace: CallTrace, pool: Pool, lease: number, slot: number): void {
    const { mesh, leases } = this;
    const backend = mesh.idOf(slot);
    trace.set('heapmesh.pool', pool.service);
    trace.set('heapmesh.backend', backend);
    const view = viewPick(pool, slot);
    if (view !== undefined) {
      trace.set('heapmesh.score', view.score);
      if (view.runnerUp >= 0) {
        trace.set('heapmesh.runner_up', mesh.idOf(view.runnerUp));
        trace.set('heapmesh.runner_up.score', view.runnerUpScore);
      }
    }
    const attributes = { 'heapmesh.pool': pool.service, 'heapmesh.backend': backend };
    const child = this.tracer.begin({ kind: 'internal', method: 'lease', parent: trace.context, attributes });
    if (child === undefined) return;
    if (leases.size >= TRACING_LIMITS.leases) this.drop(leases.keys().next().value as number, 'forgotten');
    leases.set(lease, child);
  }

  /** The caller has said what became of a lease. @param latencyMs < 0: it did not say how long the call took */
  completed(lease: number, status: number, latencyMs: number): void {
    const trace = this.leases.get(lease);
    if (trace === undefined) return;
    this.leases.delete(lease);
    trace.set('heapmesh.lease', 'reported');
    if (latencyMs >= 0) trace.set('heapmesh.latency_ms', latencyMs);
    trace.end(status);
  }

  stop(): void {
    clearInterval(this.sweeper);
    for (const lease of [...this.leases.keys()]) this.drop(lease, 'open');
  }

  /** Leases whose time is up end without a word. */
  private sweep(): void {
    for (const lease of [...this.leases.keys()]) {
      if (this.mesh.leases.rowOf(lease) < 0) this.drop(lease, 'expired');
    }
  }

  private drop(lease: number, how: string): void {
    const trace = this.leases.get(lease);
    this.leases.delete(lease);
    trace?.set('heapmesh.lease', how);
    trace?.end(Status.UNKNOWN, `the lease is ${how}: nobody said what became of the call`);
  }
}
