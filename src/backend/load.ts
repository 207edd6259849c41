/** Makes load reports: each of a window of its own, between two readings. */
import type { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { IN_FLIGHT_METRIC } from '../grpc/orca.ts';
import type { CallCounter } from './calls.ts';
import type { CustomMetrics } from './custom-metrics.ts';
import type { ApplicationUtilization } from './options.ts';
import { fractionUsed, type Samplers, type Usages } from './samplers/samplers.ts';

/** All that only grows, as it was at one time. */
export interface Reading {
  readonly at: number;
  readonly ended: number;
  readonly failed: number;
  readonly latencyMs: number;
  readonly usages: Usages;
}

export class LoadMeter {
  readonly calls: CallCounter;
  readonly #samplers: Samplers;
  readonly #application: ApplicationUtilization;
  readonly #custom: CustomMetrics;
  readonly #now: () => number;

  constructor(
    calls: CallCounter,
    samplers: Samplers,
    application: ApplicationUtilization,
    custom: CustomMetrics,
    now: () => number,
  ) {
    this.calls = calls;
    this.#samplers = samplers;
    this.#application = application;
    this.#custom = custom;
    this.#now = now;
  }

  read(): Reading {
    const { ended, failed, latencyMs } = this.calls;
    return { at: this.#now(), ended, failed, latencyMs, usages: this.#samplers.read() };
  }

  /** The load between two readings; calls in flight are those of this moment. */
  report(from: Reading, to: Reading): OrcaLoadReport {
    const seconds = (to.at - from.at) / 1_000;
    const ended = to.ended - from.ended;
    const perSecond = (count: number) => (seconds >= 1e-6 ? count / seconds : 0);
    const cpu = fractionUsed(from.usages.cpu, to.usages.cpu);
    const cgroupCpu = fractionUsed(from.usages.cgroupCpu, to.usages.cgroupCpu);
    const eventLoop = fractionUsed(from.usages.eventLoop, to.usages.eventLoop);

    const namedMetrics = this.#custom.namedMetrics();
    if (ended > 0) namedMetrics.latency_ms = (to.latencyMs - from.latencyMs) / ended;
    namedMetrics[IN_FLIGHT_METRIC] = this.calls.inFlight;

    const utilization = this.#custom.utilization();
    utilization.event_loop = known(eventLoop);
    if (!Number.isNaN(cgroupCpu)) utilization.cgroup_cpu = cgroupCpu;

    return {
      cpuUtilization: known(cpu),
      memUtilization: known(to.usages.memory),
      applicationUtilization: this.#applicationUtilization(cpu, cgroupCpu, eventLoop),
      rps: 0n,
      rpsFractional: perSecond(ended),
      eps: perSecond(to.failed - from.failed),
      requestCost: {},
      utilization,
      namedMetrics,
    };
  }

  #applicationUtilization(cpu: number, cgroupCpu: number, eventLoop: number): number {
    switch (this.#application) {
      case 'cpu':
        return Math.max(known(cpu), known(cgroupCpu));
      case 'event-loop':
        return known(eventLoop);
      case 'max':
        return Math.max(known(cpu), known(cgroupCpu), known(eventLoop));
      default:
        return this.#custom.application(this.#application);
    }
  }
}

/** 0 is how a report says that it does not know. */
function known(value: number): number {
  return Number.isNaN(value) ? 0 : value;
}
