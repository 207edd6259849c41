/** A raw caller: a connection to a proxy, and gRPC calls on it frame by frame. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { encode, type Field } from './hpack.ts';
import { type Outcome, Peer, type PeerOptions } from './peer.ts';
import { data, Flag, headers, message, PREFACE, settings, Type, windowUpdate } from './wire.ts';

export interface CallerOptions extends Omit<PeerOptions, 'role'> {
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** Bytes of credit for the whole connection beyond the 65,535 of the start. Default none. */
  readonly connectionWindow?: number;
}

export const PATH = '/test.v1.Test/Call';

/** SETTINGS_MAX_FRAME_SIZE at the start of a connection. */
const FRAME_BYTES = 16_384;

/** The fields of a gRPC request. */
export function request(path = PATH, more: readonly Field[] = []): Field[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'test.local'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ];
}

export class Caller extends Peer {
  #next = 1;

  /** A fresh stream's number. */
  stream(): number {
    const id = this.#next;
    this.#next += 2;
    return id;
  }

  /** Opens a stream with a gRPC request's HEADERS, without END_STREAM. */
  open(fields: readonly Field[] = request()): number {
    const id = this.stream();
    this.send(headers(id, encode(fields)));
    return id;
  }

  /** A unary call with a message of `bytes`, at most 60,000: it does not wait for credit. */
  call(fields: readonly Field[] = request(), bytes: Uint8Array = Buffer.from('ask')): Promise<Outcome> {
    const id = this.stream();
    const body = message(bytes);
    const frames: Buffer[] = [headers(id, encode(fields))];
    for (let at = 0; at < body.length; at += FRAME_BYTES) {
      const last = at + FRAME_BYTES >= body.length ? Flag.END_STREAM : 0;
      frames.push(data(id, body.subarray(at, at + FRAME_BYTES), last));
    }
    this.send(...frames);
    return this.outcome(id);
  }
}

/** Connects and exchanges SETTINGS. */
export async function connectCaller(address: string, options: CallerOptions = {}): Promise<Caller> {
  const caller = await connectSilently(address, options);
  caller.send(PREFACE, settings(options.settings));
  if (options.connectionWindow !== undefined) caller.send(windowUpdate(0, options.connectionWindow));
  await caller.next(each => each.type === Type.SETTINGS && (each.flags & Flag.ACK) === 0, 'SETTINGS');
  return caller;
}

/** Connects and says nothing, not even the preface. */
export async function connectSilently(address: string, options: CallerOptions = {}): Promise<Caller> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  await once(socket, 'connect');
  return new Caller(socket, { ...options, role: 'client' });
}
