/** A raw backend: what it does with each stream is up to the test, well-behaved or not. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Field } from './hpack.ts';
import { encode } from './hpack.ts';
import { Peer } from './peer.ts';
import { data, Flag, headers, message, settings, Type } from './wire.ts';

export interface Arrival {
  readonly peer: Peer;
  readonly stream: number;
  readonly fields: readonly Field[];
  /** Counts streams over all connections, from 1. */
  readonly nth: number;
  /** Counts streams on this connection, from 1. */
  readonly nthHere: number;
  /** HEADERS had END_STREAM. */
  readonly ends: boolean;
}

export interface UpstreamOptions {
  readonly settings?: readonly (readonly [id: number, value: number])[];
  readonly credits?: boolean;
  readonly acknowledges?: boolean;
  /** Each new connection, before SETTINGS are sent. True: nothing is sent. */
  readonly onConnection?: (peer: Peer, nth: number) => boolean | undefined;
  /** Each request's HEADERS. */
  readonly onStream?: (arrival: Arrival) => void;
}

export interface Upstream {
  readonly address: string;
  /** Living connections. */
  readonly peers: ReadonlySet<Peer>;
  /** Connections and streams so far. */
  readonly counts: { connections: number; streams: number };
  /** Takes no more connections; those that are there go on. */
  refuse(): void;
  close(): Promise<void>;
}

export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const peers = new Set<Peer>();
  const counts = { connections: 0, streams: 0 };
  const server = createServer({ allowHalfOpen: false }, socket => {
    const peer = new Peer(socket, { role: 'server', ...options });
    peers.add(peer);
    void peer.closed.then(() => peers.delete(peer));
    counts.connections++;
    if (options.onConnection?.(peer, counts.connections) === true) return;
    let nthHere = 0;
    const seen = new Set<number>();
    peer.onFrame = ({ type, stream, fields, flags }) => {
      if (type !== Type.HEADERS || fields === undefined || seen.has(stream)) return;
      seen.add(stream);
      const ends = (flags & Flag.END_STREAM) !== 0;
      const arrival = { peer, stream, fields, nth: ++counts.streams, nthHere: ++nthHere, ends };
      (options.onStream ?? answerOk)(arrival);
    };
    peer.send(settings(options.settings));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    peers,
    counts,
    refuse: () => void server.close(),
    async close() {
      for (const peer of peers) peer.socket.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

export const RESPONSE: readonly Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
export const OK: readonly Field[] = [['grpc-status', '0']];

/** Headers, one message and an OK in the trailers. */
export function okFrames(stream: number, bytes: Uint8Array = Buffer.from('answer')): Buffer[] {
  return [
    headers(stream, encode(RESPONSE)),
    data(stream, message(bytes)),
    headers(stream, encode(OK), Flag.END_STREAM),
  ];
}

/** Answers when the request has ended. */
export function answerOk({ peer, stream, ends }: Arrival): void {
  const send = (): void => {
    peer.send(...okFrames(stream));
    peer.forget(stream);
  };
  if (ends) send();
  else void peer.outcome(stream).then(({ lost, reset }) => lost || reset !== undefined || send());
}
