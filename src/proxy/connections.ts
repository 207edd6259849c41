/** The connections of a proxy as people see them. */
import type { Upstream } from './upstream.ts';

export interface CallerConnection {
  /** `host:port` of the caller. */
  readonly address: string;
  readonly ageMs: number;
  readonly streams: number;
  /** It was asked to leave. */
  readonly draining: boolean;
}

export interface UpstreamConnection {
  readonly serverId: string;
  readonly address: string;
  readonly ageMs: number;
  readonly state: 'connecting' | 'open' | 'silent' | 'leaving';
  readonly streams: number;
  /** Most streams that the backend allows; null: it names no limit. */
  readonly streamLimit: number | null;
  /** Calls that wait for a stream of any connection to that backend. */
  readonly waiting: number;
}

export interface ProxyConnections {
  /** Those with most streams first; a bounded number of them. */
  readonly callers: readonly CallerConnection[];
  readonly callersInAll: number;
  readonly upstreams: readonly UpstreamConnection[];
  readonly upstreamsInAll: number;
}

/** The busiest `most`, and how many there are. */
export function busiest<T extends { readonly streams: number }>(
  all: readonly T[],
  most: number,
): readonly T[] {
  return all.toSorted((a, b) => b.streams - a.streams).slice(0, most);
}

export function stateOf(one: Upstream): UpstreamConnection['state'] {
  if (!one.useful) return 'leaving';
  if (!one.ready) return 'connecting';
  return one.silent ? 'silent' : 'open';
}
