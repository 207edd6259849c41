/** What is measured of a run: latencies of calls that began within the window, and where they went. */
import { widened } from './queue.ts';

export interface RunResult {
  readonly policy: string;
  readonly scenario: string;
  readonly seed: number;
  /** Calls that began while it was measured. */
  readonly calls: number;
  /** Share of them that failed or that nobody took. */
  readonly failed: number;
  /** Served calls a second of the window. */
  readonly goodput: number;
  /** Latency, ms: served calls and those given up at their deadline. */
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  /** Latency without the time that serving takes at full speed and the network, ms. */
  readonly queueing99: number;
  /** Share of the calls by server. */
  readonly shares: readonly number[];
  /** Simulated time, and calls in all. */
  readonly simulatedMs: number;
  readonly callsInAll: number;
  /** Servers' states and picks that a scenario wants told: see `world.ts`. */
  readonly notes: Readonly<Record<string, number>>;
  /** For plots; absent unless asked for. */
  readonly plot?: RunPlot;
}

export interface RunPlot {
  /** Latencies at 0, 1/1000 ... of the calls, ms. */
  readonly cdf: readonly number[];
  /** Times of the samples, ms. */
  readonly times: readonly number[];
  /** By server: calls in flight at these times. */
  readonly inFlight: readonly (readonly number[])[];
}

/** Steps of a plotted distribution. */
const CDF_STEPS = 1000;

export class Tally {
  calls = 0;
  failed = 0;
  served = 0;
  readonly byServer: Int32Array;
  private latencies = new Float64Array(1 << 16);
  private queueing = new Float64Array(1 << 16);
  private count = 0;

  constructor(servers: number) {
    this.byServer = new Int32Array(servers);
  }

  /** A measured call has ended, or was given up. */
  add(latencyMs: number, queueingMs: number): void {
    if (this.count === this.latencies.length) {
      this.latencies = widened(this.latencies, new Float64Array(this.count * 2));
      this.queueing = widened(this.queueing, new Float64Array(this.count * 2));
    }
    this.latencies[this.count] = latencyMs;
    this.queueing[this.count] = queueingMs;
    this.count++;
  }

  /** The figures; the tally is sorted by it and takes no more calls. */
  figures(windowMs: number) {
    const latencies = this.latencies.subarray(0, this.count).sort();
    const queueing = this.queueing.subarray(0, this.count).sort();
    let sum = 0;
    for (const latency of latencies) sum += latency;
    return {
      calls: this.calls,
      failed: this.calls > 0 ? this.failed / this.calls : 0,
      goodput: windowMs > 0 ? (this.served * 1000) / windowMs : 0,
      mean: this.count > 0 ? sum / this.count : 0,
      p50: quantile(latencies, 0.5),
      p90: quantile(latencies, 0.9),
      p99: quantile(latencies, 0.99),
      p999: quantile(latencies, 0.999),
      queueing99: quantile(queueing, 0.99),
      shares: Array.from(this.byServer, n => (this.calls > 0 ? n / this.calls : 0)),
    };
  }

  /** After `figures`. */
  cdf(): number[] {
    const latencies = this.latencies.subarray(0, this.count);
    return Array.from({ length: CDF_STEPS + 1 }, (_, step) => quantile(latencies, step / CDF_STEPS));
  }
}

/** Of sorted values; 0 where there are none. */
function quantile(sorted: Float64Array, q: number): number {
  if (sorted.length === 0) return 0;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}
