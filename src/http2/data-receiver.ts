/** DATA as it comes in: windows, content-length, what is held and credited (RFC 9113 6.1 and 6.9). */
import { HTTP2_LIMITS } from '../core/limits.ts';
import { Budget } from './budget.ts';
import { ConnectionError, type StreamFault } from './errors.ts';
import { Flag, FrameType } from './frames.ts';
import type { ConnectionState } from './state.ts';
import { StreamState } from './streams.ts';

export class DataReceiver {
  readonly #state: ConnectionState;
  #tiny: Budget | undefined;
  // The frame that is coming in.
  #slot = -1;
  #stream = 0;
  #ends = false;
  #octets = 0;

  constructor(state: ConnectionState) {
    this.#state = state;
  }

  begins(streamId: number, flags: number, length: number): void {
    const state = this.#state;
    const { streams } = state;
    this.#stream = streamId;
    this.#ends = (flags & Flag.END_STREAM) !== 0;
    this.#octets = 0;
    // RFC 9113 6.9.1: "A receiver MAY respond with a stream error or connection error of type FLOW_CONTROL_ERROR if
    // it is unable to accept a frame." Padding counts, and DATA of streams that are over does (5.1, 6.1, 6.9).
    if (!state.window.take(length)) throw new ConnectionError('WINDOW_OVERRUN', `${length} octets`);
    const slot = streams.find(streamId);
    this.#slot = slot;
    if (slot < 0) {
      this.#ofNobody(streamId);
      return;
    }
    const bits = streams.state(slot);
    // RFC 9113 5.1, half-closed (remote): "If an endpoint receives additional frames, other than WINDOW_UPDATE,
    // PRIORITY, or RST_STREAM, for a stream that is in this state, it MUST respond with a stream error of type
    // STREAM_CLOSED."
    if ((bits & StreamState.REMOTE_DONE) !== 0) {
      this.#fault(slot, 'CLOSED');
      return;
    }
    if ((bits & StreamState.HEAD_RECEIVED) === 0) {
      this.#fault(slot, 'DATA_EARLY');
      return;
    }
    if (length > streams.receiveWindow(slot)) {
      this.#fault(slot, 'WINDOW_OVERRUN');
      return;
    }
    streams.addReceiveWindow(slot, -length);
  }

  #fault(slot: number, fault: StreamFault): void {
    this.#slot = -1;
    this.#state.streamFault(slot, fault);
  }

  #ofNobody(streamId: number): void {
    const state = this.#state;
    // RFC 9113 5.1, idle: "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be
    // treated as a connection error of type PROTOCOL_ERROR."
    if (state.isIdle(streamId)) throw new ConnectionError('STREAM_IDLE', `DATA on ${streamId}`);
    // RFC 9113 5.1, closed: after END_STREAM or RST_STREAM from there, an error; after our RST_STREAM, late frames
    // that are ignored.
    if (state.streams.endedByPeer(streamId)) state.refuse(streamId, 'CLOSED');
  }

  part(buffer: Buffer, start: number, end: number, last: boolean): void {
    const state = this.#state;
    const { streams } = state;
    const octets = end - start;
    this.#octets += octets;
    if (last) this.#judgeSize();
    const slot = this.#slot;
    // The handler may have ended the stream since the frame began, and its slot may be another's by now.
    if (slot < 0 || streams.id(slot) !== this.#stream) {
      this.#drop(octets);
      return;
    }
    const ends = last && this.#ends;
    const expected = streams.expected(slot);
    if (expected >= 0) {
      // RFC 9113 8.1.1: a message "is also malformed if the value of a content-length header field does not equal
      // the sum of the DATA frame payload lengths that form the content".
      if (octets > expected || (ends && octets !== expected)) {
        this.#drop(octets);
        this.#fault(slot, 'CONTENT_LENGTH');
        return;
      }
      streams.setExpected(slot, expected - octets);
    }
    if (octets === 0 && !ends) return;
    if (octets > 0) {
      streams.addHeld(slot, octets);
      state.window.hold(octets);
      state.announceWindow();
    }
    if (ends) streams.mark(slot, StreamState.REMOTE_DONE);
    state.handler.data(slot, buffer, start, end, ends);
    if (ends && streams.id(slot) === this.#stream) state.endIfDone(slot);
  }

  padding(octets: number): void {
    const { streams } = this.#state;
    this.#drop(octets);
    const slot = this.#slot;
    if (slot >= 0 && streams.id(slot) === this.#stream) this.credit(slot, octets);
  }

  #drop(octets: number): void {
    this.#state.window.drop(octets);
    this.#state.announceWindow();
  }

  #judgeSize(): void {
    if (this.#octets >= HTTP2_LIMITS.fullDataBytes) this.#tiny?.earn(1);
    if (this.#ends || this.#octets >= this.#state.limits.tinyDataBytes) return;
    this.#tiny ??= new Budget(this.#state.limits.tinyData);
    if (!this.#tiny.take(this.#state.now)) throw new ConnectionError('EMPTY_DATA_FLOOD');
  }

  /** Lets the peer send so many octets more on a stream. They are announced in lumps of half a window. */
  credit(slot: number, octets: number): void {
    const { streams, writer, limits } = this.#state;
    // Nothing more comes after END_STREAM, so that nothing has to be announced.
    if ((streams.state(slot) & StreamState.REMOTE_DONE) !== 0) return;
    const credit = streams.credit(slot) + octets;
    if (credit * 2 < limits.streamWindowBytes) {
      streams.setCredit(slot, credit);
      return;
    }
    streams.setCredit(slot, 0);
    streams.addReceiveWindow(slot, credit);
    writer.words(FrameType.WINDOW_UPDATE, 0, streams.id(slot), credit);
  }
}
