/** A service for tests of the server frame. */
import { requestStream, serverStream, unary } from '../../src/control/methods.ts';
import { type Link, type Peer, RpcError, type Service } from '../../src/control/rpc.ts';
import { RemoveServerRequest as Text } from '../../src/gen/heapmesh/v1/admin.ts';
import { Status } from '../../src/grpc/status.ts';

export { Text };

export const text = (id: string) => ({ id, drainTimeout: undefined });

/** A service that echoes, and fails in every way that a handler can. */
export function echo(seen: ReturnType<typeof fresh>): Service {
  const encode = (id: string) => Text.encode(text(id)).finish();
  const act = (id: string) => {
    if (id === 'status') throw new RpcError(Status.ABORTED, 'as asked \ud800 100 % ünicode');
    if (id === 'fields')
      throw new RpcError(Status.INVALID_ARGUMENT, 'bad', [{ field: 'a.b', description: 'c' }]);
    if (id === 'crash') throw new TypeError('a fault');
    return text(id);
  };
  return {
    name: 'test.Echo',
    methods: [
      unary('/test.Echo/Unary', Text, Text, ({ id }, peer) => {
        seen.peers.push({ host: peer.host, address: peer.address });
        if (id === 'metadata') peer.answer?.('x-answer', `got ${peer.metadata?.('x-question')}`);
        return act(id);
      }),
      unary('/test.Echo/Later', Text, Text, async ({ id }) => act(id)),
      unary('/test.Echo/Never', Text, Text, () => new Promise<never>(() => {})),
      serverStream('/test.Echo/Down', Text, ({ id }, _peer, sink) => {
        act(id);
        for (let i = 0; i < 3; i++) {
          sink.write(encode(`${id}${i}`), () => seen.taken.push(i));
        }
        if (!id.startsWith('open')) sink.end();
        return () => seen.events.push('down closed');
      }),
      requestStream('clientStream', '/test.Echo/Up', Text, (_peer, sink) => {
        const ids: string[] = [];
        return {
          message: ({ id }) => ids.push(act(id).id),
          halfClosed: () => {
            sink.write(encode(ids.join(',')));
            sink.end();
          },
          cancelled: () => seen.events.push('up cancelled'),
        };
      }),
      requestStream('bidi', '/test.Echo/Both', Text, (_peer, sink, link) => {
        seen.links.push(link);
        return {
          message: ({ id }) => sink.write(encode(act(id).id)),
          halfClosed: () => sink.end(),
          cancelled: () => seen.events.push('both cancelled'),
        };
      }),
    ],
  };
}

export const HEAD = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' } as const;

export function fresh() {
  return {
    peers: [] as Pick<Peer, 'host' | 'address'>[],
    links: [] as Link[],
    events: [] as string[],
    taken: [] as number[],
  };
}
