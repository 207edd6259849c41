/**
 * Figures that the application gives. Its functions may throw and may return anything; a balancer ends
 * a stream over a figure that is none. So what cannot be sent is left out, and said once.
 */
import { CONTROL, REPORTER_LIMITS } from '../core/limits.ts';
import { IN_FLIGHT_METRIC } from '../grpc/orca.ts';
import type { ReporterLogger } from './options.ts';

export class CustomMetrics {
  readonly #namedMetrics: (() => Readonly<Record<string, number>>) | undefined;
  readonly #utilization: Readonly<Record<string, () => number>>;
  readonly #logger: ReporterLogger;
  readonly #complained = new Set<string>();

  constructor(
    namedMetrics: (() => Readonly<Record<string, number>>) | undefined,
    utilization: Readonly<Record<string, () => number>>,
    logger: ReporterLogger,
  ) {
    this.#namedMetrics = namedMetrics;
    this.#utilization = utilization;
    this.#logger = logger;
  }

  /** A fresh object, the caller's to add to. */
  namedMetrics(): Record<string, number> {
    const sent: Record<string, number> = {};
    const given = this.#call('namedMetrics', () => this.#namedMetrics?.() ?? {}) ?? {};
    let room: number = REPORTER_LIMITS.metrics;
    for (const [name, value] of Object.entries(given)) {
      if (name === IN_FLIGHT_METRIC) {
        this.#complain(name, 'is counted by the reporter and cannot be set');
      } else if (!Number.isFinite(value)) {
        this.#complain(name, `is ${String(value)}, which is no finite number`);
      } else if (name.length > CONTROL.metricNameBytes) {
        this.#complain(name.slice(0, 32), `has a name of more than ${CONTROL.metricNameBytes} characters`);
      } else if (room-- <= 0) {
        this.#complain('namedMetrics', `has more than ${REPORTER_LIMITS.metrics} entries`);
        break;
      } else {
        sent[name] = value;
      }
    }
    return sent;
  }

  /** A fresh object, the caller's to add to. */
  utilization(): Record<string, number> {
    const sent: Record<string, number> = {};
    for (const [name, read] of Object.entries(this.#utilization)) {
      const value = this.#fraction(`utilization.${name}`, read);
      if (value !== undefined) sent[name] = value;
    }
    return sent;
  }

  /** 0 where the function gives nothing that can be sent. */
  application(read: () => number): number {
    return this.#fraction('applicationUtilization', read) ?? 0;
  }

  #fraction(what: string, read: () => number): number | undefined {
    const value = this.#call(what, read);
    if (value === undefined) return undefined;
    if (value >= 0 && value <= REPORTER_LIMITS.utilization) return value;
    this.#complain(what, `is ${String(value)}, which is no fraction of 0 or more`);
    return undefined;
  }

  #call<T>(what: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.#complain(what, `threw ${String(error)}`);
      return undefined;
    }
  }

  #complain(what: string, problem: string): void {
    if (this.#complained.has(what) || this.#complained.size > REPORTER_LIMITS.metrics) return;
    this.#complained.add(what);
    this.#logger.warn(`heapmesh: ${what} ${problem}; it is left out of the load reports`);
  }
}
