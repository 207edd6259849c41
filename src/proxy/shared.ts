/** What all parts of one proxy share. */
import type { HeaderName, Http2Context } from '../http2/http2.ts';
import type { Call } from './call.ts';
import type { ProxyCounters } from './counters.ts';
import type { End } from './ends.ts';
import type { Flusher } from './flusher.ts';
import type { Replies } from './replies.ts';
import type { Sockets } from './sockets.ts';

export interface ProxyShared {
  readonly context: Http2Context;
  readonly flusher: Flusher;
  readonly sockets: Sockets;
  readonly replies: Replies;
  readonly counters: ProxyCounters;
  readonly fields: {
    readonly timeout: HeaderName;
    readonly traceparent: HeaderName;
  };
  /** Monotonic clock, ms. */
  now(): number;
  callAt(index: number): Call;
  /** The way of the calls that an end has ends soon; `what` says whose. */
  tellDraining(end: End, what: string): void;
  /** A fault of our own; the process goes on. */
  onError(error: unknown): void;
}
