/** The half of a connection that sends: header blocks, DATA within the peer's windows, who waits for them. */
import { HTTP2_LIMITS } from '../core/limits.ts';
import { overflows } from './flow.ts';
import { FRAME_HEADER_BYTES } from './frames.ts';
import type { HeaderList } from './header-list.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import type { HeaderName } from './hpack/names.ts';
import type { ConnectionState } from './state.ts';
import { StreamState } from './streams.ts';

export class Sender {
  readonly #state: ConnectionState;
  readonly #encoder: HpackEncoder;
  #stream = -1; // whose header block is being built

  constructor(state: ConnectionState) {
    this.#state = state;
    this.#encoder = new HpackEncoder(state.output, state.context.rememberBlocks);
  }

  /** Whether a client may open one more stream now. */
  get canOpen(): boolean {
    const { goawayReceived, goawaySent, ended, streams, peer, lastOwnId } = this.#state;
    if (ended || goawayReceived >= 0 || goawaySent >= 0) return false;
    // RFC 9113 5.1.1: "Stream identifiers cannot be reused"; a new connection takes over.
    return streams.count < peer.maxConcurrentStreams && lastOwnId < 0x7ffffffd;
  }

  open(): number {
    if (!this.canOpen) return -1;
    const state = this.#state;
    return state.streams.add(0, state.peer.initialWindowBytes, state.newReceiveWindow(), state.now);
  }

  beginHeaders(slot: number): void {
    const state = this.#state;
    const { streams } = state;
    const bits = streams.state(slot);
    if ((bits & (StreamState.OPEN | StreamState.LOCAL_DONE)) !== StreamState.OPEN || this.#stream >= 0) {
      throw new Error(`HEADERS on slot ${slot}, which is not open for sending`);
    }
    if (streams.id(slot) === 0) {
      state.lastOwnId += 2;
      streams.identify(slot, state.lastOwnId);
      state.earnByStream();
    }
    this.#stream = slot;
    this.#encoder.begin(FRAME_HEADER_BYTES);
  }

  list(list: HeaderList): void {
    this.#encoder.list(list);
  }

  field(list: HeaderList, i: number): void {
    this.#encoder.field(list, i);
  }

  text(name: HeaderName, value: string): void {
    this.#encoder.text(name, value);
  }

  endHeaders(endStream: boolean): void {
    const state = this.#state;
    const slot = this.#stream;
    this.#stream = -1;
    state.writer.headers(state.streams.id(slot), this.#encoder.end(), endStream, HTTP2_LIMITS.frameBytes);
    state.sentFrames(0, 1);
    state.streams.mark(
      slot,
      endStream ? StreamState.HEAD_SENT | StreamState.LOCAL_DONE : StreamState.HEAD_SENT,
    );
    if (endStream) state.endIfDone(slot);
  }

  /** Takes back a header block that was begun and not ended, before the connection says its last word. */
  abandonHeaders(): void {
    if (this.#stream < 0) return;
    this.#stream = -1;
    this.#state.output.position = this.#encoder.end();
  }

  /** @returns how many octets were taken */
  data(slot: number, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    const state = this.#state;
    const { streams } = state;
    const bits = streams.state(slot);
    const ready = StreamState.OPEN | StreamState.HEAD_SENT;
    if ((bits & (ready | StreamState.LOCAL_DONE)) !== ready) {
      throw new Error(`DATA on slot ${slot}, which is not open for sending`);
    }
    if ((bits & (StreamState.BLOCKED | StreamState.QUEUED)) !== 0) {
      streams.unmark(slot, StreamState.BLOCKED);
      streams.dequeue(slot);
    }
    const length = end - start;
    const room = Math.min(
      streams.sendWindow(slot),
      state.sendWindow,
      state.limits.outputBytes - state.output.bytes,
    );
    const taken = Math.min(length, Math.max(0, room));
    const whole = taken === length;
    if (taken > 0 || (whole && endStream))
      this.#frames(slot, buffer, start, start + taken, whole && endStream);
    if (!whole) this.#wait(slot);
    else if (endStream) {
      streams.mark(slot, StreamState.LOCAL_DONE);
      state.endIfDone(slot);
    }
    return taken;
  }

  #frames(slot: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const state = this.#state;
    const id = state.streams.id(slot);
    let at = start;
    let frames = 0;
    do {
      const stop = Math.min(end, at + HTTP2_LIMITS.frameBytes);
      if (state.writer.data(id, buffer, at, stop, endStream && stop === end, HTTP2_LIMITS.frameBytes))
        frames++;
      at = stop;
    } while (at < end);
    state.streams.addSendWindow(slot, start - end);
    state.sendWindow -= end - start;
    state.sentFrames(frames, 0);
  }

  #wait(slot: number): void {
    const { streams } = this.#state;
    if (streams.sendWindow(slot) <= 0) streams.mark(slot, StreamState.BLOCKED);
    else streams.enqueue(slot);
  }

  /** The peer enlarged a stream's window. @returns false where it went beyond its maximum */
  enlarge(slot: number, increment: number): boolean {
    const { streams } = this.#state;
    if (overflows(streams.sendWindow(slot), increment)) return false;
    streams.addSendWindow(slot, increment);
    this.#wake(slot);
    return true;
  }

  /** Lets a stream go on that waited for its own window. */
  #wake(slot: number): void {
    const { streams, handler } = this.#state;
    if ((streams.state(slot) & StreamState.BLOCKED) === 0 || streams.sendWindow(slot) <= 0) return;
    streams.unmark(slot, StreamState.BLOCKED);
    if (this.#open) handler.writable(slot);
    else streams.enqueue(slot);
  }

  /** The peer enlarged the connection's window. @returns false where it went beyond its maximum */
  enlargeConnection(increment: number): boolean {
    if (overflows(this.#state.sendWindow, increment)) return false;
    this.#state.sendWindow += increment;
    this.resume();
    return true;
  }

  /** The peer's SETTINGS came: the initial window differs by so much. @returns false where a window went beyond its maximum */
  settings(windowChange: number): boolean {
    const { streams, peer } = this.#state;
    this.#encoder.tableSize(peer.headerTableBytes);
    if (windowChange === 0) return true;
    // RFC 9113 6.9.2: "a receiver MUST adjust the size of all stream flow-control windows that it maintains by the
    // difference between the new value and the old value." They may become negative.
    for (let slot = 0; slot < streams.slots; slot++) {
      if (streams.state(slot) === 0) continue;
      if (overflows(streams.sendWindow(slot), windowChange)) return false;
      streams.addSendWindow(slot, windowChange);
    }
    // Only then, as streams that the handler opens meanwhile have the new window already.
    for (let slot = 0; slot < streams.slots; slot++) this.#wake(slot);
    return true;
  }

  /** Lets those that wait for the connection go on, one turn each, as long as there is room. */
  resume(): void {
    const { streams, handler } = this.#state;
    for (let turns = streams.queued; turns > 0 && this.#open; turns--) {
      const slot = streams.firstQueued();
      if (slot < 0) return;
      streams.dequeue(slot);
      handler.writable(slot);
    }
  }

  get #open(): boolean {
    const { sendWindow, limits, output, ended } = this.#state;
    return sendWindow > 0 && output.bytes < limits.outputBytes && !ended;
  }
}
