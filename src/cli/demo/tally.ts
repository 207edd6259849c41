/** Counts and percentiles of calls, over a phase of the demo and over its last seconds. */
import type { CallerReport } from './messages.ts';

export interface Figures {
  readonly served: number;
  readonly failed: number;
  /** Latency percentiles, ms; NaN where nothing was served. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** By id of the server. */
  readonly byServer: ReadonlyMap<string, number>;
  readonly failures: ReadonlyMap<string, number>;
}

interface Stamped {
  readonly time: number;
  readonly report: CallerReport;
}

export class Tally {
  private readonly kept: Stamped[] = [];
  private readonly keepMs: number;

  /** @param keepMs how far back it looks; Infinity keeps all. */
  constructor(keepMs: number) {
    this.keepMs = keepMs;
  }

  add(report: CallerReport, now: number): void {
    this.kept.push({ time: now, report });
    while (this.kept.length > 0 && now - (this.kept[0] as Stamped).time > this.keepMs) this.kept.shift();
  }

  /** Seconds that the kept reports cover. */
  spanS(now: number): number {
    const first = this.kept[0]?.time;
    return first === undefined ? 0 : Math.max(0.2, (now - first) / 1000 + 0.2);
  }

  figures(): Figures {
    const byServer = new Map<string, number>();
    const failures = new Map<string, number>();
    const latencies: number[] = [];
    let served = 0;
    let failed = 0;
    for (const { report } of this.kept) {
      for (const [id, count] of Object.entries(report.served)) {
        byServer.set(id, (byServer.get(id) ?? 0) + count);
        served += count;
      }
      for (const [name, count] of Object.entries(report.failed)) {
        failures.set(name, (failures.get(name) ?? 0) + count);
        failed += count;
      }
      for (const latency of report.latencies) latencies.push(latency);
    }
    latencies.sort((a, b) => a - b);
    const at = (share: number): number =>
      latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
    return { served, failed, p50: at(0.5), p99: at(0.99), max: at(1), byServer, failures };
  }
}
