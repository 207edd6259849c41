/** The caller's side of a lease: completed once, renewed until then. */
import type { ReportOutcomesRequest } from '../gen/heapmesh/v1/lookaside.ts';
import { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { durationOf } from '../grpc/duration.ts';
import { requireThat, show } from './error.ts';

/** The load that a backend told with a call's trailer (`endpoint-load-metrics-bin`). */
export interface LoadReport {
  /** A fraction of what the application can do; what balancers score by. */
  readonly applicationUtilization?: number;
  readonly cpuUtilization?: number;
  readonly memUtilization?: number;
  /** Calls a second that ended, failed ones included. */
  readonly rpsFractional?: number;
  /** Failed calls a second. */
  readonly eps?: number;
  /** `in_flight` is the number of calls in flight. */
  readonly namedMetrics?: Readonly<Record<string, number>>;
}

/** How the call ended that a lease was for. */
export interface CallOutcome {
  /** gRPC status code. Default 0, OK. */
  readonly status?: number;
  /** Default: the time since the pick. */
  readonly latencyMs?: number;
  /** The trailer's bytes, or what they say. */
  readonly load?: LoadReport | Uint8Array;
}

/** A call in flight, as the balancer counts it. */
export interface Lease {
  readonly id: string;
  /**
   * Says how the call ended. True the first time; afterwards false, and nothing happens. Until then the
   * lease is renewed by itself, as long as this object is held by anybody.
   *
   * Throws `ClientError` with the code `invalid-options`, and may then be called again.
   */
  complete(outcome?: CallOutcome): boolean;
}

/** What is kept of a lease while it is open. Does not hold the `Lease`, so that a forgotten one is noticed. */
export interface OpenLease {
  readonly id: string;
  readonly ttlMs: number;
  readonly pickedAt: number;
  renewAt: number;
  readonly handle: WeakRef<Lease>;
  readonly send: (message: ReportOutcomesRequest) => void;
}

/** `send` is called with the outcome, once; `done` right before that. */
export function makeLease(
  id: string,
  pickedAt: number,
  finish: (message: ReportOutcomesRequest) => void,
): Lease {
  let open = true;
  return {
    id,
    complete(outcome = {}) {
      if (!open) return false;
      const { status = 0, latencyMs = performance.now() - pickedAt, load } = outcome;
      const isCode = Number.isInteger(status) && status >= 0 && status < 2 ** 32;
      requireThat(isCode, 'status', `is ${show(status)}; give a gRPC status code`);
      const isTime = Number.isFinite(latencyMs) && latencyMs >= 0;
      requireThat(isTime, 'latencyMs', `is ${show(latencyMs)}; give milliseconds, 0 or more`);
      const report = load === undefined ? undefined : reportOf(load);
      open = false;
      finish({
        leaseId: id,
        grpcStatus: status,
        latency: durationOf(latencyMs),
        inProgress: false,
        load: report,
      });
      return true;
    },
  };
}

export function renewal(id: string): ReportOutcomesRequest {
  return { leaseId: id, grpcStatus: 0, latency: undefined, inProgress: true, load: undefined };
}

function reportOf(load: LoadReport | Uint8Array): OrcaLoadReport | undefined {
  if (!(load instanceof Uint8Array)) return OrcaLoadReport.fromPartial(load);
  try {
    return OrcaLoadReport.decode(load);
  } catch {
    // A backend's trailer that is no report must not fail its caller's call.
    return undefined;
  }
}
