/** The two sides of a call, behind one small interface: a stream of a connection, or what gives and takes like one. */
import type { Status } from '../grpc/status.ts';
import type { HeaderList } from '../http2/http2.ts';
import type { Call } from './call.ts';

/** One side of a call. `stream` names the call there. */
export interface End {
  /** The head of a request or response; the last thing sent where `endStream`. */
  sendHead(stream: number, call: Call, list: HeaderList, endStream: boolean): void;
  /** Sends as much as there is room for; returns how much. Where it is less, the call's pump is called later. */
  sendData(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): number;
  sendTrailers(stream: number, list: HeaderList): void;
  /** Octets that this end gave were taken by the other. */
  credit(stream: number, octets: number): void;
  /** Ends the stream before its time. */
  abort(stream: number, code: number): void;
  /** The call has no more to do with the stream, which ends, or has ended, by itself. */
  detach(stream: number): void;
}

/** The end that answers a caller: it can also be told to make up the end of a call itself. */
export interface CallerEnd extends End {
  /** IP address and port of the caller; empty and 0 where it is gone. */
  readonly peer: { readonly host: string; readonly port: number };
  /**
   * Ends the call with a status of ours: trailers, or all in one where no head was sent.
   * @param pushbackMs what the caller should wait before it tries again, ms; 0: not said
   */
  finish(stream: number, status: Status, message: string, headSent: boolean, pushbackMs: number): void;
}
