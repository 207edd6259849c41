/** Flow control of a raw peer, for tests that send much and take it slowly: it never sends beyond its credit. */
import type { Peer } from '../support/h2/peer.ts';
import { data, Flag, type Frame, paddedData, Setting, Type, windowUpdate } from '../support/h2/wire.ts';

const INITIAL = 65_535;

export class Windows {
  private readonly peer: Peer;
  private connection = INITIAL;
  private initial: number;
  private readonly streams = new Map<number, number>();
  /** DATA that came and is not credited, by stream. */
  private readonly owed = new Map<number, number>();
  private owedInAll = 0;

  constructor(peer: Peer) {
    this.peer = peer;
    this.initial = peer.settings.get(Setting.INITIAL_WINDOW_SIZE) ?? INITIAL;
    for (const frame of peer.frames) this.take(frame);
    const before = peer.onFrame;
    peer.onFrame = frame => {
      before(frame);
      this.take(frame);
    };
  }

  /** Octets of a DATA frame that may go out on a stream now. */
  room(stream: number): number {
    return Math.max(0, Math.min(this.connection, this.streams.get(stream) ?? this.initial, 16_384));
  }

  /** Sends one DATA frame; there must be room for it with its padding. */
  send(stream: number, bytes: Uint8Array, ends: boolean, padding = -1): void {
    const flags = ends ? Flag.END_STREAM : 0;
    const size = bytes.length + (padding < 0 ? 0 : padding + 1);
    this.connection -= size;
    this.streams.set(stream, (this.streams.get(stream) ?? this.initial) - size);
    this.peer.send(padding < 0 ? data(stream, bytes, flags) : paddedData(stream, bytes, padding, flags));
  }

  /** Gives credit for a part, 0 to 1, of what has come. */
  credit(part: number): void {
    for (const [stream, owed] of this.owed) {
      const back = Math.ceil(owed * part);
      if (back === 0) continue;
      this.owed.set(stream, owed - back);
      this.peer.send(windowUpdate(stream, back));
    }
    const back = Math.ceil(this.owedInAll * part);
    if (back === 0) return;
    this.owedInAll -= back;
    this.peer.send(windowUpdate(0, back));
  }

  /** No credit is given for a stream any more. */
  forget(stream: number): void {
    this.owed.delete(stream);
  }

  private take({ type, flags, stream, payload }: Frame): void {
    if (type === Type.DATA) {
      this.owedInAll += payload.length;
      if ((flags & Flag.END_STREAM) === 0)
        this.owed.set(stream, (this.owed.get(stream) ?? 0) + payload.length);
      else this.owed.delete(stream);
    } else if (type === Type.RST_STREAM) {
      this.owed.delete(stream);
    } else if (type === Type.WINDOW_UPDATE) {
      const more = payload.readUInt32BE(0);
      if (stream === 0) this.connection += more;
      else this.streams.set(stream, (this.streams.get(stream) ?? this.initial) + more);
    } else if (type === Type.SETTINGS && (flags & Flag.ACK) === 0) {
      const initial = this.peer.settings.get(Setting.INITIAL_WINDOW_SIZE) ?? INITIAL;
      for (const [id, window] of this.streams) this.streams.set(id, window + initial - this.initial);
      this.initial = initial;
    }
  }
}
