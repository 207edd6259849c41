/**
 * A watch is open for as long as its channel, and grpc-js keeps a process alive while a call is open. A
 * process that is done shall end with `heapmesh://` channels as it does with others, so the connection
 * of a watch must not hold it. grpc-js has no option for that; what it has is that credentials see the
 * socket before HTTP/2 does.
 */
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { GrpcJs } from './grpc.ts';

type Connector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/** The same credentials, for connections that do not keep the process alive. */
export function quiet(grpc: GrpcJs, inner: ChannelCredentials): ChannelCredentials {
  class Quiet extends grpc.ChannelCredentials {
    override compose(credentials: Parameters<ChannelCredentials['compose']>[0]): ChannelCredentials {
      return quiet(grpc, inner.compose(credentials));
    }
    _isSecure(): boolean {
      return inner._isSecure();
    }
    _equals(other: ChannelCredentials): boolean {
      return this === other;
    }
    _createSecureConnector(...given: Parameters<ChannelCredentials['_createSecureConnector']>): Connector {
      const connector = inner._createSecureConnector(...given);
      return {
        connect: async socket => {
          hush(socket);
          const result = await connector.connect(socket);
          hush(result.socket);
          return result;
        },
        waitForReady: () => connector.waitForReady(),
        getCallCredentials: () => connector.getCallCredentials(),
        destroy: () => connector.destroy(),
      };
    }
  }
  return new Quiet();
}

function hush(socket: { unref(): unknown; ref(): unknown }): void {
  socket.unref();
  // HTTP/2 sessions hold their socket again with every call.
  socket.ref = () => socket;
}
