/** Traces of one process: from settings to what observes calls, and to the collector. */
import { TRACING_LIMITS } from '../../core/limits.ts';
import type { CallTracer } from '../../grpc/call-tracer.ts';
import type { Call, CallObserver } from '../../proxy/proxy.ts';
import { SpanEncoder } from './encoder.ts';
import { ExportQueue, type SpanCounts } from './export-queue.ts';
import { type Identity, makeExporter, resourceOf } from './exporter.ts';
import { ProxiedCalls, type ProxiedCallsSettings } from './proxied-calls.ts';
import { Recorder } from './recorder.ts';
import { Sampling } from './sampling.ts';
import { Tracer } from './tracer.ts';
import { destinationOf, queueOf, samplingOf, type TracesConfig } from './tracing-settings.ts';

export type { SpanCounts } from './export-queue.ts';
export type { Identity } from './exporter.ts';
export type { TracesConfig } from './tracing-settings.ts';

export interface TracingOptions {
  readonly config: TracesConfig;
  /** Of the process: the variables of OpenTelemetry. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly identity: Identity;
  /** Monotonic clock and wall clock, ms; uniform in [0, 1). */
  readonly now: () => number;
  readonly wall: () => number;
  readonly random: () => number;
  /** The id of the backend in a slot of the load table. */
  readonly idOf: (slot: number) => string;
  /** Spans reach the collector no more, and why; undefined: they do again. */
  readonly onState: (failure: string | undefined) => void;
}

export interface Tracing {
  /** For proxied calls. */
  readonly calls: CallObserver;
  /** For calls of the control API. */
  readonly tracer: CallTracer;
  /** Spans since the start, and how many wait now. */
  counts(): Readonly<SpanCounts> & { readonly waiting: number };
  /** The trace that a proxied call is recorded in; undefined where it is not. */
  traceOf(call: Call): string | undefined;
  /** Takes over what can change while running. */
  configure(config: TracesConfig): void;
  /** Tells of streams that stay open. @param eachCall calls back for each call in flight */
  watch(eachCall: (visit: (call: Call) => void) => void): void;
  /** Sends what waits, and ends. */
  close(): Promise<void>;
}

/** For processes that make or take calls without a proxy. Undefined where nothing is to be traced. */
export async function startTracer(
  options: Omit<TracingOptions, 'idOf' | 'onState'>,
): Promise<Pick<Tracing, 'tracer' | 'close'> | undefined> {
  return startTracing({ ...options, idOf: () => '', onState: () => {} });
}

/** Undefined where nothing is to be traced. */
export async function startTracing(options: TracingOptions): Promise<Tracing | undefined> {
  const { config, env, identity, now, wall, random } = options;
  const destination = destinationOf(config, env);
  if (destination === undefined) return undefined;
  const exporter = await makeExporter(destination.protocol, destination.endpoint);
  const encoder = new SpanEncoder(resourceOf(identity), { name: 'heapmesh', version: identity.version });
  const queue = new ExportQueue(encoder, exporter, queueOf(env), options.onState);
  const sampling = new Sampling(samplingOf(config, env), random);
  const recorder = new Recorder({ queue, sampling, now, wall });
  const calls = new ProxiedCalls(recorder, options.idOf, settingsOf(config));
  let ticker: NodeJS.Timeout | undefined;
  return {
    calls,
    tracer: new Tracer(recorder),
    counts: () => ({ ...queue.counts, waiting: queue.size }),
    traceOf: call => calls.traceOf(call),
    configure(next) {
      sampling.configure(samplingOf(next, env));
      calls.configure(settingsOf(next));
    },
    watch(eachCall) {
      ticker = setInterval(() => calls.tick(eachCall), TRACING_LIMITS.tickMs).unref();
    },
    async close() {
      clearInterval(ticker);
      await queue.close(TRACING_LIMITS.spanGraceMs);
    },
  };
}

function settingsOf(config: TracesConfig): ProxiedCallsSettings {
  return {
    alwaysErrors: config.alwaysErrors,
    alwaysSlowerThanMs: config.alwaysSlowerThanMs ?? Number.POSITIVE_INFINITY,
    segmentMs: config.streamSegmentMs,
  };
}
