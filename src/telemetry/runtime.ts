/** What Node and the system tell of this process: event loop, garbage collection, memory, processor. */
import { constants, monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';

/** Kinds of collections by Node's flag of them. */
const KINDS: readonly (readonly [flag: number, name: string])[] = [
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak callbacks'],
];

/** The delay is sampled each so many ms; that time itself is no delay. */
const RESOLUTION_MS = 10;
/** Steps that the delay of the recent past is taken over: longer than a scraper waits as a rule. */
const RECENT_STEPS = 8;

export interface GcCount {
  readonly kind: string;
  collections: number;
  seconds: number;
}

/** Of the time since the step before. */
export interface RuntimeStep {
  /** ms */
  readonly delayP50: number;
  readonly delayP99: number;
  readonly delayMax: number;
  /** Share of the time that the event loop was at work, and that collections took. */
  readonly busy: number;
  readonly gc: number;
  /** Processor time over time. */
  readonly cpu: number;
}

export class Runtime {
  readonly gc: readonly GcCount[] = KINDS.map(([, kind]) => ({ kind, collections: 0, seconds: 0 }));
  /** Of the last step. */
  last: RuntimeStep = { delayP50: 0, delayP99: 0, delayMax: 0, busy: 0, gc: 0, cpu: 0 };
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private readonly observer: PerformanceObserver;
  private readonly recent: RuntimeStep[] = [];
  private utilization = performance.eventLoopUtilization();
  private cpu = process.cpuUsage();
  private at = performance.now();
  private gcSeconds = 0;

  constructor() {
    this.observer = new PerformanceObserver(list => {
      for (const entry of list.getEntries()) {
        const kind = (entry as unknown as { detail?: { kind?: number } }).detail?.kind;
        const count = this.gc[KINDS.findIndex(([flag]) => flag === kind)];
        if (count === undefined) continue;
        count.collections++;
        count.seconds += entry.duration / 1000;
      }
    });
    this.observer.observe({ entryTypes: ['gc'] });
    this.delay.enable();
  }

  /** Closes a step: what is told from now on is of the next one. */
  step(): void {
    const now = performance.now();
    const elapsed = Math.max(1, now - this.at);
    const cpu = process.cpuUsage(this.cpu);
    const gcSeconds = this.gc.reduce((sum, { seconds }) => sum + seconds, 0);
    const late = (ns: number): number => Math.max(0, ns / 1e6 - RESOLUTION_MS);
    this.last = {
      delayP50: late(this.delay.percentile(50)),
      delayP99: late(this.delay.percentile(99)),
      delayMax: late(this.delay.max),
      busy: performance.eventLoopUtilization(this.utilization).utilization,
      gc: ((gcSeconds - this.gcSeconds) * 1000) / elapsed,
      cpu: (cpu.user + cpu.system) / 1000 / elapsed,
    };
    this.recent.push(this.last);
    if (this.recent.length > RECENT_STEPS) this.recent.shift();
    this.delay.reset();
    this.utilization = performance.eventLoopUtilization();
    this.cpu = process.cpuUsage();
    this.at = now;
    this.gcSeconds = gcSeconds;
  }

  /** The worst of the last 16 s. */
  worst(of: 'delayP50' | 'delayP99' | 'delayMax'): number {
    return this.recent.reduce((most, step) => Math.max(most, step[of]), 0);
  }

  stop(): void {
    this.observer.disconnect();
    this.delay.disable();
  }
}
