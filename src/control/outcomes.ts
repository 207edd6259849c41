/** ReportOutcomes: what became of leases. One answer at the end counts what was taken. */
import type { Mesh } from '../core/mesh.ts';
import { ReportOutcomesRequest, ReportOutcomesResponse } from '../gen/heapmesh/v1/lookaside.ts';
import { outcomeOf } from '../grpc/status.ts';
import { type Authorize, demand } from './authorize.ts';
import type { Clock } from './clock.ts';
import type { ControlCounters } from './counters.ts';
import { type LeaseIds, NoLease } from './lease-id.ts';
import { requestStream } from './methods.ts';
import type { Method, Sink } from './rpc.ts';
import type { TracedPicks } from './traced-picks.ts';
import { validDuration, validLoad } from './validate.ts';

export interface OutcomesOptions {
  readonly mesh: Mesh;
  readonly leaseIds: LeaseIds;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly counters: ControlCounters;
  readonly traced?: TracedPicks | undefined;
}

/** A call that took longer than a week is a caller's clock gone wrong. */
const MOST_LATENCY_MS = 7 * 24 * 3_600_000;

export function reportOutcomes(options: OutcomesOptions): Method {
  const path = '/heapmesh.v1.LookasideService/ReportOutcomes';
  return requestStream('clientStream', path, ReportOutcomesRequest, (peer, sink) => {
    demand(options.authorize, peer, 'report-outcomes', '');
    return new Batch(options, sink);
  });
}

class Batch {
  private readonly options: OutcomesOptions;
  private readonly sink: Sink;
  private accepted = 0;
  private unknown = 0;
  private foreign = 0;

  constructor(options: OutcomesOptions, sink: Sink) {
    this.options = options;
    this.sink = sink;
  }

  message(request: ReportOutcomesRequest): void {
    const { mesh, leaseIds, clock, counters } = this.options;
    const { latency, load } = request;
    // All of the message is checked before any of it is done.
    const latencyMs = latency === undefined ? -1 : validDuration('latency', latency, MOST_LATENCY_MS, -1);
    const sample = load === undefined ? undefined : validLoad(load, undefined, 'load');
    const lease = leaseIds.find(request.leaseId);
    if (lease === NoLease.FOREIGN) {
      this.foreign++;
      counters.outcomesForeign++;
      return;
    }
    const now = clock.now();
    const slot = lease < 0 ? -1 : mesh.leases.slotOf(lease);
    const done =
      lease >= 0 &&
      (request.inProgress
        ? mesh.leases.renew(lease, now)
        : mesh.leases.complete(lease, now, outcomeOf(request.grpcStatus), latencyMs));
    if (!done) {
      this.unknown++;
      counters.outcomesUnknown++;
      return;
    }
    if (!request.inProgress) this.options.traced?.completed(lease, request.grpcStatus, latencyMs);
    this.accepted++;
    counters.outcomesAccepted++;
    // A trailer that says only what the one call cost tells nothing of the backend's load.
    if (sample !== undefined && (sample.inFlight >= 0 || sample.utilization > 0))
      mesh.report(slot, sample, now);
  }

  halfClosed(): void {
    this.sink.write(
      ReportOutcomesResponse.encode({
        accepted: BigInt(this.accepted),
        unknown: BigInt(this.unknown),
        foreign: BigInt(this.foreign),
      }).finish(),
    );
    this.sink.end();
  }

  cancelled(): void {}
}
