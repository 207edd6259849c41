/** What a reporter is told, checked once. */
import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js';
import { CONTROL, REPORTER_LIMITS } from '../core/limits.ts';
import type { Registration } from '../gen/heapmesh/v1/load_report.ts';
import type { CallTracer } from '../grpc/call-tracer.ts';
import { ReporterError } from './error.ts';

/**
 * Where `application_utilization` comes from; it is what balancers score by.
 * - `max`: the highest of event loop, process CPU and cgroup CPU, whichever runs out first.
 * - `event-loop`, `cpu`: that one alone (`cpu` includes the cgroup's).
 * - a function: a fraction of what the application can do, 1 being full; 0 says that it is not known.
 */
export type ApplicationUtilization = 'max' | 'event-loop' | 'cpu' | (() => number);

/** `console` is one; so is pino. */
export interface ReporterLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** What balancers are told of this backend. */
export interface BackendDescription {
  /**
   * `host:port` that callers reach this backend at. An empty or wildcard host (`:50051`, `0.0.0.0:50051`)
   * stands for the address that the balancer sees this process at. May be left to `start()`, when the
   * port is known only then.
   */
  readonly address?: string;
  /** Fully qualified gRPC service names; `*` for every service. */
  readonly services: readonly string[];
  /** Unique among backends. Default: the address. */
  readonly id?: string;
  /** Multiplies the capacity that the balancer learns, > 0. Default 1. */
  readonly weight?: number;
  /** Default none. */
  readonly zone?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Most calls in flight at once; balancers send no more. Default 0, no limit. */
  readonly maxConcurrency?: number;
  /** Waits outside the pools until it is activated. Default false. */
  readonly standby?: boolean;
}

export interface LoadReporterOptions extends BackendDescription {
  /**
   * Control addresses of balancers, `host:port` (any target of grpc-js will do). One is enough: it
   * names the others.
   */
  readonly balancers: readonly string[];
  /** Default `max`. */
  readonly applicationUtilization?: ApplicationUtilization;
  /** Further resources by name, each a fraction read at every report: `{ db_pool: () => used / size }`. */
  readonly utilization?: Readonly<Record<string, () => number>>;
  /** Further figures by name, read at every report; at most 64. */
  readonly namedMetrics?: () => Readonly<Record<string, number>>;
  /** Send the load with every call too, in the trailer `endpoint-load-metrics-bin`. Default false. */
  readonly perCallReports?: boolean;
  /**
   * Methods (`/package.Service/Method`) that are no load. Default: health checks, reflection, channelz
   * and ORCA's own service, whose streams stay open for as long as a connection.
   */
  readonly ignoreMethod?: (path: string) => boolean;
  /**
   * Traces the calls that are counted: a server span each. The handler finds the span's context as `traceparent` in
   * the call's metadata, to go with calls of its own. Default: nothing is traced.
   */
  readonly tracer?: CallTracer;
  /** For the streams to balancers. Default: plain text. */
  readonly credentials?: ChannelCredentials;
  /** Further grpc-js channel options for them. */
  readonly channelOptions?: ChannelOptions;
  /** Most that a drain takes, ms. Default 20,000. */
  readonly drainTimeoutMs?: number;
  /** A drain is over only once no call has begun for this long, ms. Default 1,000. */
  readonly settleMs?: number;
  /** Default: warnings and errors to the console. */
  readonly logger?: ReporterLogger;
}

const INFRASTRUCTURE = ['/grpc.health.', '/grpc.reflection.', '/grpc.channelz.', '/xds.service.orca.'];

export interface ResolvedOptions {
  readonly balancers: readonly string[];
  readonly description: BackendDescription;
  readonly applicationUtilization: ApplicationUtilization;
  readonly utilization: Readonly<Record<string, () => number>>;
  readonly namedMetrics: (() => Readonly<Record<string, number>>) | undefined;
  readonly perCallReports: boolean;
  readonly ignoreMethod: (path: string) => boolean;
  readonly tracer: CallTracer | undefined;
  readonly credentials: ChannelCredentials | undefined;
  readonly channelOptions: ChannelOptions;
  readonly drainTimeoutMs: number;
  readonly settleMs: number;
  readonly logger: ReporterLogger;
}

/** Throws `ReporterError` with the code `invalid-options`. */
export function resolveOptions(options: LoadReporterOptions): ResolvedOptions {
  const { balancers, perCallReports, utilization, namedMetrics, credentials, channelOptions } = options;
  requireThat(
    Array.isArray(balancers) && balancers.length > 0,
    'balancers',
    'must name at least one address',
  );
  requireThat(
    balancers.length <= REPORTER_LIMITS.balancers,
    'balancers',
    `names more than ${REPORTER_LIMITS.balancers} addresses`,
  );
  for (const balancer of balancers) {
    const fine = typeof balancer === 'string' && /^[^\s]{1,256}$/.test(balancer);
    requireThat(fine, 'balancers', `holds ${show(balancer)}, which is no address; write host:port`);
    const port = /^[^:/]*:(\d+)$/.exec(balancer)?.[1];
    const portFine = port === undefined ? !/^[^:/]*$/.test(balancer) : isPort(port);
    requireThat(
      portFine,
      'balancers',
      `holds ${show(balancer)}, whose port is missing or wrong; write host:port`,
    );
  }
  checkDescription(options);
  const resources = Object.entries(utilization ?? {});
  const few = resources.length <= REPORTER_LIMITS.metrics;
  requireThat(few, 'utilization', `names more than ${REPORTER_LIMITS.metrics} resources`);
  for (const [name, read] of resources) {
    const short = name.length <= CONTROL.metricNameBytes;
    requireThat(short, 'utilization', `has a name of more than ${CONTROL.metricNameBytes} characters`);
    requireThat(
      typeof read === 'function',
      `utilization.${name}`,
      'must be a function that returns a fraction',
    );
  }
  const isMetrics = namedMetrics === undefined || typeof namedMetrics === 'function';
  requireThat(isMetrics, 'namedMetrics', 'must be a function that returns numbers by name');
  const application = options.applicationUtilization ?? 'max';
  const isSource = typeof application === 'function' || ['max', 'event-loop', 'cpu'].includes(application);
  requireThat(
    isSource,
    'applicationUtilization',
    `is ${show(application)}; give max, event-loop, cpu or a function`,
  );
  return {
    balancers: [...new Set(balancers)],
    description: options,
    applicationUtilization: application,
    utilization: utilization ?? {},
    namedMetrics,
    perCallReports: perCallReports ?? false,
    ignoreMethod: options.ignoreMethod ?? (path => INFRASTRUCTURE.some(prefix => path.startsWith(prefix))),
    tracer: options.tracer,
    credentials,
    channelOptions: channelOptions ?? {},
    drainTimeoutMs: milliseconds(options.drainTimeoutMs, 'drainTimeoutMs', REPORTER_LIMITS.drainTimeoutMs),
    settleMs: milliseconds(options.settleMs, 'settleMs', REPORTER_LIMITS.settleMs),
    logger: options.logger ?? { info: () => {}, warn: console.warn, error: console.error },
  };
}

/** What a balancer would refuse is refused here, where the mistake is. Throws `ReporterError`. */
export function checkDescription(description: BackendDescription): void {
  const { address, services, weight, maxConcurrency, labels } = description;
  if (address !== undefined) {
    const port =
      typeof address === 'string' ? /^(?:\[[^\]\s]*\]|[^:[\]\s]*):(\d+)$/.exec(address)?.[1] : undefined;
    requireThat(
      port !== undefined && isPort(port),
      'address',
      `is ${show(address)}; write host:port, or :port where the balancer shall take the host that it sees`,
    );
  }
  requireThat(
    Array.isArray(services) && services.length > 0,
    'services',
    'must name at least one service, or *',
  );
  for (const service of services) {
    const fine = typeof service === 'string' && /^(\*|[A-Za-z_][\w.]*)$/.test(service);
    requireThat(fine, 'services', `holds ${show(service)}; write the full name, such as echo.v1.EchoService`);
  }
  const weightFine = weight === undefined || (Number.isFinite(weight) && weight > 0);
  requireThat(weightFine, 'weight', `is ${show(weight)}; give a number above 0`);
  const limitFine = maxConcurrency === undefined || (Number.isInteger(maxConcurrency) && maxConcurrency >= 0);
  requireThat(limitFine, 'maxConcurrency', `is ${show(maxConcurrency)}; give a whole number, 0 for no limit`);
  for (const field of ['id', 'zone'] as const) {
    const value = description[field];
    requireThat(value === undefined || typeof value === 'string', field, `is ${show(value)}; give a string`);
  }
  for (const [name, value] of Object.entries(labels ?? {})) {
    requireThat(typeof value === 'string', `labels.${name}`, `is ${show(value)}; give a string`);
  }
}

/** As it goes to balancers. */
export function registrationOf(description: BackendDescription): Registration {
  return {
    id: description.id ?? '',
    address: description.address ?? '',
    services: [...description.services],
    weight: description.weight ?? 1,
    zone: description.zone ?? '',
    labels: { ...description.labels },
    maxConcurrency: description.maxConcurrency ?? 0,
    standby: description.standby ?? false,
  };
}

/** The value, or its default; throws where it is no time. */
export function milliseconds(value: number | undefined, field: string, missing: number): number {
  if (value === undefined) return missing;
  requireThat(Number.isFinite(value) && value >= 0, field, `is ${show(value)}; give milliseconds, 0 or more`);
  return value;
}

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65_535;
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

function requireThat(holds: boolean, field: string, problem: string): asserts holds {
  if (!holds) throw new ReporterError('invalid-options', `${field} ${problem}`);
}
