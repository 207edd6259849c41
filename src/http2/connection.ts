/**
 * One HTTP/2 connection, either end of it: octets in, events out; calls in, octets out. No socket and no timer.
 *
 *     start(), once
 *     receive(chunk)  →  handler.headers, data, reset, closed, writable …
 *     sendList, sendData, reset, credit …  →  handler.output() once, then take() → write → written()
 *
 * A stream is known by its slot, a small number, from the handler's first `headers` (or from `open`) to its
 * `closed`, which comes exactly once and also within a call that ends the stream.
 */
import { HTTP2_LIMITS } from '../core/limits.ts';
import type { Http2Context } from './context.ts';
import { ConnectionError, ErrorCode } from './errors.ts';
import { FrameReader, FrameType, PREFACE } from './frames.ts';
import type { HeaderList } from './header-list.ts';
import type { HeaderName } from './hpack/names.ts';
import { DRAIN_PING, Receiver } from './receiver.ts';
import { Sender } from './sender.ts';
import { Setting } from './settings.ts';
import { type ConnectionHandler, type ConnectionLimits, ConnectionState } from './state.ts';
import { StreamState } from './streams.ts';

const MAX_STREAM_ID = 0x7fffffff;

export class Connection {
  readonly #state: ConnectionState;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #reader: FrameReader;
  #failure: ConnectionError | undefined;

  /**
   * @param role which end we are
   */
  constructor(
    role: 'client' | 'server',
    context: Http2Context,
    handler: ConnectionHandler,
    limits: ConnectionLimits = HTTP2_LIMITS,
  ) {
    const state = new ConnectionState(role === 'server', context, handler, limits);
    this.#state = state;
    this.#sender = new Sender(state);
    this.#receiver = new Receiver(state, this.#sender, () => this.#drained());
    this.#reader = new FrameReader(this.#receiver, state.isServer, HTTP2_LIMITS.frameBytes);
  }

  /** Begins: our preface and SETTINGS go into the output. To be called once, before anything else. */
  start(): void {
    const { isServer, output, writer, limits, window } = this.#state;
    if (!isServer) {
      output.room(PREFACE.length);
      output.position += PREFACE.copy(output.buffer, output.position);
    }
    writer.settings(
      [
        isServer ? [Setting.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams] : [Setting.ENABLE_PUSH, 0],
        [Setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
        [Setting.MAX_HEADER_LIST_SIZE, limits.headerListBytes],
      ],
      false,
    );
    this.#state.settingsUnacknowledged = 1;
    const increment = window.initialUpdate();
    if (increment > 0) writer.words(FrameType.WINDOW_UPDATE, 0, 0, increment);
  }

  // State

  /** Streams that are open or half-closed. */
  get openStreams(): number {
    return this.#state.streams.count;
  }
  /** Streams that the peer takes at once. */
  get peerMaxStreams(): number {
    return this.#state.peer.maxConcurrentStreams;
  }
  /** Whether the peer's first SETTINGS have come; with them, that it speaks HTTP/2 at all. */
  get established(): boolean {
    return this.#state.peer.received;
  }
  /** Whether the peer has yet to acknowledge SETTINGS of ours. */
  get settingsPending(): boolean {
    return this.#state.settingsUnacknowledged > 0;
  }
  /** Whether `open` would give a stream now. */
  get canOpen(): boolean {
    return this.#sender.canOpen;
  }
  /** Whether either side has said that it wants no more streams. */
  get leaving(): boolean {
    return this.#state.goawayReceived >= 0 || this.#state.goawaySent >= 0;
  }
  /** Whether it is over: failed, or told that it is lost. */
  get ended(): boolean {
    return this.#state.ended;
  }
  /** Whether the last GOAWAY of ours has said where it ends: no more streams come. */
  get left(): boolean {
    const { goawaySent } = this.#state;
    return goawaySent >= 0 && goawaySent !== MAX_STREAM_ID;
  }
  /** What ended it; undefined as long as it goes on, and where it was merely lost. */
  get failure(): ConnectionError | undefined {
    return this.#failure;
  }
  /** Whether streams wait for the peer to enlarge the window of the connection, which they share. */
  get stalled(): boolean {
    return this.#state.streams.queued > 0 && this.#state.sendWindow <= 0;
  }
  /** Size of a header list that the peer asks not to exceed, octets. */
  get peerMaxHeaderListBytes(): number {
    return this.#state.peer.maxHeaderListBytes;
  }
  /** Octets of DATA that the handler has and did not credit. */
  get heldBytes(): number {
    return this.#state.window.held;
  }

  // In

  /**
   * Takes what came from the transport.
   *
   * Errors are not thrown: `handler.failed` gets them, those of the handler's own too.
   *
   * @param now monotonic clock, ms
   */
  receive(chunk: Buffer, start: number, end: number, now: number): void {
    const { context } = this.#state;
    if (context.receiving)
      throw new Error('receive within receive: hand the octets over once the outer one has returned');
    if (this.#state.ended) return;
    this.#state.now = now;
    context.receiving = true;
    try {
      this.#reader.read(chunk, start, end);
    } catch (error) {
      this.#fail(
        error instanceof ConnectionError ? error : new ConnectionError('ENGINE', '', { cause: error }),
      );
    } finally {
      context.receiving = false;
    }
  }

  /** The transport is gone: every stream that is open ends by `reset` and `closed`. */
  lost(): void {
    this.#end();
    this.#state.output.discard();
  }

  /**
   * Ends the connection for a reason that lies outside of it, such as SETTINGS that were not acknowledged in time,
   * as if the peer had broken a rule.
   */
  fail(error: ConnectionError): void {
    if (!this.#state.ended) this.#fail(error);
  }

  #fail(error: ConnectionError): void {
    const state = this.#state;
    this.#failure = error;
    state.context.faults.connection[error.fault]++;
    // RFC 9113 5.4.1: "An endpoint that encounters a connection error SHOULD first send a GOAWAY frame with the stream
    // identifier of the last stream that it successfully received from its peer."
    if (state.goawaySent < 0 || state.goawaySent > state.lastTakenId) state.goawaySent = state.lastTakenId;
    this.#sender.abandonHeaders();
    state.writer.goaway(state.goawaySent, error.code, error.message);
    this.#end();
    state.handler.failed(error);
  }

  #end(): void {
    if (this.#state.ended) return;
    this.#state.ended = true;
    this.#reader.stop();
    this.#state.loseStreams();
  }

  // Out

  /** Takes what is to be written, in this order; see `Output.take`. */
  take(): Uint8Array[] {
    return this.#state.output.take();
  }

  /** What was taken is written: its buffers are used again, and streams that waited for it go on. */
  written(): void {
    this.#state.output.written();
    if (this.#state.streams.queued > 0) this.#sender.resume();
  }

  /** Octets that wait to be taken or written. */
  get outputBytes(): number {
    return this.#state.output.bytes;
  }

  /** Opens a stream, for a client. Its HEADERS must be the next thing sent on it. @returns −1 where `canOpen` is false */
  open(): number {
    return this.#sender.open();
  }

  /** Sends a header block that is one list. */
  sendList(stream: number, list: HeaderList, endStream: boolean): void {
    this.#sender.beginHeaders(stream);
    this.#sender.list(list);
    this.#sender.endHeaders(endStream);
  }

  /**
   * Begins a header block. `addList`, `addField` and `addText` follow, pseudo-header fields first, then
   * `endHeaders`; nothing else of this connection in between.
   *
   * @throws Error where the stream is not open for sending
   */
  beginHeaders(stream: number): void {
    this.#sender.beginHeaders(stream);
  }
  /** Adds all fields of a list; those that are remembered are encoded once. */
  addList(list: HeaderList): void {
    this.#sender.list(list);
  }
  /** Adds one field of a list, as it came. */
  addField(list: HeaderList, i: number): void {
    this.#sender.field(list, i);
  }
  /** Adds a field of our own. The value is one octet for each character, and without CR, LF and NUL. */
  addText(name: HeaderName, value: string): void {
    this.#sender.text(name, value);
  }
  endHeaders(endStream: boolean): void {
    this.#sender.endHeaders(endStream);
  }

  /**
   * Sends as much of `buffer[start, end)` as windows and output have room for; it is copied.
   *
   * @param endStream whether the stream ends behind it; it does only if all was taken
   * @returns octets taken; where they are fewer, `handler.writable` tells when to offer the rest
   * @throws Error where the stream is not open for sending
   */
  sendData(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    return this.#sender.data(stream, buffer, start, end, endStream);
  }

  /** Ends a stream by RST_STREAM; one that is over already stays so. */
  reset(stream: number, code: number): void {
    const state = this.#state.streams.state(stream);
    if (state !== 0 && (state & StreamState.OVER) === 0) this.#state.resetStream(stream, code);
  }

  /** DATA that was delivered on this stream has been passed on: the peer may send as much again. */
  credit(stream: number, octets: number): void {
    const { streams, window } = this.#state;
    if (octets === 0 || streams.state(stream) === 0) return;
    const back = Math.min(octets, streams.held(stream));
    streams.addHeld(stream, -back);
    window.release(back);
    this.#state.announceWindow();
    this.#receiver.credit(stream, back);
  }

  /** Asks for a sign of life, `handler.pong`. */
  ping(high: number, low: number): void {
    if (!this.#state.ended) this.#state.writer.words(FrameType.PING, 0, 0, high, low);
  }

  /**
   * Begins a graceful end (RFC 9113 6.8): GOAWAY of 2^31-1 and a PING; when that is answered, all streams that were
   * under way have come, and the real GOAWAY follows by itself. If it is not answered in time, `leave` sends it.
   */
  drain(): void {
    const state = this.#state;
    if (state.ended || state.goawaySent >= 0) return;
    state.sendGoaway(MAX_STREAM_ID, ErrorCode.NO_ERROR, '');
    this.ping(DRAIN_PING.high, DRAIN_PING.low);
  }

  /** Takes no more streams than have come so far. Open ones go on; the connection is to be closed after the last. */
  leave(): void {
    const state = this.#state;
    if (state.ended || (state.goawaySent >= 0 && state.goawaySent <= state.lastTakenId)) return;
    state.sendGoaway(state.lastTakenId, ErrorCode.NO_ERROR, '');
  }

  #drained(): void {
    if (this.#state.goawaySent === MAX_STREAM_ID) this.leave();
  }

  // Streams

  /** Identifier of a stream on the wire; 0 before its HEADERS were sent, and for a slot that is free. */
  streamId(stream: number): number {
    return this.#state.streams.id(stream);
  }
  /** Whether the stream takes HEADERS and DATA of ours still. */
  isSendable(stream: number): boolean {
    return (
      (this.#state.streams.state(stream) & (StreamState.OPEN | StreamState.LOCAL_DONE)) === StreamState.OPEN
    );
  }
  /** A number of the user's own for a stream; −1 at first. */
  tag(stream: number): number {
    return this.#state.streams.tag(stream);
  }
  setTag(stream: number, tag: number): void {
    this.#state.streams.setTag(stream, tag);
  }
}
