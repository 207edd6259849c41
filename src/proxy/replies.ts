/** Answers that the proxy makes itself: always trailers-only, with a code and a message (grpc PROTOCOL-HTTP2.md). */
import { encodeMessage } from '../grpc/message.ts';
import type { Status } from '../grpc/status.ts';
import type { Connection, HeaderList, HeaderName, Http2Context } from '../http2/http2.ts';

const MOST_MESSAGE = 1024;

export class Replies {
  /** `:status 200` and the content-type of gRPC. */
  readonly grpcHead: HeaderList;
  private readonly plainHead: HeaderList;
  private readonly status: HeaderName;
  private readonly message: HeaderName;
  private readonly pushback: HeaderName;

  constructor(context: Http2Context) {
    this.grpcHead = context.listOf([
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ]);
    this.plainHead = context.listOf([
      [':status', '415'],
      ['content-type', 'text/plain; charset=utf-8'],
    ]);
    this.status = context.names.named('grpc-status');
    this.message = context.names.named('grpc-message');
    this.pushback = context.names.named('grpc-retry-pushback-ms');
  }

  /** Ends a stream with a status: with a head where none was sent. `pushbackMs`: 0 is not said. */
  finish(
    connection: Connection,
    stream: number,
    status: Status,
    message: string,
    headSent: boolean,
    pushbackMs: number,
  ): void {
    connection.beginHeaders(stream);
    if (!headSent) connection.addList(this.grpcHead);
    connection.addText(this.status, String(status));
    if (message !== '') connection.addText(this.message, encodeMessage(message.slice(0, MOST_MESSAGE)));
    if (pushbackMs > 0) connection.addText(this.pushback, String(pushbackMs));
    connection.endHeaders(true);
  }

  /** Answers what is no gRPC; a short text follows, so that a person sees what is wrong. */
  notGrpc(connection: Connection, stream: number): void {
    connection.sendList(stream, this.plainHead, false);
  }

  /** The text from an octet on, as much as there is room for; ends the stream. @returns octets sent */
  notGrpcText(connection: Connection, stream: number, from: number): number {
    return connection.sendData(stream, NOT_GRPC, from, NOT_GRPC.length, true);
  }
}

const NOT_GRPC = Buffer.from('This is a gRPC proxy: send POST with content-type application/grpc.\n');
