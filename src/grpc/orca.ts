/**
 * From the standard load report (`xds.data.orca.v3.OrcaLoadReport`) to the core's numbers. It comes
 * over `ReportLoad`, with `ReportOutcomes`, and as a call's trailer; all three read it here.
 */
import type { LoadSample } from '../core/core.ts';

/** The name under which calls in flight travel in `named_metrics`. */
export const IN_FLIGHT_METRIC = 'in_flight';

/** The trailer of a call that carries an encoded `OrcaLoadReport`. */
export const ORCA_TRAILER = 'endpoint-load-metrics-bin';

/** What is read of an `OrcaLoadReport`. */
export interface OrcaReport {
  readonly cpuUtilization: number;
  readonly applicationUtilization: number;
  readonly rps: bigint;
  readonly rpsFractional: number;
  readonly eps: number;
  readonly namedMetrics: Readonly<Record<string, number>>;
}

/**
 * `windowMs` is what the rates and the utilization cover; NaN is the time since the last report.
 * gRFC A58: utilization is `application_utilization` where it is above 0, else `cpu_utilization`.
 */
export function sampleOf(report: OrcaReport, windowMs: number): LoadSample {
  const inFlight = report.namedMetrics[IN_FLIGHT_METRIC];
  return {
    inFlight: inFlight ?? Number.NaN,
    utilization: report.applicationUtilization > 0 ? report.applicationUtilization : report.cpuUtilization,
    // Reporters that know only the superseded field still count.
    rps: report.rpsFractional > 0 ? report.rpsFractional : Number(report.rps),
    eps: report.eps,
    windowMs,
  };
}
