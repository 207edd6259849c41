/** Header blocks as they come in: put together, decoded, judged, and given to their streams (RFC 9113 6.2, 6.10, 8). */
import { HTTP2_LIMITS } from '../core/limits.ts';
import { ConnectionError, type StreamFault } from './errors.ts';
import { Flag, readWord } from './frames.ts';
import type { HeaderList } from './header-list.ts';
import { BlockMemory } from './hpack/block-memory.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import type { ConnectionState } from './state.ts';
import { StreamState } from './streams.ts';
import { HeadersKind, validateRequest, validateResponse, validateTrailers } from './validation.ts';

export class HeaderReceiver {
  readonly #state: ConnectionState;
  readonly #decoder: HpackDecoder;
  readonly #memory: BlockMemory | undefined;
  // A block that goes on in CONTINUATION.
  #openStream = 0;
  #flags = 0;
  #block: Buffer = EMPTY;
  #octets = 0;
  #continuations = 0;
  #selfDependent = false;

  constructor(state: ConnectionState) {
    const { context, limits } = state;
    this.#state = state;
    const { headerListBytes } = limits;
    const headerFields = Math.min(limits.headerFields, context.list.capacity);
    this.#decoder = new HpackDecoder(context, HTTP2_LIMITS.headerTableBytes, headerFields, headerListBytes);
    this.#memory = context.rememberBlocks ? new BlockMemory(context.lists) : undefined;
  }

  /** The stream whose header block has begun and not ended; 0 for none. */
  get openStream(): number {
    return this.#openStream;
  }

  headers(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    let at = start;
    let stop = end;
    const prefix = ((flags & Flag.PADDED) !== 0 ? 1 : 0) + ((flags & Flag.PRIORITY) !== 0 ? 5 : 0);
    if (end - start < prefix) throw new ConnectionError('FRAME_LENGTH', `HEADERS of ${end - start} octets`);
    if ((flags & Flag.PADDED) !== 0) stop -= buffer[at++] as number;
    this.#selfDependent = false;
    if ((flags & Flag.PRIORITY) !== 0) {
      this.#selfDependent = (readWord(buffer, at) & 0x7fffffff) === streamId;
      at += 5;
    }
    // RFC 9113 6.2: "Padding that exceeds the size remaining for the field block fragment MUST be treated as a
    // PROTOCOL_ERROR."
    if (at > stop) throw new ConnectionError('PADDING', `HEADERS of ${end - start} octets`);
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.#complete(streamId, flags, buffer, at, stop);
      return;
    }
    this.#openStream = streamId;
    this.#flags = flags;
    this.#octets = 0;
    this.#continuations = 0;
    this.#append(buffer, at, stop);
  }

  continuation(flags: number, buffer: Buffer, start: number, end: number): void {
    if (this.#openStream === 0) throw new ConnectionError('CONTINUATION_ALONE');
    if (++this.#continuations > this.#state.limits.continuationFrames)
      throw new ConnectionError('CONTINUATION_FLOOD');
    this.#append(buffer, start, end);
    if ((flags & Flag.END_HEADERS) === 0) return;
    const block = this.#block;
    const streamId = this.#openStream;
    this.#openStream = 0;
    this.#block = EMPTY;
    this.#complete(streamId, this.#flags, block, 0, this.#octets);
  }

  #append(buffer: Buffer, start: number, end: number): void {
    const octets = this.#octets + end - start;
    if (octets > HTTP2_LIMITS.headerBlockBytes)
      throw new ConnectionError('HEADER_BLOCK_LONG', `${octets} octets`);
    if (octets > this.#block.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(octets, this.#block.length * 2, 1024));
      this.#block.copy(larger, 0, 0, this.#octets);
      this.#block = larger;
    }
    buffer.copy(this.#block, this.#octets, start, end);
    this.#octets = octets;
  }

  /** A whole header block. It is decoded whatever becomes of its stream, as the table goes on from it. */
  #complete(streamId: number, flags: number, buffer: Buffer, start: number, end: number): void {
    const decoder = this.#decoder;
    let list = this.#memory?.find(buffer, start, end, decoder.table.epoch);
    if (list === undefined) {
      list = this.#state.context.list;
      decoder.decode(buffer, start, end, list);
      if (this.#memory !== undefined && list.fault === undefined && !list.tooLarge) {
        list = this.#memory.keep(buffer, start, end, decoder, list);
      }
    }
    const ends = (flags & Flag.END_STREAM) !== 0;
    const slot = this.#state.streams.find(streamId);
    if (slot >= 0) this.#more(slot, streamId, list, ends);
    else if (this.#state.isServer) this.#request(streamId, list, ends);
    else this.#late(streamId);
  }

  /** HEADERS on a stream that has no slot, where it is none that the peer may open. */
  #late(streamId: number): void {
    const { streams, isServer } = this.#state;
    if (this.#state.isIdle(streamId)) throw new ConnectionError('STREAM_IDLE', `HEADERS on ${streamId}`);
    if (streams.endedByPeer(streamId)) throw new ConnectionError('STREAM_OVER', `stream ${streamId}`);
    // RFC 9113 5.1.1: "The identifier of a newly established stream MUST be numerically greater than all streams that
    // the initiating endpoint has opened or reserved." A client's trailers may be late on a stream that we have reset
    // lately; on any other this is a stream out of order. To a client, a response may be late for much longer.
    if (isServer && !streams.endedByUs(streamId)) {
      throw new ConnectionError('STREAM_ID', `HEADERS on ${streamId} after ${this.#state.lastPeerId}`);
    }
    this.#state.stray();
  }

  #request(streamId: number, list: HeaderList, ends: boolean): void {
    const state = this.#state;
    const { streams, limits } = state;
    // RFC 9113 5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers"; "An endpoint that
    // receives an unexpected stream identifier MUST respond with a connection error of type PROTOCOL_ERROR."
    if ((streamId & 1) === 0) throw new ConnectionError('STREAM_ID', `HEADERS on ${streamId}`);
    if (streamId <= state.lastPeerId) {
      this.#late(streamId);
      return;
    }
    state.lastPeerId = streamId;
    // RFC 9113 6.8: "Receivers of a GOAWAY frame MUST NOT open additional streams on the connection"; those that
    // were under way are ignored, as GOAWAY said.
    if (state.goawaySent >= 0 && streamId > state.goawaySent) {
      state.stray();
      return;
    }
    state.earnByStream();
    // Who asks and does not read the answers, which end their streams as soon as they are in the output.
    state.guardOutput();
    const fault = this.#selfDependent ? 'SELF_DEPENDENCY' : this.#valid(list, HeadersKind.REQUEST);
    if (fault !== undefined) {
      state.refuse(streamId, fault);
      return;
    }
    // RFC 9113 5.1.2: "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream limit
    // to be exceeded MUST treat this as a stream error of type PROTOCOL_ERROR or REFUSED_STREAM." The latter, as it
    // is safe to retry.
    if (streams.count >= limits.maxConcurrentStreams) {
      state.refuse(streamId, 'TOO_MANY');
      return;
    }
    if (ends && list.contentLength > 0) {
      state.refuse(streamId, 'CONTENT_LENGTH');
      return;
    }
    const slot = streams.add(streamId, state.peer.initialWindowBytes, state.newReceiveWindow(), state.now);
    state.lastTakenId = streamId;
    streams.mark(slot, StreamState.HEAD_RECEIVED);
    streams.setExpected(slot, list.contentLength);
    this.#deliver(slot, streamId, list, HeadersKind.REQUEST, ends);
  }

  /** HEADERS on an open stream: a response or trailers. */
  #more(slot: number, streamId: number, list: HeaderList, ends: boolean): void {
    const state = this.#state;
    const { streams } = state;
    const bits = streams.state(slot);
    if ((bits & StreamState.REMOTE_DONE) !== 0) {
      state.streamFault(slot, 'CLOSED');
      return;
    }
    if (this.#selfDependent) {
      state.streamFault(slot, 'SELF_DEPENDENCY');
      return;
    }
    const trailers = (bits & StreamState.HEAD_RECEIVED) !== 0;
    const kind = trailers ? HeadersKind.TRAILERS : HeadersKind.RESPONSE;
    const fault = this.#valid(list, kind);
    if (fault !== undefined) {
      state.streamFault(slot, fault);
      return;
    }
    if (trailers) {
      // RFC 9113 8.1: "An endpoint that receives a HEADERS frame without the END_STREAM flag set after receiving the
      // HEADERS frame that opens a request or after receiving a final (non-informational) status code MUST treat
      // the corresponding request or response as malformed."
      if (!ends) {
        state.streamFault(slot, 'TRAILERS_OPEN');
        return;
      }
      if (streams.expected(slot) > 0) {
        state.streamFault(slot, 'CONTENT_LENGTH');
        return;
      }
      this.#deliver(slot, streamId, list, kind, true);
      return;
    }
    if (list.status < 200) {
      // RFC 9113 8.1: "A HEADERS frame with the END_STREAM flag set that carries an informational status code is
      // malformed."
      if (ends) {
        state.streamFault(slot, 'INFORMATIONAL_END');
        return;
      }
      this.#deliver(slot, streamId, list, HeadersKind.INFORMATIONAL, false);
      return;
    }
    streams.mark(slot, StreamState.HEAD_RECEIVED);
    // RFC 9110 8.6: a 304 may say how long the content would have been; there is none.
    const expected = list.status === 204 || list.status === 304 ? -1 : list.contentLength;
    if (ends && expected > 0) {
      state.streamFault(slot, 'CONTENT_LENGTH');
      return;
    }
    streams.setExpected(slot, expected);
    this.#deliver(slot, streamId, list, kind, ends);
  }

  #valid(list: HeaderList, kind: HeadersKind): StreamFault | undefined {
    if (list.tooLarge) return 'HEADERS_LARGE';
    if ((list.validAs & kind) !== 0) return undefined;
    const fault =
      kind === HeadersKind.REQUEST
        ? validateRequest(list)
        : kind === HeadersKind.RESPONSE
          ? validateResponse(list)
          : validateTrailers(list);
    if (fault === undefined) list.validAs |= kind;
    return fault;
  }

  #deliver(slot: number, streamId: number, list: HeaderList, kind: HeadersKind, ends: boolean): void {
    const { streams, handler } = this.#state;
    if (ends) streams.mark(slot, StreamState.REMOTE_DONE);
    handler.headers(slot, list, kind, ends);
    if (ends && streams.id(slot) === streamId) this.#state.endIfDone(slot);
  }
}

const EMPTY = Buffer.alloc(0);
