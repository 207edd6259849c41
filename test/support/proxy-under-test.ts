/** One face for every proxy that conformance and benchmarks are run on: Heapmesh and its peers. */
import type { ToolName } from '../../scripts/tools/table.ts';
import { envoy } from './proxies/envoy.ts';
import { haproxy, haproxyTcp } from './proxies/haproxy.ts';
import { heapmesh, heapmeshPlain } from './proxies/heapmesh.ts';
import { nginx } from './proxies/nginx.ts';

export interface ProxyUnderTest {
  readonly name: string;
  /** Product and version, for tables. */
  readonly version: () => string;
  readonly needs: readonly ToolName[];
  /**
   * Starts it in front of `backends` (`host:port`), for calls of every service; resolves when it takes calls.
   * The peers run with the settings that their manuals advise for gRPC over cleartext HTTP/2, on one thread.
   */
  start(backends: readonly string[], options?: ProxyOptions): Promise<RunningProxy>;
}

export interface ProxyOptions {
  /** Core to run on; any where it is left out. */
  readonly cpu?: number;
  /** Streams that a caller may open on a connection. Default 100. */
  readonly maxConcurrentStreams?: number;
  /** Connections of callers at the same time. Default 2,000; each takes two open files. */
  readonly maxConnections?: number;
  /** So many of the backends, the first ones, weigh a hundred times as much as the others. Default: all alike. */
  readonly heavy?: number;
  /** How long calls in flight may go on after SIGTERM. Default 10 s. Not all peers have such a time. */
  readonly drainTimeoutMs?: number;
  /** Hands ORCA trailers on to callers, where a proxy takes them for itself. Default false. */
  readonly keepOrcaTrailers?: boolean;
  /** Lets the proxy take failing backends out by what it sees of calls. Default false: peers have that off. */
  readonly passiveHealth?: boolean;
  /** Lets another process take over the port later. Default false. */
  readonly reusePort?: boolean;
  /** Variables of its process besides the present ones, where it is Heapmesh. */
  readonly env?: Readonly<Record<string, string>>;
  /** A running one of the same kind whose address is to be taken over: it drains and ends. */
  readonly takeOver?: RunningProxy;
}

export interface RunningProxy {
  readonly name: string;
  /** `host:port` for callers. */
  readonly address: string;
  readonly pid: number;
  /** Resolves when the process has ended, however. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** What it printed. */
  printed(): string;
  /** Asks it to let calls in flight end and to end itself, in the way that it knows. */
  drain(): void;
  /** Ends it, by force where it does not end by itself soon. */
  stop(): Promise<void>;
}

export const PROXIES: readonly ProxyUnderTest[] = [
  heapmesh,
  heapmeshPlain,
  haproxy,
  haproxyTcp,
  envoy,
  nginx,
];

/** The one that is named, else by HEAPMESH_TEST_PROXY, else Heapmesh. */
export function proxyUnderTest(name = process.env.HEAPMESH_TEST_PROXY ?? 'heapmesh'): ProxyUnderTest {
  const found = PROXIES.find(proxy => proxy.name === name);
  if (found === undefined) {
    throw new Error(`no proxy ${name}; there are ${PROXIES.map(proxy => proxy.name).join(', ')}`);
  }
  return found;
}
