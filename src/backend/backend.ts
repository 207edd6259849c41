/**
 * `heapmesh/backend`: tells balancers that this process serves calls, and how loaded it is.
 *
 * ```ts
 * const reporter = createLoadReporter({ balancers: ['127.0.0.1:4701'], services: ['echo.v1.EchoService'] });
 * const server = new grpc.Server({ interceptors: [reporter.grpcJsInterceptor()] });
 * // ... addService, bindAsync ...
 * await reporter.start({ address: `:${port}` });
 * reporter.handleSignals(server);
 * ```
 */
import type { ServerInterceptor } from '@grpc/grpc-js';
import type { CallHandle } from './calls.ts';
import type { LinkPhase } from './link.ts';
import type { NiceGrpcMiddleware } from './nice-grpc.ts';
import type { BackendDescription, LoadReporterOptions } from './options.ts';
import { Reporter } from './reporter.ts';

export type { CallTrace, CallTracer, TraceContext, TracedCall } from '../grpc/call-tracer.ts';
export type { CallHandle } from './calls.ts';
export { ReporterError, type ReporterErrorCode } from './error.ts';
export type { NiceGrpcMiddleware } from './nice-grpc.ts';
export type {
  ApplicationUtilization,
  BackendDescription,
  LoadReporterOptions,
  ReporterLogger,
} from './options.ts';

/**
 * - `idle`: not started. `starting`: no balancer has taken this backend yet.
 * - `registered`: at least one balancer has. `disconnected`: none has at the moment.
 * - `draining`, `drained`, `closed`: on the way out, in this order.
 */
export type ReporterPhase =
  | 'idle'
  | 'starting'
  | 'registered'
  | 'disconnected'
  | 'draining'
  | 'drained'
  | 'closed';

export interface BalancerState {
  readonly address: string;
  /** False for one that another balancer has named. */
  readonly configured: boolean;
  readonly phase: LinkPhase;
  /** Of the balancer; empty until it has answered once. */
  readonly instanceId: string;
  /** Under which this balancer knows this backend; empty until it has answered once. */
  readonly id: string;
  readonly reportIntervalMs: number;
  /** Load reports sent so far. */
  readonly reports: number;
  /** Why the last stream ended; absent while there is one. */
  readonly lastError?: string;
}

export interface ReporterState {
  readonly phase: ReporterPhase;
  readonly inFlight: number;
  readonly balancers: readonly BalancerState[];
  /** Why a balancer wants this backend to take no more calls; absent where none does. */
  readonly drainCause?: string;
}

/** Whom an event is about. */
interface OfBalancer {
  /** Its control address. */
  readonly balancer: string;
}

export interface ReporterEvents {
  registered: OfBalancer & { readonly instanceId: string; readonly id: string };
  /** A stream has ended, or none came about. The reporter goes on trying. */
  disconnected: OfBalancer & { readonly code: number; readonly message: string; readonly retryInMs: number };
  /** The registration was refused, for the reason that the message gives. Retried, slowly. */
  refused: OfBalancer & { readonly code: number; readonly message: string; readonly retryInMs: number };
  /** The balancer sends no more calls: an operator or scaling wants this backend away. It may finish and leave. */
  drain: OfBalancer & { readonly timeoutMs: number; readonly cause: string };
  /** This standby takes calls from now on. */
  activate: OfBalancer & { readonly cause: string };
  /** A good time to end long streams: `draining`. */
  phase: { readonly phase: ReporterPhase };
}

export interface StartOptions {
  /** Goes before the `address` of the options. */
  readonly address?: string;
  /** Resolve once one balancer (default), all named in the options, or none has taken this backend. */
  readonly until?: 'one' | 'all' | 'none';
  /** Reject after so long; the reporter goes on trying. Default: wait without end. */
  readonly timeoutMs?: number;
}

/** Of a backend that is registered; its id and address are what it is known by. */
export type DescriptionChanges = Partial<Omit<BackendDescription, 'id' | 'address'>>;

export interface DrainOptions {
  /** Default: `drainTimeoutMs` of the options. */
  readonly timeoutMs?: number;
}

export interface DrainResult {
  /** Every balancer has let go, and no call was in flight at the end. */
  readonly clean: boolean;
  /** Calls in flight at the end. */
  readonly inFlight: number;
  /** Addresses of balancers that did not say that they send no more calls. */
  readonly unconfirmed: readonly string[];
}

/** A server of grpc-js or nice-grpc. */
export type StoppableServer = {
  forceShutdown(): void;
} & ({ tryShutdown(callback: (error?: Error) => void): void } | { shutdown(): Promise<void> });

export interface SignalOptions {
  /** Default SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Default: `drainTimeoutMs` of the reporter's options. */
  readonly drainTimeoutMs?: number;
  /** How long calls may go on in the server once the drain is over, ms. Default 5,000. */
  readonly shutdownTimeoutMs?: number;
  /** Awaited before the process ends: close what else is open. */
  readonly onDrained?: (result: DrainResult) => void | Promise<void>;
  /** End the process when all is done. Default true. */
  readonly exit?: boolean;
}

export interface LoadReporter {
  /**
   * Registers, and reports from then on, whatever happens to the balancers. Rejects with
   * `ReporterError`: `refused` once every balancer of the options has refused for a reason that is in
   * the registration, `timeout`, `closed`, `invalid-options`.
   */
  start(options?: StartOptions): Promise<void>;
  /**
   * Deregisters and waits until every balancer has let go and calls have stopped coming, or the time
   * is up. Rejects only where the options are wrong (`invalid-options`). The server still answers
   * meanwhile; stop it afterwards.
   */
  drain(options?: DrainOptions): Promise<DrainResult>;
  /** Ends at once what is left; balancers are told that this backend is gone. Never rejects. */
  close(): Promise<void>;
  /** Changes what balancers were told, and tells them. Throws `ReporterError` (`invalid-options`, `closed`). */
  update(changes: DescriptionChanges): void;
  /** For servers of other kinds: a call begins; `end` it with its gRPC status code. */
  callStarted(): CallHandle;
  /** For `new grpc.Server({ interceptors: [...] })`, first in the list. */
  grpcJsInterceptor(): ServerInterceptor;
  /** For `createServer().use(...)` of nice-grpc. */
  niceGrpcMiddleware(): NiceGrpcMiddleware;
  /**
   * On SIGTERM and SIGINT: drains, then shuts the servers down, then closes the reporter, then ends
   * the process. A second signal ends it at once. Returns what takes the handlers off.
   */
  handleSignals(servers: StoppableServer | readonly StoppableServer[], options?: SignalOptions): () => void;
  /** Returns what takes the listener off. What a listener throws is logged and changes nothing. */
  on<K extends keyof ReporterEvents>(event: K, listener: (event: ReporterEvents[K]) => void): () => void;
  readonly state: ReporterState;
}

/** Throws `ReporterError` (`invalid-options`). Opens nothing before `start()`. */
export function createLoadReporter(options: LoadReporterOptions): LoadReporter {
  return new Reporter(options);
}
