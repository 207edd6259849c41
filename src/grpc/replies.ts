/** Answers that a server makes itself, with a code and a message (grpc PROTOCOL-HTTP2.md, "Responses"). */
import type { Connection, HeaderList, HeaderName, Http2Context } from '../http2/http2.ts';
import { encodeMessage } from './message.ts';
import type { Status } from './status.ts';

/** Characters of a message: it travels in headers, of which peers commonly take 8 KiB. */
const MOST_MESSAGE = 1024;

/** Tags of streams whose request is no gRPC: that are to be told so ... */
const FOREIGN = -2;
/** ... and are being told, by how many octets of the text were sent. */
const TOLD = -3;

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

  /**
   * Takes a request that is no gRPC. It is answered once it is whole, as its rest is still checked by the rules of
   * HTTP/2; a short text says what is wrong, to a person. Where that stands is in the stream's tag, which is −1 again
   * in the end: `foreignOver` and `foreignWritable` do nothing on streams with other tags.
   */
  foreign(connection: Connection, stream: number, requestEnded: boolean): void {
    connection.setTag(stream, FOREIGN);
    if (requestEnded) this.foreignOver(connection, stream);
  }

  /** The request has come whole. */
  foreignOver(connection: Connection, stream: number): void {
    if (connection.tag(stream) !== FOREIGN) return;
    connection.sendList(stream, this.plainHead, false);
    this.#tell(connection, stream, 0);
  }

  /** There is room for more of the text. */
  foreignWritable(connection: Connection, stream: number): void {
    const tag = connection.tag(stream);
    if (tag <= TOLD) this.#tell(connection, stream, TOLD - tag);
  }

  #tell(connection: Connection, stream: number, from: number): void {
    // Before, as the stream may be over with its last octet.
    connection.setTag(stream, -1);
    const at = from + connection.sendData(stream, this.plainText, from, this.plainText.length, true);
    if (connection.isSendable(stream)) connection.setTag(stream, TOLD - at);
  }
}
