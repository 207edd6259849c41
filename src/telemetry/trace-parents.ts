/**
 * The callers' `traceparent` of calls in flight, by the call's index, for what is told of a call after its end: its
 * head is gone by then. Octets in one buffer, so that a call costs no object.
 */
import { TRACEPARENT_LENGTH } from '../grpc/trace-context.ts';
import type { HeaderList } from '../http2/http2.ts';
import { TRACEPARENT } from '../proxy/proxy.ts';

/** 2^6 octets a call. */
const SHIFT = 6;

export class TraceParents {
  private octets = Buffer.alloc(0);

  /** Takes what a call's head has. */
  keep(index: number, list: HeaderList): void {
    const at = index << SHIFT;
    if (at >= this.octets.length) {
      const wider = Buffer.alloc(Math.max(64 << SHIFT, this.octets.length * 2, (index + 1) << SHIFT));
      this.octets.copy(wider);
      this.octets = wider;
    }
    const place = list.find(TRACEPARENT);
    if (place < 0 || list.valueBytes(place) < TRACEPARENT_LENGTH) {
      this.octets[at] = 0;
      return;
    }
    const { buffer, start } = list.field(place);
    buffer.copy(this.octets, at, start, start + TRACEPARENT_LENGTH);
  }

  /** As it came; empty where there was none. */
  of(index: number): string {
    const at = index << SHIFT;
    if (at >= this.octets.length || this.octets[at] === 0) return '';
    return this.octets.toString('latin1', at, at + TRACEPARENT_LENGTH);
  }
}
