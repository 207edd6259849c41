/** Answers that a server makes itself, with a code and a message (grpc PROTOCOL-HTTP2.md, "Responses"). */
import type { Connection, HeaderList, HeaderName, Http2Context } from '../http2/http2.ts';
import { encodeMessage } from './message.ts';
import type { Status } from './status.ts';

/** Characters of a message: it travels in headers, of which peers commonly take 8 KiB. */
const MOST_MESSAGE = 1024;

export class Replies {
  /** `:status 200` and the content-type of gRPC. */
  readonly grpcHead: HeaderList;
  private readonly plainHead: HeaderList;
  private readonly plainText: Buffer;
  private readonly status: HeaderName;
  private readonly message: HeaderName;
  private readonly pushback: HeaderName;
  private readonly details: HeaderName;

  /** @param notGrpc what a caller is told that speaks no gRPC: a line for a person */
  constructor(context: Http2Context, notGrpc: string) {
    this.grpcHead = context.listOf([
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ]);
    this.plainHead = context.listOf([
      [':status', '415'],
      ['content-type', 'text/plain; charset=utf-8'],
    ]);
    this.plainText = Buffer.from(`${notGrpc}\n`);
    this.status = context.names.named('grpc-status');
    this.message = context.names.named('grpc-message');
    this.pushback = context.names.named('grpc-retry-pushback-ms');
    this.details = context.names.named('grpc-status-details-bin');
  }

  /**
   * Ends a stream with a status: with a head where none was sent.
   *
   * @param pushbackMs 0: not said
   * @param details `google.rpc.Status`; undefined: none
   */
  finish(
    connection: Connection,
    stream: number,
    status: Status,
    message: string,
    headSent: boolean,
    pushbackMs: number,
    details?: Uint8Array,
  ): void {
    connection.beginHeaders(stream);
    if (!headSent) connection.addList(this.grpcHead);
    connection.addText(this.status, String(status));
    if (message !== '') connection.addText(this.message, encodeMessage(message.slice(0, MOST_MESSAGE)));
    if (pushbackMs > 0) connection.addText(this.pushback, String(pushbackMs));
    if (details !== undefined) connection.addText(this.details, Buffer.from(details).toString('base64'));
    connection.endHeaders(true);
  }

  /** Answers what is no gRPC; a short text follows, so that a person sees what is wrong. */
  notGrpc(connection: Connection, stream: number): void {
    connection.sendList(stream, this.plainHead, false);
  }

  /** The text from an octet on, as much as there is room for; ends the stream. @returns octets sent */
  notGrpcText(connection: Connection, stream: number, from: number): number {
    return connection.sendData(stream, this.plainText, from, this.plainText.length, true);
  }
}
