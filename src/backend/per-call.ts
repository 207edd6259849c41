/** The load report that goes with a call, as its trailer `endpoint-load-metrics-bin`. */
import { REPORTER_LIMITS } from '../core/limits.ts';
import { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { IN_FLIGHT_METRIC } from '../grpc/orca.ts';
import type { LoadMeter, Reading } from './load.ts';

/**
 * Calls in flight are those of the moment; rates and utilization are those of the last whole window,
 * since a window as short as a call would be noise.
 */
export class PerCallReports {
  readonly #meter: LoadMeter;
  readonly #now: () => number;
  #from: Reading;
  #report: OrcaLoadReport;

  constructor(meter: LoadMeter, now: () => number) {
    this.#meter = meter;
    this.#now = now;
    this.#from = meter.read();
    this.#report = meter.report(this.#from, this.#from);
  }

  /** Encoded. */
  current(): Buffer {
    if (this.#now() - this.#from.at >= REPORTER_LIMITS.reportIntervalMs) {
      const to = this.#meter.read();
      this.#report = this.#meter.report(this.#from, to);
      this.#from = to;
    }
    this.#report.namedMetrics[IN_FLIGHT_METRIC] = this.#meter.calls.inFlight;
    const bytes = OrcaLoadReport.encode(this.#report).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}
