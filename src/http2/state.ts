/** What both halves of a connection work on: its streams, its output, how streams end. */
import { HTTP2_LIMITS } from '../core/limits.ts';
import { Budget, type Rate } from './budget.ts';
import type { Http2Context } from './context.ts';
import { ConnectionError, ErrorCode, STREAM_FAULTS, type StreamFault } from './errors.ts';
import { ReceiveWindow } from './flow.ts';
import { FrameWriter } from './frame-writer.ts';
import { FrameType } from './frames.ts';
import type { HeaderList } from './header-list.ts';
import { Output } from './output.ts';
import { PeerSettings } from './settings.ts';
import { StreamState, StreamTable } from './streams.ts';
import type { HeadersKind } from './validation.ts';

/** Limits that can be set per connection; defaults, units and reasons are in `HTTP2_LIMITS`. */
export interface ConnectionLimits {
  readonly maxConcurrentStreams: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly heldBytes: number;
  readonly headerListBytes: number;
  readonly headerFields: number;
  readonly continuationFrames: number;
  readonly outputBytes: number;
  readonly outputBytesHard: number;
  readonly rapidResets: Rate;
  readonly rapidResetAgeMs: number;
  readonly rapidResetWarning: number;
  readonly faults: Rate;
  readonly pings: Rate;
  readonly settings: Rate;
  readonly priorities: Rate;
  readonly windowUpdates: Rate;
  readonly tinyData: Rate;
  readonly tinyDataBytes: number;
  readonly strays: Rate;
}

/** Why a stream was over before its time. */
export const ResetCause = {
  /** RST_STREAM of the peer. */
  PEER: 0,
  /** The peer broke a rule on this stream, and was told by RST_STREAM. */
  FAULT: 1,
  /** Above the last stream of a GOAWAY: the peer has not looked at it, it is safe to send again. */
  GOAWAY: 2,
  /** The connection is lost. */
  CONNECTION: 3,
} as const;
export type ResetCause = (typeof ResetCause)[keyof typeof ResetCause];

/**
 * What a connection tells its user. One object for each connection; nothing is made for an event.
 *
 * A handler may call the connection, and others, from within any of these; but not `receive` of any of its context.
 * Buffers and lists are good until it returns; lists with a `serial` above 0 for ever.
 */
export interface ConnectionHandler {
  /** A header block. Valid, as RFC 9113 section 8 asks. */
  headers(stream: number, list: HeaderList, kind: HeadersKind, endStream: boolean): void;
  /** Octets of DATA, `buffer[start, end)`; maybe none, with `endStream`. To be credited once they were passed on. */
  data(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): void;
  /** The stream is over before its time. `closed` follows at once. */
  reset(stream: number, code: number, cause: ResetCause, fault?: StreamFault): void;
  /**
   * The stream is over, in whatever way, and its slot will be used again. The last event of each stream; its tag can
   * still be read.
   */
  closed(stream: number): void;
  /** `sendData` took less than it was given, and will now take more. */
  writable(stream: number): void;
  /** There is output to take, for the first time since it was taken last. */
  output(): void;
  /** SETTINGS came. */
  settings(): void;
  /** A PING of ours was answered. */
  pong(high: number, low: number): void;
  /** GOAWAY came. Streams that it disowns end by `reset` and `closed` after this. */
  goaway(lastStreamId: number, code: number, debug: string): void;
  /** The connection is at its end: what waits in the output tells the peer why; write it and close. */
  failed(error: ConnectionError): void;
}

export class ConnectionState {
  readonly isServer: boolean;
  readonly context: Http2Context;
  readonly handler: ConnectionHandler;
  readonly limits: ConnectionLimits;
  readonly output: Output;
  readonly writer: FrameWriter;
  readonly streams = new StreamTable();
  readonly peer = new PeerSettings();
  readonly window: ReceiveWindow;
  // Full as long as they are not there: most connections never spend of most of them.
  #resets: Budget | undefined;
  #faults: Budget | undefined;
  #pings: Budget | undefined;
  #windowUpdates: Budget | undefined;
  #priorities: Budget | undefined;
  #strays: Budget | undefined;

  /** Monotonic clock of the last chunk, ms. */
  now = 0;
  /** What the peer's window for the connection lets through, octets. */
  sendWindow = 65_535;
  /** SETTINGS of ours that the peer has not acknowledged. */
  settingsUnacknowledged = 0;
  /** Highest stream that the peer opened. */
  lastPeerId = 0;
  /** Highest stream that we opened. The first of a client is 1 (RFC 9113 5.1.1). */
  lastOwnId = -1;
  /** Highest of those that the handler was told of. */
  lastTakenId = 0;
  /** The stream that the last GOAWAY of ours named; −1 for none. */
  goawaySent = -1;
  /** The stream that the last GOAWAY of the peer named; −1 for none. */
  goawayReceived = -1;
  /** Nothing is read or sent any more. */
  ended = false;

  constructor(
    isServer: boolean,
    context: Http2Context,
    handler: ConnectionHandler,
    limits: ConnectionLimits,
  ) {
    this.isServer = isServer;
    this.context = context;
    this.handler = handler;
    this.limits = limits;
    this.output = new Output(context.slabs, handler);
    this.writer = new FrameWriter(this.output);
    this.window = new ReceiveWindow(limits.connectionWindowBytes, limits.heldBytes);
  }

  /**
   * The window of a new stream as we count it. RFC 9113 6.9.3: until our SETTINGS are acknowledged, the peer may
   * still go by the protocol's initial window.
   */
  newReceiveWindow(): number {
    const { streamWindowBytes } = this.limits;
    return this.settingsUnacknowledged > 0 ? Math.max(streamWindowBytes, 65_535) : streamWindowBytes;
  }

  /** Whether a stream was never opened, by either side. */
  isIdle(id: number): boolean {
    const ours = (id & 1) === (this.isServer ? 0 : 1);
    return id > (ours ? this.lastOwnId : this.lastPeerId);
  }

  /**
   * Counts a frame that is only ignored.
   *
   * @throws ConnectionError STRAY_FLOOD
   */
  stray(): void {
    this.#strays ??= new Budget(this.limits.strays);
    if (!this.#strays.take(this.now)) throw new ConnectionError('STRAY_FLOOD');
  }

  /** A stream that the peer opened earns it frames that go with one. */
  earnByStream(): void {
    this.#windowUpdates?.earn(HTTP2_LIMITS.windowUpdatesPerStream);
    this.#priorities?.earn(HTTP2_LIMITS.prioritiesPerStream);
    this.#strays?.earn(HTTP2_LIMITS.straysPerStream);
  }

  // What a peer may do often, and not without end; made when it is first done.

  get resets(): Budget {
    this.#resets ??= new Budget(this.limits.rapidResets);
    return this.#resets;
  }
  get pings(): Budget {
    this.#pings ??= new Budget(this.limits.pings);
    return this.#pings;
  }
  get windowUpdates(): Budget {
    this.#windowUpdates ??= new Budget(this.limits.windowUpdates);
    return this.#windowUpdates;
  }
  get priorities(): Budget {
    this.#priorities ??= new Budget(this.limits.priorities);
    return this.#priorities;
  }

  /** Closes a stream that both sides have ended. */
  endIfDone(slot: number): void {
    const done = StreamState.LOCAL_DONE | StreamState.REMOTE_DONE;
    if ((this.streams.state(slot) & done) !== done) return;
    this.#resets?.earn(HTTP2_LIMITS.rapidResetsPerDone);
    this.release(slot, false);
  }

  /** Gives a slot back. */
  release(slot: number, byOurReset: boolean): void {
    const held = this.streams.held(slot);
    this.streams.remove(slot, byOurReset);
    if (held > 0) {
      this.window.release(held);
      this.announceWindow();
    }
    this.handler.closed(slot);
  }

  /** Ends a stream by RST_STREAM. */
  resetStream(slot: number, code: number): void {
    const id = this.streams.id(slot);
    if (id !== 0) this.writer.words(FrameType.RST_STREAM, 0, id, code);
    // RFC 9113 5.1, closed: after our RST_STREAM "the peer might have sent or enqueued for sending these frames before
    // processing the RST_STREAM frame".
    if (!this.isServer) {
      this.#strays ??= new Budget(this.limits.strays);
      this.#strays.earn(HTTP2_LIMITS.straysPerReset, HTTP2_LIMITS.straysMost);
    }
    this.release(slot, true);
  }

  /**
   * Ends a stream because of what its peer did.
   *
   * @throws ConnectionError FAULT_FLOOD
   */
  streamFault(slot: number, fault: StreamFault): void {
    const code = STREAM_FAULTS[fault].code;
    this.#tellFault(this.streams.id(slot), fault);
    this.abort(slot, code, ResetCause.FAULT, true, fault);
  }

  /** Tells the handler that a stream is over before its time. Whatever it then does about it is too late. */
  abort(slot: number, code: number, cause: ResetCause, byOurReset: boolean, fault?: StreamFault): void {
    this.streams.mark(slot, StreamState.LOCAL_DONE | StreamState.REMOTE_DONE | StreamState.OVER);
    this.handler.reset(slot, code, cause, fault);
    this.release(slot, byOurReset);
  }

  /** The same for a stream that has no slot, or never gets one. */
  refuse(id: number, fault: StreamFault): void {
    this.#tellFault(id, fault);
    this.streams.remember(id, true);
  }

  #tellFault(id: number, fault: StreamFault): void {
    this.context.faults.stream[fault]++;
    // Streams beyond the limit are many at once where a caller has not seen our SETTINGS yet; they cost no more than
    // streams that are opened and reset.
    if (fault === 'TOO_MANY') {
      if (!this.resets.take(this.now)) throw new ConnectionError('RESET_FLOOD');
    } else {
      this.#faults ??= new Budget(this.limits.faults);
      if (!this.#faults.take(this.now)) throw new ConnectionError('FAULT_FLOOD', fault);
    }
    this.guardOutput();
    this.writer.words(FrameType.RST_STREAM, 0, id, STREAM_FAULTS[fault].code);
  }

  /**
   * To be called before an answer is written that the peer can ask for without end.
   *
   * @throws ConnectionError OUTPUT_FLOOD
   */
  guardOutput(): void {
    if (this.output.bytes > this.limits.outputBytesHard) throw new ConnectionError('OUTPUT_FLOOD');
  }

  /** Writes WINDOW_UPDATE of the connection where it is due. */
  announceWindow(): void {
    const increment = this.window.update();
    if (increment > 0 && !this.ended) this.writer.words(FrameType.WINDOW_UPDATE, 0, 0, increment);
  }

  /** Work that was sent earns the peer the frames that it answers by. */
  sentFrames(data: number, others: number): void {
    this.#pings?.earn(data + others);
    // All that was sent may be answered at once, by a peer that was busy with something else.
    if (data === 0) return;
    this.windowUpdates.earn(data * HTTP2_LIMITS.windowUpdatesPerData, HTTP2_LIMITS.windowUpdatesEarned);
  }

  /** Says which stream was the last one that we take. */
  sendGoaway(lastStreamId: number, code: number, debug: string): void {
    this.writer.goaway(lastStreamId, code, debug);
    this.goawaySent = lastStreamId;
  }

  /** Ends all streams, with the connection. */
  loseStreams(): void {
    for (let slot = 0; slot < this.streams.slots && this.streams.count > 0; slot++) {
      if (this.streams.state(slot) === 0) continue;
      this.abort(slot, ErrorCode.NO_ERROR, ResetCause.CONNECTION, false);
    }
  }
}
