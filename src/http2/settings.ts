/** SETTINGS (RFC 9113 6.5). */
import { ConnectionError } from './errors.ts';
import { INITIAL_WINDOW, MAX_WINDOW } from './flow.ts';

/** RFC 9113 6.5.2. */
export const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

const MIN_FRAME_BYTES = 16_384;
const MAX_FRAME_BYTES = 0xffffff;

/** What a peer says of itself, from the protocol's defaults on. */
export class PeerSettings {
  headerTableBytes = 4096;
  /** "Initially, there is no limit to this value": until the first SETTINGS, 100 as the RFC recommends at least. */
  maxConcurrentStreams = 100;
  initialWindowBytes = INITIAL_WINDOW;
  maxFrameBytes = MIN_FRAME_BYTES;
  /** Advisory; what it does with more is its own affair. */
  maxHeaderListBytes = Number.POSITIVE_INFINITY;
  /** Whether its first SETTINGS have come. */
  received = false;

  /**
   * Takes one SETTINGS frame; the values are processed in the order in which they appear (RFC 9113 6.5.3).
   *
   * @param fromServer whether the peer is a server
   * @throws ConnectionError SETTING_VALUE, SETTING_WINDOW
   */
  read(buffer: Buffer, start: number, end: number, fromServer: boolean): void {
    if (!this.received) this.maxConcurrentStreams = Number.POSITIVE_INFINITY;
    this.received = true;
    for (let at = start; at < end; at += 6)
      this.#one(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2), fromServer);
  }

  #one(id: number, value: number, fromServer: boolean): void {
    switch (id) {
      case Setting.HEADER_TABLE_SIZE:
        this.headerTableBytes = value;
        return;
      case Setting.ENABLE_PUSH:
        // RFC 9113 6.5.2: "Any value other than 0 or 1 MUST be treated as a connection error of type
        // PROTOCOL_ERROR"; "A client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1
        // as a connection error".
        if (value > (fromServer ? 0 : 1)) throw new ConnectionError('SETTING_VALUE', `ENABLE_PUSH ${value}`);
        return;
      case Setting.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        return;
      case Setting.INITIAL_WINDOW_SIZE:
        // RFC 9113 6.5.2: "Values above the maximum flow-control window size of 2^31-1 MUST be treated as a
        // connection error of type FLOW_CONTROL_ERROR."
        if (value > MAX_WINDOW) throw new ConnectionError('SETTING_WINDOW', String(value));
        this.initialWindowBytes = value;
        return;
      case Setting.MAX_FRAME_SIZE:
        // RFC 9113 6.5.2: "between this initial value and the maximum allowed frame size (2^24-1 or 16,777,215
        // octets), inclusive. Values outside this range MUST be treated as a connection error".
        if (value < MIN_FRAME_BYTES || value > MAX_FRAME_BYTES) {
          throw new ConnectionError('SETTING_VALUE', `MAX_FRAME_SIZE ${value}`);
        }
        this.maxFrameBytes = value;
        return;
      case Setting.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value;
        return;
      default:
        // RFC 9113 6.5.2: "An endpoint that receives a SETTINGS frame with any unknown or unsupported identifier
        // MUST ignore that setting."
        return;
    }
  }
}
