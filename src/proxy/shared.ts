/** What all parts of one proxy share. */
import type { Replies } from '../grpc/replies.ts';
import type { HeaderName } from '../http2/http2.ts';
import type { TransportShared } from '../transport/transport.ts';
import type { Call } from './call.ts';
import type { ProxyCounters } from './counters.ts';
import type { End } from './ends.ts';

export interface ProxyShared extends TransportShared {
  readonly replies: Replies;
  readonly counters: ProxyCounters;
  readonly fields: {
    readonly timeout: HeaderName;
    readonly traceparent: HeaderName;
  };
  callAt(index: number): Call;
  /** The way of the calls that an end has ends soon; `what` says whose. */
  tellDraining(end: End, what: string): void;
}
