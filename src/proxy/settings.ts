/** What the configuration says to the proxy, as it needs it. */
import type { RetryPolicy } from './retry.ts';

/** What can be changed while it runs. */
export interface ProxySettings {
  /** Streams that a caller may have open on one connection. */
  readonly maxConcurrentStreams: number;
  /** How long calls that are open get at the end, ms. */
  readonly drainTimeoutMs: number;
  /** Age at which a caller's connection is asked to leave, ms; Infinity: never. Jittered by a tenth. */
  readonly maxConnectionAgeMs: number;
  /** What its calls get then, ms. */
  readonly maxConnectionAgeGraceMs: number;
  /** Whether per-call load reports go on to callers. */
  readonly keepLoadReports: boolean;
  /** The service whose backends answer server reflection; empty: those for any service. */
  readonly reflection: string;
  /** By service. */
  readonly pools: ReadonlyMap<string, PoolProxySettings>;
}

export interface PoolProxySettings {
  readonly retry?: RetryPolicy | undefined;
  /** Age at which a stream is ended, so that long streams spread over what was added, ms. Jittered by a tenth. */
  readonly maxStreamAgeMs?: number | undefined;
}
