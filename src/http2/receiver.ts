/** The half of a connection that receives: what each frame means, and what it must not be. */
import { HTTP2_LIMITS } from '../core/limits.ts';
import { Budget } from './budget.ts';
import { DataReceiver } from './data-receiver.ts';
import { ConnectionError, ErrorCode, type StreamFault } from './errors.ts';
import { Flag, type FrameSink, FrameType, readWord } from './frames.ts';
import { HeaderReceiver } from './header-receiver.ts';
import type { Sender } from './sender.ts';
import { type ConnectionState, ResetCause } from './state.ts';

/** What the PING of a graceful end carries: "heapmesh". Keepalive must use another. */
export const DRAIN_PING = { high: 0x68656170, low: 0x6d657368 } as const;

export class Receiver implements FrameSink {
  readonly #state: ConnectionState;
  readonly #sender: Sender;
  readonly #data: DataReceiver;
  readonly #headers: HeaderReceiver;
  #settings: Budget | undefined;
  readonly #drained: () => void;

  #warned = false;

  /** @param drained is called when the peer answers the PING of a graceful end */
  constructor(state: ConnectionState, sender: Sender, drained: () => void) {
    this.#state = state;
    this.#sender = sender;
    this.#drained = drained;
    this.#data = new DataReceiver(state);
    this.#headers = new HeaderReceiver(state);
  }

  frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    this.#expect(type, streamId);
    switch (type) {
      case FrameType.HEADERS:
        this.#headers.headers(flags, streamId, buffer, start, end);
        break;
      case FrameType.CONTINUATION:
        this.#headers.continuation(flags, buffer, start, end);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#windowUpdate(streamId, readWord(buffer, start) & 0x7fffffff);
        break;
      case FrameType.RST_STREAM:
        this.#reset(streamId, readWord(buffer, start) >>> 0);
        break;
      case FrameType.SETTINGS:
        this.#settingsFrame(flags, buffer, start, end);
        break;
      case FrameType.PING:
        this.#ping(flags, readWord(buffer, start), readWord(buffer, start + 4));
        break;
      case FrameType.GOAWAY:
        this.#goaway(buffer, start, end);
        break;
      case FrameType.PRIORITY:
        this.#priority(streamId, buffer, start, end);
        break;
      case FrameType.PUSH_PROMISE:
        // RFC 9113 8.4: "A client cannot push. Thus, servers MUST treat the receipt of a PUSH_PROMISE frame as a
        // connection error"; 6.6: so must a client that has set ENABLE_PUSH to 0, as we do.
        throw new ConnectionError('PUSH');
      default:
        this.#state.stray();
        return;
    }
  }

  #expect(type: number, streamId: number): void {
    // RFC 9113 3.4: "This sequence MUST be followed by a SETTINGS frame"; the server's preface is one as well.
    if (!this.#state.peer.received && type !== FrameType.SETTINGS) throw new ConnectionError('NO_SETTINGS');
    // RFC 9113 6.10: "Any number of CONTINUATION frames can be sent, as long as the preceding frame is on the same
    // stream and is a HEADERS, PUSH_PROMISE, or CONTINUATION frame without the END_HEADERS flag set"; 6.2: other
    // frames in between are a connection error of type PROTOCOL_ERROR, unknown types too (5.5).
    if (
      this.#headers.openStream !== 0 &&
      (type !== FrameType.CONTINUATION || streamId !== this.#headers.openStream)
    ) {
      throw new ConnectionError('HEADERS_INTERRUPTED');
    }
  }

  dataBegins(streamId: number, flags: number, length: number): void {
    this.#expect(FrameType.DATA, streamId);
    this.#data.begins(streamId, flags, length);
  }

  dataPart(buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#data.part(buffer, start, end, last);
  }

  dataPadding(octets: number): void {
    this.#data.padding(octets);
  }

  /** See `Connection.credit`. */
  credit(slot: number, octets: number): void {
    this.#data.credit(slot, octets);
  }

  #reset(streamId: number, code: number): void {
    const state = this.#state;
    const { streams, limits } = state;
    const slot = streams.find(streamId);
    if (slot < 0) {
      // RFC 9113 6.4: "RST_STREAM frames MUST NOT be sent for a stream in the 'idle' state."
      if (this.#state.isIdle(streamId)) throw new ConnectionError('STREAM_IDLE', `RST_STREAM on ${streamId}`);
      this.#state.stray();
      return;
    }
    const rapid = state.isServer && state.now - streams.born(slot) < limits.rapidResetAgeMs;
    if (rapid && !state.resets.take(state.now)) throw new ConnectionError('RESET_FLOOD');
    state.abort(slot, code, ResetCause.PEER, false);
    if (rapid && !this.#warned && state.resets.spent >= limits.rapidResetWarning) {
      this.#warned = true;
      state.context.faults.connection.RESET_FLOOD++;
      if (state.goawaySent < 0 || state.goawaySent > state.lastTakenId) {
        state.sendGoaway(state.lastTakenId, ErrorCode.ENHANCE_YOUR_CALM, 'too many streams are reset');
      }
    }
  }

  #windowUpdate(streamId: number, increment: number): void {
    const state = this.#state;
    if (!state.windowUpdates.take(state.now)) throw new ConnectionError('WINDOW_FLOOD');
    if (streamId === 0) {
      // RFC 9113 6.9: "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window increment
      // of 0 as a stream error of type PROTOCOL_ERROR; errors on the connection flow-control window MUST be treated
      // as a connection error."
      if (increment === 0) throw new ConnectionError('WINDOW_ZERO');
      if (!this.#sender.enlargeConnection(increment))
        throw new ConnectionError('WINDOW_OVERFLOW', 'connection');
      return;
    }
    const slot = state.streams.find(streamId);
    if (slot < 0) {
      if (this.#state.isIdle(streamId))
        throw new ConnectionError('STREAM_IDLE', `WINDOW_UPDATE on ${streamId}`);
      return;
    }
    if (increment === 0) {
      state.streamFault(slot, 'WINDOW_ZERO');
      return;
    }
    if (!this.#sender.enlarge(slot, increment)) state.streamFault(slot, 'WINDOW_OVERFLOW');
  }

  #settingsFrame(flags: number, buffer: Buffer, start: number, end: number): void {
    const state = this.#state;
    if ((flags & Flag.ACK) !== 0) {
      // RFC 9113 6.5: "Receipt of a SETTINGS frame with the ACK flag set and a length field value other than 0 MUST be
      // treated as a connection error of type FRAME_SIZE_ERROR."
      if (end > start) throw new ConnectionError('FRAME_LENGTH', 'SETTINGS with ACK and a payload');
      if (!state.peer.received) throw new ConnectionError('NO_SETTINGS');
      if (state.settingsUnacknowledged === 0) {
        this.#state.stray();
        return;
      }
      state.settingsUnacknowledged--;
      const less = state.limits.streamWindowBytes - 65_535;
      if (less >= 0) return;
      for (let slot = 0; slot < state.streams.slots; slot++) {
        if (state.streams.state(slot) !== 0) state.streams.addReceiveWindow(slot, less);
      }
      return;
    }
    // RFC 9113 6.5: "A SETTINGS frame with a length other than a multiple of 6 octets MUST be treated as a connection
    // error of type FRAME_SIZE_ERROR."
    if ((end - start) % 6 !== 0)
      throw new ConnectionError('FRAME_LENGTH', `SETTINGS of ${end - start} octets`);
    this.#settings ??= new Budget(state.limits.settings);
    if (!this.#settings.take(state.now)) throw new ConnectionError('SETTINGS_FLOOD');
    const before = state.peer.initialWindowBytes;
    state.peer.read(buffer, start, end, !state.isServer);
    state.guardOutput();
    // The acknowledgement comes before what is sent by the new values (RFC 9113 6.5.3).
    state.writer.settings([], true);
    if (!this.#sender.settings(state.peer.initialWindowBytes - before)) {
      throw new ConnectionError('WINDOW_OVERFLOW', 'by SETTINGS_INITIAL_WINDOW_SIZE');
    }
    state.handler.settings();
  }

  #ping(flags: number, high: number, low: number): void {
    const state = this.#state;
    if ((flags & Flag.ACK) !== 0) {
      if (high === DRAIN_PING.high && low === DRAIN_PING.low) this.#drained();
      else state.handler.pong(high, low);
      return;
    }
    if (!state.pings.take(state.now)) throw new ConnectionError('PING_FLOOD');
    state.guardOutput();
    state.writer.words(FrameType.PING, Flag.ACK, 0, high, low);
  }

  #goaway(buffer: Buffer, start: number, end: number): void {
    const state = this.#state;
    const last = readWord(buffer, start) & 0x7fffffff;
    // RFC 9113 6.8: "Endpoints MUST NOT increase the value they send in the last stream identifier".
    if (state.goawayReceived >= 0 && last > state.goawayReceived) throw new ConnectionError('GOAWAY_GREW');
    state.goawayReceived = last;
    const debugEnd = Math.min(end, start + 8 + HTTP2_LIMITS.debugBytes);
    state.handler.goaway(
      last,
      readWord(buffer, start + 4) >>> 0,
      buffer.toString('utf8', start + 8, debugEnd),
    );
    if (state.isServer) return;
    for (let slot = 0; slot < state.streams.slots; slot++) {
      const id = state.streams.id(slot);
      if (state.streams.state(slot) === 0 || (id !== 0 && id <= last)) continue;
      state.abort(slot, ErrorCode.REFUSED_STREAM, ResetCause.GOAWAY, true);
    }
  }

  /** PRIORITY does nothing (RFC 9113 5.3.2), but has to be well-formed. */
  #priority(streamId: number, buffer: Buffer, start: number, end: number): void {
    const state = this.#state;
    if (!state.priorities.take(state.now)) throw new ConnectionError('PRIORITY_FLOOD');
    // RFC 9113 6.3: "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error of type
    // FRAME_SIZE_ERROR."
    const fault: StreamFault | undefined =
      end - start !== 5
        ? 'PRIORITY_LENGTH'
        : (readWord(buffer, start) & 0x7fffffff) === streamId
          ? 'SELF_DEPENDENCY'
          : undefined;
    if (fault === undefined) return;
    const slot = state.streams.find(streamId);
    if (slot >= 0) state.streamFault(slot, fault);
    // An idle stream cannot be reset (RFC 9113 6.4): the connection ends instead.
    else if (this.#state.isIdle(streamId))
      throw new ConnectionError('FRAME_LENGTH', `PRIORITY on idle ${streamId}: ${fault}`);
    else state.refuse(streamId, fault);
  }
}
