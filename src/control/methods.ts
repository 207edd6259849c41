/** Builds the table of methods from generated messages and typed handlers. */
import type { Link, Method, Peer, Receiver, Sink } from './rpc.ts';

/** The codec of a generated message. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export function unary<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
  handle: (request: Request, peer: Peer) => Response | Promise<Response>,
): Method {
  const encode = (answer: Response) => response.encode(answer).finish();
  return {
    kind: 'unary',
    path,
    decode: bytes => request.decode(bytes),
    handle: (message: Request, peer) => {
      const answer = handle(message, peer);
      return answer instanceof Promise ? answer.then(encode) : encode(answer);
    },
  };
}

export function serverStream<Request>(
  path: string,
  request: Codec<Request>,
  open: (request: Request, peer: Peer, sink: Sink) => () => void,
): Method {
  return { kind: 'serverStream', path, decode: bytes => request.decode(bytes), open };
}

export function requestStream<Request>(
  kind: 'clientStream' | 'bidi',
  path: string,
  request: Codec<Request>,
  open: (peer: Peer, sink: Sink, link: Link) => Receiver<Request>,
): Method {
  return { kind, path, decode: bytes => request.decode(bytes), open };
}
